"""One request on its way: decide, send, pass the reply on, and once, if nothing was sent yet, try another variant.

What may live here: the life of a request between admission and outcome, as callbacks; there is no coroutine and no
task per request. What must not: how a reply looks to the client (replies.py, events.py).

    begin -> decide -> send -> head -> pieces -> end            the usual way
                         |       |
                         |       5xx or 429: wait for its end -.
                         refused, reset, timed out ------------+-> decide again without this variant, once
                         it starts overlong, or cannot start ---> the same, as often as there is another one
    the client leaves -> cancel

Every decision that was started ends in exactly one Outcome.
"""

import logging
from collections.abc import Mapping

from warmfront.cloudevents import Headers
from warmfront.domain import Candidate, Decision, Reason, Request, Status, Warmth
from warmfront.errors import (
    NoVariant,
    ObjectiveUnmet,
    RequestError,
    UnknownTask,
    Unprocessable,
    UpstreamFailed,
    WarmfrontError,
)
from warmfront.gateway import problems
from warmfront.gateway.dialects import Message, from_variant, seconds
from warmfront.gateway.ending import conclude, report
from warmfront.gateway.plane import Plane
from warmfront.gateway.refusals import all_failed, undecided
from warmfront.gateway.reply import Reply
from warmfront.gateway.sending import letter, post, time_left_s
from warmfront.gateway.targets import Target
from warmfront.wire.pool import Call, Failure, FailureKind, Sink

_log = logging.getLogger(__name__)

_NONE: Mapping[str, str] = {}
MAX_TRIES = 2
_DRAIN_LIMIT = 65_536  # an error reply up to this size is read to its end, which saves the connection

# an Enum's members are looked up by a Python function
_OK, _CHOSEN, _WARM = Status.OK, Reason.CHOSEN, Warmth.WARM


