"""What a subscriber's answer means for a delivery. Pure: (status, headers, body) to a verdict.

Knative's rules (kncloudevents/retries.go and the broker's filter): a CloudEvent in a 2xx is a reply, an empty 2xx is
done, any other body in a 2xx counts as 502; 404, 408, 409, 429 and 5xx are tried again; other 4xx and 3xx are not.
"""

from dataclasses import dataclass
from datetime import datetime

from warmfront.cloudevents import CloudEvent, Mode, decode, mode_of
from warmfront.errors import InvalidEvent
from warmfront.runtime.eventing.delivery_spec import retried, retry_after_s
from warmfront.wire.messages import Headers, first


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The event arrived; `reply` is the subscriber's answer to the Broker, if it gave one."""

    reply: CloudEvent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The event did not arrive: status code, why, the body that came; whether and when at the earliest to try again."""

    code: int
    reason: str
    data: bytes = b""
    retry: bool = True
    retry_after_s: float = 0.0


def judge(status: int, headers: Headers, body: bytes, now: datetime) -> Taken | Refused:
    """The verdict on a complete answer. `now` is only compared with the date of a Retry-After header."""
    if not 200 <= status < 300:
        wait_s = retry_after_s(first(headers, b"retry-after"), now) if status in (429, 503) else 0.0
        return Refused(code=status, reason=f"answered {status}", data=body, retry=retried(status), retry_after_s=wait_s)
    mode = mode_of(headers)
    if mode is None:
        if not body:
            return Taken()
        return Refused(code=502, reason=f"answered {status} with a body that is no CloudEvent", data=body)
    if mode is Mode.BATCH:
        return Refused(code=502, reason=f"answered {status} with a batch; a reply is one CloudEvent", data=body)
    try:
        return Taken(reply=decode(headers, body))
    except InvalidEvent as error:
        return Refused(code=502, reason=f"answered {status} with an invalid CloudEvent: {error}", data=body)
