"""Two variants asked at once: a passage that asks a second one when the first has not answered at the last safe moment.

What may live here: the life of the second request while the first is under way. What must not: whether and whom to ask
(the selector), how a reply goes to the client (forwarding.py): from the moment it is the second's, it passes through
the passage as any other. Until then its reply is collected here.

    begin -> send -> no head at the decision's `hedge_at` -> ask a second one too, if that is no third
    the first whole answer wins, or the one that begins to go to the client in pieces; the other one is cancelled
    one of them fails -> the other goes on
"""

from asyncio import TimerHandle
from typing import cast

from warmfront.cloudevents import Headers
from warmfront.domain import Candidate, Decision, Request, Status
from warmfront.errors import Unprocessable
from warmfront.gateway.dialects import Message
from warmfront.gateway.ending import report
from warmfront.gateway.forwarding import MAX_TRIES, Passage
from warmfront.gateway.plane import Plane
from warmfront.gateway.reply import Reply
from warmfront.gateway.sending import Letter, letter, post
from warmfront.gateway.targets import Target
from warmfront.wire.pool import Call, Failure, FailureKind


def new_passage(plane: Plane, request: Request, message: Message, reply: Reply) -> Passage:
    """The passage of a request, by the settings."""
    return (HedgedPassage if plane.settings.hedge else Passage)(plane, request, message, reply)


class HedgedPassage(Passage):
    """A passage that may ask a second variant beside the first, and goes on with whoever is left."""

    __slots__ = ("_second", "_timer", "hedged")

    def __init__(self, plane: Plane, request: Request, message: Message, reply: Reply) -> None:
        super().__init__(plane, request, message, reply)
        self._timer: TimerHandle | None = None
        self._second: Second | None = None
        self.hedged = False

    # what the second one says

    def overtaken(self) -> None:
        """Its answer is whole: it is the reply, and the first one's work is stopped."""
        failed = bool(self._failed_status)
        self._abandon()
        if self._waiting:
            self._no_longer_waits()
        status = Status.FAILED if failed else Status.LATE
        self._outcome(status, censored=not failed, now=self._plane.clock())
        self._go_on_with_second()

    def alone(self, failure: str = "") -> None:
        """It is over without an answer: only the first is left."""
        self._second = None
        if failure:
            self._failures += (failure,)

    # where the way is another than with one

    def forsake(self, why: str, *, overdue: bool = False) -> None:
        """Somebody else is asked already, perhaps."""
        if self._second is None:
            super().forsake(why, overdue=overdue)
        else:
            self._abandon()
            self._tries -= 1
            self._failed(why)
            self._succeeded(timed_out=overdue)

    def on_response(self, status: int, headers: Headers) -> None:
        """The head of the first one's reply: no second one is needed."""
        self._disarm()
        super().on_response(status, headers)

    def _attempt(self) -> None:
        super()._attempt()
        at = None if self.decision is None else self.decision.hedge_at
        if at is not None and self._timer is None and self._tries < MAX_TRIES:
            self._timer = self._plane.pool.loop.call_later(at - self.sent_at, self._hedge)

    def _stream(self) -> bool:
        self._drop_second()
        return super()._stream()

    def _failed(self, what: str) -> float:
        self._disarm()
        return super()._failed(what)

    def _again(self, what: str, *, timed_out: bool) -> None:
        if self._second is None:
            super()._again(what, timed_out=timed_out)
        else:
            self._failed(what)
            self._succeeded(timed_out=timed_out)

    def _leave(self) -> None:
        self._disarm()
        self._drop_second()
        super()._leave()

    # the second one

    def _hedge(self) -> None:
        self._timer = None
        asked = self._second_decision()
        if asked is not None:
            self._second = Second(self._plane, self, *asked)
            self.hedged = True
            self._tries += 1

    def _second_decision(self) -> tuple[Decision, Target, Letter] | None:
        """Whom to ask and how to put it; None if by now that is not worth it, or nobody can be asked."""
        plane, first, now = self._plane, self.decision, self._plane.clock()
        assert first is not None
        excluded = self.request.excluded | {self.chosen.variant.name}
        request = self.request._replace(excluded=excluded, hedges=first.id)
        decision = plane.selector.decide(request, now)
        target = None if decision.chosen is None else plane.targets.get(decision.chosen.variant.name)
        if target is None:
            return None
        try:
            written = letter(plane, self._message, request, target, self._given)
        except Unprocessable:
            return None
        return decision, target, written

    def _succeeded(self, *, timed_out: bool) -> None:
        """The first one has failed."""
        self._outcome(Status.FAILED, censored=timed_out, now=self._plane.clock())
        self._go_on_with_second()

    def _go_on_with_second(self) -> None:
        second, self._second = self._second, None
        assert second is not None
        self.request = self.request._replace(excluded=second.request.excluded)
        self.decision, self.chosen, self.target = second.decision, second.chosen, second.target
        self.sent_at = self._head_at = second.sent_at
        self._reply, self._call = second.reply, second.call
        self.cold, self.execution_s, self.label, self._failed_status = False, None, None, 0
        second.succeed()

    def _drop_second(self) -> None:
        second, self._second = self._second, None
        if second is not None:
            second.give_up(self._plane.clock())

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


