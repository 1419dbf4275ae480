"""Drives a Selector through a workload on a virtual clock, by the five calls that the gateway uses and nothing else.

The world is as simple as it can be: at most one replica per variant. It starts when a request (or the plan) wants it,
takes a sampled time to become ready, serves up to its concurrency, queues the rest in order, and stops when it has been
idle for the window. What must not live here: any knowledge of how the selector chooses; the autoscaler's rules.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from warmfront.domain import Candidate, Decision, Observation, Outcome, Request, Spread, Status, Variant
from warmfront.experiments.several import Several
from warmfront.selection.selector import Selector
from warmfront.telemetry.records import ReplicaRow, RequestRow

Z95 = 1.6448536269514722
PLAN_TICK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How a variant really behaves, whatever its profile declares. `cold_start_s` is asked for to ready."""

    variant: Variant
    accuracy: float
    execution_s: Spread
    cold_start_s: Spread
    network_s: float = 0.001


@dataclass(slots=True)
class Run:
    """What came out: request rows in order of their ends, replica rows in order of theirs."""

    requests: list[RequestRow] = field(default_factory=list)
    replicas: list[ReplicaRow] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Job:
    """One request under way. `luck` and `hardness` belong to the request: every policy meets the same ones."""

    request: Request
    decision: Decision
    chosen: Candidate
    luck: float
    hardness: float
    began_at: float = math.nan


@dataclass(slots=True, eq=False)
class _Replica:
    truth: Truth
    requested_at: float | None = None
    ready_at: float | None = None
    cause: str = ""
    running: int = 0
    used_at: float = 0.0
    queue: deque[_Job] = field(default_factory=deque)