class Passage:
    """One request's way through the selector; the sink of its upstream calls."""

    __slots__ = (
        "_body", "_call", "_done", "_failed_status", "_failures", "_given", "_head_at", "_headers", "_length",
        "_message", "_mute", "_plane", "_reply", "_retry_after_s", "_status", "_streaming", "_tries", "_unfit",
        "_waiting", "chosen", "cold", "decide_s", "decision", "execution_s", "label", "latency_s", "request", "sent_at",
        "target",
    )  # fmt: skip

    chosen: Candidate  # the candidate that was asked last, and where it is: set by the first attempt
    target: Target
    hedged: bool = False  # whether a second variant was asked beside the first

    def __init__(self, plane: Plane, request: Request, message: Message, reply: Reply) -> None:
        self._plane = plane
        self._message = message
        self._mute = request.excluded
        self._unfit: Mapping[str, str] = _NONE
        self._given = reply
        self._reply = reply
        self.request = request
        self.decision: Decision | None = None
        self.cold = False
        self.decide_s = 0.0
        self.latency_s = 0.0
        self.label: str | None = None
        self._call: Call | None = None
        self._tries = 0
        self._failures: tuple[str, ...] = ()
        self._retry_after_s: float | None = None
        self.execution_s: float | None = None
        self._waiting = False
        self._done = False

    @property
    def upstream_s(self) -> float:
        """Sent to the head of the variant's reply."""
        return self._head_at - self.sent_at

    def begin(self) -> None:
        """Decide and send. Raises WarmfrontError when nothing can be sent; then nothing else will happen."""
        self._plane.admission.enter(self.request.size_bytes)
        try:
            self._attempt()
        except BaseException:
            self._abandon()
            self._leave()
            raise

    def cancel(self) -> None:
        """The client has left: stop the variant's work. The time it took so far is a lower bound of its latency."""
        if not self._done:
            self._plane.measures.cancelled.value += 1
            self._abandon()
            self._leave()
            self._outcome(Status.LATE, censored=True, now=self._plane.clock())
            self._conclude(Status.LATE)

    def forsake(self, why: str, *, overdue: bool = False) -> None:
        """The variant that is waited for cannot start, or is `overdue`: go on with another one, if one can be used.

        Nothing was executed, so this is no try; and late is better than never, so the deadline has no say.
        """
        elsewhere = self.request._replace(excluded=self.request.excluded | {self.chosen.variant.name})
        chosen = self._plane.selector.decide(elsewhere, self._plane.clock()).chosen
        if not self._done and chosen is not None and not chosen.verdict:
            self._abandon()
            self._tries -= 1
            self._failed(why)
            self._elsewhere(timed_out=overdue)

    def pause(self) -> None:
        """The client takes no more for now: stop reading from the variant."""
        if self._call is not None:
            self._call.pause()

    def resume(self) -> None:
        """The client takes more again."""
        if self._call is not None:
            self._call.resume()

    # -- the way out ------------------------------------------------------------------------------------------------

    def _attempt(self) -> None:
        plane, request = self._plane, self.request
        now = plane.clock()
        decision = self.decision = plane.selector.decide(request, now)
        sent_at = plane.clock()
        self.decide_s = sent_at - now
        plane.measures.decide.observe(self.decide_s)
        chosen = decision.chosen
        if chosen is None:
            raise self._refused(decision, sent_at)
        target = plane.targets.get(chosen.variant.name)
        if target is None:
            raise NoVariant(f"{chosen.variant.name} has left the catalogue; try again", retry_after_s=1.0)
        try:
            written = letter(plane, self._message, request, target, self._given)
        except Unprocessable as error:
            self._unfit_for(chosen.variant.name, error)
            return
        self._reply = written[3]
        reason = decision.reason
        (target.measures.chosen if reason is _CHOSEN else target.measures.decided(reason)).value += 1
        self.cold = chosen.warmth is not _WARM
        if self.cold and not self._waiting:
            plane.admission.begin_wait(chosen.wait_s)
            self._waiting = True
        self.chosen = chosen
        self.target = target
        self.sent_at = self._head_at = sent_at
        self._failed_status = 0
        self.execution_s = None
        self._streaming = False
        self._tries += 1
        if self.cold:
            target.waiting.add(self)
        self._call = post(plane, written, target, request, self._listener(), now=sent_at)
        plane.selector.started(decision, sent_at)
        if reason is Reason.DEGRADED:
            plane.seldom_log("objective cannot be met, degraded", decision, now)

    def _listener(self) -> Sink:
        """Who hears the variant's reply."""
        return self

    def _unfit_for(self, name: str, error: Unprocessable) -> None:
        """The request cannot be told in the protocol of variant `name`: let another one have it. Nothing was sent."""
        self._unfit = {**self._unfit, name: str(error)}
        self.request = self.request._replace(excluded=self.request.excluded | {name})
        self._attempt()

    def _refused(self, decision: Decision, now: float) -> WarmfrontError:
        if decision.reason is Reason.UNKNOWN_TASK:
            return self._plane.unknown(self.request.task)
        error = undecided(decision, self._mute, self._unfit)
        if not self._failures:
            self._plane.measures.decisions.child(self.request.task, decision.reason.value).value += 1
            self.latency_s = now - self.request.arrival_at
            self._conclude(Status.REJECTED if isinstance(error, RequestError) else Status.FAILED)
        return error

    # -- the way back: the sink of the pool --------------------------------------------------------------------------

    def on_response(self, status: int, headers: Headers) -> None:
        """The head of the variant's reply."""
        if self._done:
            return
        self._head_at = self._plane.clock()
        if self._waiting:
            self._no_longer_waits()
        kept, length, notes = from_variant(headers)
        for note in notes:
            self._take_note(*note)
        if status >= 500 or status == 429:
            self._refused_by_variant(status, kept, length)
            return
        self._status = status
        self._headers = kept
        self._length = length
        self._body = b""
        if length is None:
            self._stream()

    def on_body(self, data: bytes) -> None:
        """A piece of the variant's reply. One that is the whole body waits for the end, so that one write answers."""
        if self._done or self._failed_status:
            return
        if not self._streaming:
            if len(data) == self._length:
                self._body = data
                return
            if not self._stream():
                return
        try:
            self._reply.piece(self, data)
        except WarmfrontError as error:
            self._abandon()
            self._give_up(error)

    def on_complete(self) -> None:
        """The variant's reply is complete."""
        if self._done:
            return
        if self._failed_status:
            self._again(f"answered {self._failed_status}", timed_out=False)
            return
        now = self._plane.clock()
        request = self.request
        self.latency_s = now - request.arrival_at
        self._leave()
        delivered = self._deliver()
        deadline_at = request.deadline_at
        status = _OK if deadline_at is None or now <= deadline_at else Status.LATE
        if self._status >= 400:  # a variant that turns an input down has not shown how long it takes to answer one
            status = Status.REJECTED
        self._outcome(status, censored=False, now=now)
        self._conclude(status if delivered else Status.FAILED)

    def on_failure(self, failure: Failure) -> None:
        """The call broke: refused, reset, timed out or not HTTP."""
        if self._done:
            return
        self._call = None
        if self._streaming:
            self._give_up(UpstreamFailed(f"{self.chosen.variant.name} broke off its reply: {failure.message}"))
            return
        self._again(failure.message, timed_out=failure.kind is FailureKind.TIMEOUT)

    def _deliver(self) -> bool:
        """Let the client have the complete reply; False when something here is broken, which it is told."""
        try:
            if self._streaming:
                self._reply.end(self)
            else:
                self._reply.whole(self, self._status, self._headers, self._body)
        except Exception:  # noqa: BLE001 - nobody above this callback would answer the client
            _log.exception("a reply could not be passed on")
            (self._reply.cut if self._streaming else self._reply.fail)(self, problems.internal())
            return False
        return True

    def _stream(self) -> bool:
        """Hand the head to the client; False when it refused the reply, which ends the passage."""
        self._streaming = True
        if self._length is not None:
            self._headers.append((b"content-length", b"%d" % self._length))
        try:
            self._reply.begin(self, self._status, self._headers)
        except WarmfrontError as error:
            self._abandon()
            self._give_up(error)
            return False
        return True

    def _take_note(self, name: bytes, value: bytes) -> None:
        if name == b"warmfront-first-request":
            self.cold = self.cold or value == b"true"
        elif name == b"warmfront-execution-ms":
            self.execution_s = seconds(value)
        elif name == b"warmfront-label":
            self.label = value.decode("latin-1")

    # -- failing -----------------------------------------------------------------------------------------------------

    def _refused_by_variant(self, status: int, headers: Headers, length: int | None) -> None:
        if status in (429, 503):
            wait = next((value for name, value in headers if name == b"retry-after"), b"1")
            self._retry_after_s = float(wait) if wait.isdigit() else 1.0
        self._failed_status = status
        if length is None or length > _DRAIN_LIMIT:
            self._abandon()
            self._again(f"answered {status}", timed_out=False)

    def _again(self, what: str, *, timed_out: bool) -> None:
        """The variant failed. Try the next best one if time is left and this was the first try, else give up."""
        now = self._failed(what)
        deadline_at = self.request.deadline_at
        exhausted = timed_out and time_left_s(self._plane, self.request, now) <= 0.001
        if self._tries >= MAX_TRIES or exhausted or (deadline_at is not None and now >= deadline_at):
            error = all_failed(self._failures, retry_after_s=self._retry_after_s, timed_out=timed_out)
            self._give_up(error, timed_out=timed_out)
        else:
            self._elsewhere(timed_out=timed_out)

    def _failed(self, what: str) -> float:
        """Note what the variant did; the time."""
        now = self._plane.clock()
        self._call = None
        self.target.waiting.discard(self)
        self._failures += (f"{self.chosen.variant.name} {what}",)
        assert self.decision is not None
        self._plane.seldom_log(f"variant failed: {self._failures[-1]}", self.decision, now)
        return now

    def _elsewhere(self, *, timed_out: bool) -> None:
        """Let the next best variant try."""
        plane, name = self._plane, self.chosen.variant.name
        self._outcome(Status.FAILED, censored=timed_out, now=plane.clock())
        plane.measures.retries.child(self.request.task, name).value += 1
        self.request = self.request._replace(excluded=self.request.excluded | {name})
        before = self.decision
        try:
            self._attempt()
        except Exception as error:  # noqa: BLE001 - nobody above this callback would answer the client
            if isinstance(error, ObjectiveUnmet | NoVariant | UnknownTask):
                error = all_failed(self._failures, retry_after_s=self._retry_after_s, timed_out=timed_out)
            elif not isinstance(error, WarmfrontError):
                _log.exception("a second attempt failed inside")
                error = problems.internal()
            self.decision = before
            self._abandon()
            self._leave()
            self._reply.fail(self, error)
            self._conclude(Status.FAILED)

    def _give_up(self, error: WarmfrontError, *, timed_out: bool = False) -> None:
        self._leave()
        now = self._plane.clock()
        if self._streaming:
            self._reply.cut(self, error)
        else:
            self._reply.fail(self, error)
        self._outcome(Status.FAILED, censored=timed_out, now=now)
        self._conclude(Status.FAILED)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _abandon(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _leave(self) -> None:
        """Free this request's place. Nothing that the pool still says counts after this."""
        self._done = True
        self._call = None
        if self._waiting:
            self._no_longer_waits()
        self._plane.admission.leave(self.request.size_bytes)

    def _no_longer_waits(self) -> None:
        self._waiting = False
        self._plane.admission.end_wait()
        self.target.waiting.discard(self)

    def _outcome(self, status: Status, *, censored: bool, now: float) -> None:
        report(self._plane, self, status, censored=censored, now=now)

    def _conclude(self, status: Status) -> None:
        conclude(self._plane, self, status, self._message.headers)
