"""The reply to a plain HTTP client: the variant's status, headers and bytes, passed on as they come.

What may live here: the headers that the selector adds. What must not: events.
"""

from warmfront.cloudevents import Headers
from warmfront.errors import WarmfrontError
from warmfront.gateway import problems
from warmfront.gateway.forwarding import Passage
from warmfront.protocols import errors_at
from warmfront.wire.messages import Exchange

_WARM = (b"warmfront-cold-start", b"false")
_COLD = (b"warmfront-cold-start", b"true")
_HEDGED = (b"warmfront-hedged", b"true")


def explain(passage: Passage) -> Headers:
    """What the selector tells about its choice; `Server-Timing` is in milliseconds."""
    chosen, decision = passage.chosen, passage.decision
    assert decision is not None
    told = [
        passage.target.named,
        _COLD if passage.cold else _WARM,
        (b"warmfront-predicted-ms", b"%.1f" % (chosen.predicted_s * 1000)),
        (b"warmfront-probability", b"%.4f" % chosen.probability),
        (b"warmfront-decision-id", decision.id.encode()),
        (
            b"server-timing",
            b"decide;dur=%.3f, upstream;dur=%.3f" % (passage.decide_s * 1000, passage.upstream_s * 1000),
        ),
    ]
    if passage.hedged:
        told.append(_HEDGED)
    return told


class DirectReply:
    """Writes a passage's reply to one exchange, with the client's back-pressure handed to the variant."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def whole(self, passage: Passage, status: int, headers: Headers, body: bytes) -> None:
        """One write."""
        self._exchange.respond(status, headers + explain(passage), body)

    def begin(self, passage: Passage, status: int, headers: Headers) -> None:
        """Head first, pieces as they come."""
        exchange = self._exchange
        exchange.on_pause = passage.pause
        exchange.on_resume = passage.resume
        exchange.start(status, headers + explain(passage))

    def piece(self, passage: Passage, data: bytes) -> None:  # noqa: ARG002 - the Reply protocol
        """One piece, unchanged."""
        self._exchange.write(data)

    def end(self, passage: Passage) -> None:  # noqa: ARG002 - the Reply protocol
        """The end."""
        self._exchange.finish()

    def cut(self, passage: Passage, error: WarmfrontError) -> None:  # noqa: ARG002 - the Reply protocol
        """A reply that broke off must not look complete."""
        self._exchange.abort()

    def fail(self, passage: Passage, error: WarmfrontError) -> None:
        """The error in the shape of the client's protocol, unless something broke after the reply was begun."""
        if self._exchange.responded:
            self._exchange.abort()
            return
        status, headers, body = problems.render(error, shape=errors_at(self._exchange.path))
        if passage.decision is not None:
            headers.append((b"warmfront-decision-id", passage.decision.id.encode()))
        self._exchange.respond(status, headers, body)