class Driver:
    """A virtual clock, the world behind it, and the selector in front. Same seeds, same rows."""

    def __init__(
        self,
        selector: Selector | Several,
        truths: Sequence[Truth],
        *,
        rng: random.Random,
        window_s: float = 60.0,
        run_id: str = "run",
        seed: int | None = None,
    ) -> None:
        self._selector = selector
        self._replicas = {truth.variant.name: _Replica(truth) for truth in truths}
        self._rng = rng
        self._starts = random.Random(rng.random())
        self._window_s = window_s
        self._run_id, self._seed = run_id, seed
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._ties = count()
        self.result = Run()

    def run(self, requests: Iterable[Request]) -> Run:
        """Play the requests at their `arrival_at`, to the end of the last replica. A driver plays once."""
        last = 0.0
        for replica in self._replicas.values():
            self._show(replica, 0.0)
        for request in requests:
            luck, hardness = self._rng.gauss(0, 1), self._rng.random()
            last = max(last, request.arrival_at)
            self._at(request.arrival_at, partial(self._arrive, request, luck, hardness))
        self._at(0.0, partial(self._plan, last))
        while self._heap:
            now, _, act = heapq.heappop(self._heap)
            act(now)
        return self.result

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._ties), act))

    def _plan(self, last: float, now: float) -> None:
        for start in self._selector.plan(now):
            self._wake(self._replicas[start.variant], "background", now)
        if now < last:
            self._at(now + PLAN_TICK_S, partial(self._plan, last))

    def _arrive(self, request: Request, luck: float, hardness: float, now: float) -> None:
        decision = self._selector.decide(request, now)
        if decision.chosen is None:
            self.result.requests.append(self._row(decision, None, Status.REJECTED, 0.0, 0.0, correct=None))
            return
        self._selector.started(decision, now)
        replica = self._replicas[decision.chosen.variant.name]
        replica.queue.append(_Job(request, decision, decision.chosen, luck, hardness))
        self._wake(replica, "request", now)
        self._serve(replica, now)

    def _wake(self, replica: _Replica, cause: str, now: float) -> None:
        if replica.requested_at is None:
            replica.requested_at, replica.cause = now, cause
            self._at(now + _drawn(replica.truth.cold_start_s, self._starts.gauss(0, 1)), partial(self._up, replica))
            self._show(replica, now)

    def _up(self, replica: _Replica, now: float) -> None:
        replica.ready_at = now
        self._show(replica, now)
        self._serve(replica, now)
        self._rest(replica, now)

    def _serve(self, replica: _Replica, now: float) -> None:
        limit = replica.truth.variant.concurrency or math.inf
        while replica.ready_at is not None and replica.queue and replica.running < limit:
            job = replica.queue.popleft()
            job.began_at = now
            replica.running += 1
            took = _drawn(replica.truth.execution_s, job.luck) + replica.truth.network_s
            self._at(now + took, partial(self._end, replica, job))

    def _end(self, replica: _Replica, job: _Job, now: float) -> None:
        replica.running -= 1
        request, truth = job.request, replica.truth
        latency_s = now - request.arrival_at
        late = request.deadline_at is not None and now > request.deadline_at
        status = Status.LATE if late else Status.OK
        outcome = Outcome(
            decision_id=job.decision.id, status=status, latency_s=latency_s, upstream_s=latency_s,
            cold=job.decision.cold, execution_s=now - job.began_at - truth.network_s,
        )  # fmt: skip
        self._selector.observe(outcome, now)
        queued_s = job.began_at - request.arrival_at
        correct = job.hardness < truth.accuracy
        self.result.requests.append(self._row(job.decision, job.chosen, status, queued_s, latency_s, correct=correct))
        self._serve(replica, now)
        self._rest(replica, now)

    def _rest(self, replica: _Replica, now: float) -> None:
        """Idle from now on, unless something comes: look again when the window is over."""
        if not replica.running:
            replica.used_at = now
            self._at(now + self._window_s, partial(self._stop, replica, now))

    def _stop(self, replica: _Replica, idle_since: float, now: float) -> None:
        if replica.running or replica.used_at != idle_since or replica.requested_at is None or replica.ready_at is None:
            return
        variant = replica.truth.variant
        row = ReplicaRow(
            run_id=self._run_id, variant=variant.name, revision=variant.revision, requested_s=replica.requested_at,
            ready_s=replica.ready_at, stopped_s=now, cause=replica.cause, memory_mb=variant.profile.memory_mb,
        )  # fmt: skip
        self.result.replicas.append(row)
        replica.requested_at = replica.ready_at = None
        self._show(replica, now)

    def _show(self, replica: _Replica, now: float) -> None:
        """Tell the selector what can be seen of the variant."""
        ready = replica.ready_at is not None
        starting = () if ready or replica.requested_at is None else (replica.requested_at,)
        self._selector.update(Observation(variant=replica.truth.variant, ready=int(ready), starting_at=starting), now)

    def _row(
        self, decision: Decision, chosen: Candidate | None, status: Status, queued_s: float, latency_s: float, *,
        correct: bool | None,
    ) -> RequestRow:  # fmt: skip
        request, deadline = decision.request, decision.request.deadline_at
        return RequestRow(
            run_id=self._run_id, policy=decision.policy, seed=self._seed, request_id=request.id, task=request.task,
            arrival_s=request.arrival_at, deadline_s=None if deadline is None else deadline - request.arrival_at,
            min_accuracy=request.min_accuracy, variant=chosen and chosen.variant.name,
            revision=chosen and chosen.variant.revision, reason=decision.reason.value,
            predicted_s=chosen and chosen.predicted_s, probability=chosen and chosen.probability, cold=decision.cold,
            queued_s=queued_s, latency_s=latency_s, on_time=status is Status.OK, correct=correct, status=status.value,
        )  # fmt: skip


def _drawn(spread: Spread, luck: float) -> float:
    """The duration, lognormal through the spread, at `luck` standard deviations."""
    return spread.p50 * math.exp(luck * math.log(spread.p95 / spread.p50) / Z95)
