"""A `delivery` of a Trigger or Broker as a record: what is tried again, how often, after which wait. Pure.

The rules are Knative's (eventing v0.50): retries are numbered from 0; exponential waits double, linear ones grow by the
delay, so that the first linear retry follows at once; without a policy or a delay all do. Retry-After of a 429 or 503
wins when it is longer, up to `retryAfterMax`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from warmfront.cloudevents import Mode
from warmfront.errors import InvalidRequest

MAX_DELAY_S = 86_400.0
DEFAULT_TIMEOUT_S = 600.0
"""Knative's longest request (max-revision-timeout-seconds): an attempt without `timeout` is cut off after it."""

_DURATION = re.compile(
    r"P(?=\d|T\d)(?:(\d+)D)?(?:T(?=\d)(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?", re.ASCII
)
_FORMATS = {"binary": Mode.BINARY, "json": Mode.STRUCTURED}
_KNOWN = ("deadLetterSink", "retry", "backoffPolicy", "backoffDelay", "timeout", "retryAfterMax", "format")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySpec:
    """How one Trigger's events are delivered. `retries` come after the first attempt; times are seconds.

    `retry_after_max_s` bounds what a Retry-After header may ask for; 0 ignores the header, None sets no bound.
    """

    retries: int = 0
    exponential: bool | None = None
    delay_s: float = 0.0
    timeout_s: float = DEFAULT_TIMEOUT_S
    retry_after_max_s: float | None = None
    mode: Mode = Mode.BINARY
    dead_letter_sink: Mapping[str, Any] | None = None

    def wait_s(self, retry: int, retry_after_s: float = 0.0) -> float:
        """The wait before retry number `retry` (from 0), at least what Retry-After asked for, at most a day."""
        wait = 0.0
        if self.exponential is not None:
            wait = self.delay_s * (2.0 ** min(retry, 60) if self.exponential else retry)
        if self.retry_after_max_s is not None:
            retry_after_s = min(retry_after_s, self.retry_after_max_s)
        return min(max(wait, retry_after_s), MAX_DELAY_S)


DEFAULT = DeliverySpec(retries=10, exponential=True, delay_s=0.2)
"""What config-br-defaults gives every Broker: ten retries after 0.2, 0.4, ... 102.4 s, about 205 s in all."""


def read_delivery(trigger_spec: Mapping[str, Any], broker_spec: Mapping[str, Any]) -> DeliverySpec:
    """The Trigger's delivery as a whole, else the Broker's as a whole, else the default. Raises InvalidRequest.

    Only the dead-letter sink is looked up by itself: the Trigger's, else the Broker's.
    """
    found = trigger_spec.get("delivery") or broker_spec.get("delivery")
    if not found:
        return DEFAULT
    spec = _parse(found)
    if spec.dead_letter_sink is None and broker_spec.get("delivery"):
        return replace(spec, dead_letter_sink=broker_spec["delivery"].get("deadLetterSink"))
    return spec


def retried(status: int) -> bool:
    """Whether a reply with this status is worth another attempt: 404, 408, 409, 429 and 5xx are."""
    return status >= 500 or status in (404, 408, 409, 429)


def retry_after_s(value: bytes | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, given as number or HTTP date; 0 if absent or neither."""
    text = (value or b"").decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


def parse_duration(text: object, place: str) -> float:
    """Seconds of an ISO 8601 duration of days, hours, minutes and seconds, such as PT0.2S."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidRequest(f"{place} is {text!r}; wanted an ISO 8601 duration such as PT0.2S or PT1M30S")
    amounts = (float((amount or "0").replace(",", ".")) for amount in match.groups())
    return sum(amount * unit for amount, unit in zip(amounts, (86_400, 3600, 60, 1), strict=True))


def _parse(delivery: object) -> DeliverySpec:
    if not isinstance(delivery, dict):
        raise InvalidRequest(f"delivery is {delivery!r}; wanted an object with {', '.join(_KNOWN)}")
    unknown = sorted(set(delivery) - set(_KNOWN))
    if unknown:
        raise InvalidRequest(f"delivery.{unknown[0]} is not supported; wanted any of {', '.join(_KNOWN)}")
    retry = delivery.get("retry", 0)
    if not isinstance(retry, int) or isinstance(retry, bool) or retry < 0:
        raise InvalidRequest(f"delivery.retry is {retry!r}; wanted a whole number of 0 or more")
    policy = delivery.get("backoffPolicy")
    if policy not in (None, "linear", "exponential"):
        raise InvalidRequest(f"delivery.backoffPolicy is {policy!r}; wanted linear or exponential")
    if delivery.get("format") not in (None, *_FORMATS):
        raise InvalidRequest(f"delivery.format is {delivery['format']!r}; wanted binary or json")
    timeout_s = _duration(delivery, "timeout")
    if timeout_s == 0:
        raise InvalidRequest(f"delivery.timeout is {delivery['timeout']!r}; it must be above 0")
    return DeliverySpec(
        retries=retry,
        exponential=None if policy is None else policy == "exponential",
        delay_s=_duration(delivery, "backoffDelay") or 0.0,
        timeout_s=DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s,
        retry_after_max_s=_duration(delivery, "retryAfterMax"),
        mode=_FORMATS[delivery.get("format") or "binary"],
        dead_letter_sink=delivery.get("deadLetterSink"),
    )


def _duration(delivery: Mapping[str, Any], name: str) -> float | None:
    return parse_duration(delivery[name], f"delivery.{name}") if delivery.get(name) is not None else None