class Second:
    """The sink of the second call, which it sends. It tells the passage of a whole answer (`overtaken`) or of its end
    without one (`alone`); once the passage goes on with it (`succeed`), it hands everything on.
    """

    __slots__ = (
        "_body", "_head", "_passage", "_plane", "_succeeds", "_whole", "call", "chosen", "cold", "decision",
        "execution_s", "latency_s", "reply", "request", "sent_at", "target",
    )  # fmt: skip

    def __init__(
        self, plane: Plane, passage: HedgedPassage, decision: Decision, target: Target, written: Letter
    ) -> None:
        self._plane = plane
        self._passage = passage
        self._head: tuple[int, Headers] | None = None
        self._body = bytearray()
        self._whole = self._succeeds = False
        self.decision: Decision | None = decision
        self.chosen = cast("Candidate", decision.chosen)
        self.request = decision.request
        self.target = target
        self.reply = written[3]
        self.cold = False
        self.execution_s: float | None = None
        self.latency_s = 0.0
        self.sent_at = plane.clock()
        self.call: Call = post(plane, written, target, self.request, self, now=self.sent_at)
        plane.selector.started(decision, self.sent_at)

    def succeed(self) -> None:
        """The passage goes on with this: tell it what has come so far, and from now on what comes."""
        self._count("won")
        self._succeeds = True
        if self._head is not None:
            self._passage.on_response(*self._head)
            if self._body:
                self._passage.on_body(bytes(self._body))
        if self._whole:
            self._passage.on_complete()

    def give_up(self, now: float) -> None:
        """The first has answered, or nobody waits any more. How long this took is a lower bound."""
        self.call.cancel()
        self._end("lost", Status.LATE, now, censored=True)

    # the sink of the pool

    def on_response(self, status: int, headers: Headers) -> None:
        """The head of its reply."""
        if self._succeeds:
            self._passage.on_response(status, headers)
        else:
            self._head = status, headers

    def on_body(self, data: bytes) -> None:
        """A piece of its reply. Beyond the limit of a reply nobody waits for the rest."""
        if self._succeeds:
            self._passage.on_body(data)
            return
        limit = self._plane.settings.max_reply_bytes
        if len(self._body) + len(data) > limit:
            self.call.cancel()
            self._fail(f"replied with more than {limit} bytes, the limit")
        else:
            self._body += data

    def on_complete(self) -> None:
        """Its reply is whole. It wins with an answer; what turns the input down or fails leaves it to the first."""
        if self._succeeds:
            self._passage.on_complete()
            return
        assert self._head is not None
        self._whole, status = True, self._head[0]
        if status < 400:
            self._passage.overtaken()
        elif status < 500 and status != 429:
            self._end("failed", Status.REJECTED, self._plane.clock())
            self._passage.alone()
        else:
            self._fail(f"answered {status}")

    def on_failure(self, failure: Failure) -> None:
        """Its call broke."""
        if self._succeeds:
            self._passage.on_failure(failure)
        else:
            self._fail(failure.message, timed_out=failure.kind is FailureKind.TIMEOUT)

    def _fail(self, what: str, *, timed_out: bool = False) -> None:
        self._end("failed", Status.FAILED, self._plane.clock(), censored=timed_out)
        self._passage.alone(f"{self.chosen.variant.name} {what}")

    def _end(self, result: str, status: Status, now: float, *, censored: bool = False) -> None:
        self._count(result)
        report(self._plane, self, status, censored=censored, now=now)

    def _count(self, result: str) -> None:
        self._plane.measures.hedges.child(self.request.task, self.chosen.variant.name, result).value += 1
