"""Plays requests to a selector in front of simulated stations: a virtual clock and the gateway's part.

The selector is driven by its five calls alone. As in the gateway (gateway/forwarding.py), a request that fails in time
is tried once more with the variant excluded, and an answer that comes late is an answer; at a decision's `hedge_at` a
second variant is asked too, the first answer counts and the other try is given up. The plan is asked for on every
whole second; those in which it can have nothing new are left out.

    run = simulate(world, cases, lambda: Selector(policy=POLICIES["effective"](rng=random.Random(1))), seed=1)
    sum(row.on_time and row.correct for row in run.requests) / len(run.requests)
"""

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from warmfront.domain import Decision, Feedback, Keep, Observation, Outcome, Reason, Request, Start, Status
from warmfront.errors import NotFound
from warmfront.experiments.several import Several
from warmfront.experiments.simulation.explaining import decision_row
from warmfront.experiments.simulation.passage import Passage
from warmfront.experiments.simulation.station import Job, Station
from warmfront.experiments.simulation.world import Case, Change, Truth, World
from warmfront.selection.selector import Selector
from warmfront.telemetry.records import DecisionRow, ReplicaRow, RequestRow

LONG_WAY_S = 0.002  # a shorter way there and back is part of the execution; a longer one leaves the replica free


@dataclass(slots=True)
class Run:
    """What came out: request rows in the order of their ends, replica rows in that of theirs, and when it was over.

    Decision rows, in the order in which they were taken, are made only when wanted.
    """

    requests: list[RequestRow] = field(default_factory=list)
    replicas: list[ReplicaRow] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    end_s: float = 0.0


def simulate(
    world: World,
    cases: Sequence[Case],
    selector_factory: Callable[[], Selector],
    *,
    seed: int,
    run_id: str = "run",
    until_s: float | None = None,
    explain: bool = False,
) -> Run:
    """Play `cases`, in order of arrival, to the last answer, and at least until `until_s`; replicas cost until then.

    Same arguments, same rows. The n-th start of a variant takes as long under every policy. With `explain` every
    decision becomes a row.
    """
    if world.selectors == 1:
        selector: Selector | Several = selector_factory()
    else:
        selectors = [selector_factory() for _ in range(world.selectors)]
        selector = Several(selectors, exchange_s=world.exchange_s, rng=random.Random(f"{seed}/deal"))
    return Simulator(world, cases, selector, seed=seed, run_id=run_id, explain=explain).run(until_s)


class Simulator:
    """One run; see `simulate`."""

    def __init__(
        self, world: World, cases: Sequence[Case], selector: Selector | Several, *, seed: int, run_id: str,
        explain: bool = False,
    ) -> None:  # fmt: skip
        self._world, self._selector = world, selector
        self._cases = list(cases)
        self._unasked = iter(range(len(cases)))  # by the callers of a closed loop
        self._seed, self._run_id = seed, run_id
        self._decided = self._explained if explain else self._decide
        self._heap: list[tuple[float, int, Callable[[float, Any], None], Any]] = []
        self._ties = count()
        self._plan_at = 0.0
        self._open = 0
        self._index = {truth.variant.name: i for i, truth in enumerate(world.truths)}
        self._stations: dict[str, Station] = {}
        told, fate = random.Random(f"{seed}/feedback"), random.Random(f"{seed}/failures")
        second = random.Random(f"{seed}/second")
        self._told = [told.random() < world.feedback_share for _ in cases] if world.feedback_share else []
        self._fates = [(fate.random(), fate.random()) for _ in cases]  # of the first try and the second
        self._second_luck = [second.gauss(0.0, 1.0) for _ in cases]
        self.result = Run()

    def at(self, when: float, act: Callable[[float, Any], None], what: Any) -> None:
        """Call `act(when, what)` then."""
        heapq.heappush(self._heap, (when, next(self._ties), act, what))

    def run(self, until_s: float | None = None) -> Run:
        """Play to the end. Once."""
        for truth in self._world.truths:
            self._open_station(truth, 0.0)
        for change in self._world.changes:
            self.at(change.at_s, self._change, change)
        heap, cases, arrive = self._heap, self._cases, self._arrive
        total, index, now = len(cases), 0, 0.0
        end = max(until_s or 0.0, cases[-1].request.arrival_at if cases else 0.0)
        if self._world.streams:  # all cases are due, and none arrives by itself
            self._open, total = total, 0
            for _ in range(self._world.streams):
                self.at(0.0, self._ask, None)
        next_arrival = cases[0].request.arrival_at if total else math.inf
        while True:
            when = heap[0][0] if heap else math.inf
            if self._plan_at <= when and self._plan_at <= next_arrival:
                when = self._plan_at
                if when > end and not self._open:
                    break
                self._plan(when)
            elif next_arrival <= when:
                now = next_arrival
                arrive(now, index)
                index += 1
                next_arrival = cases[index].request.arrival_at if index < total else math.inf
            elif when > end and not self._open:
                break
            else:
                now, _, act, what = heapq.heappop(heap)
                act(now, what)
        self.result.end_s = max(end, now)
        for station in self._stations.values():
            station.end(self.result.end_s)
        return self.result

    # the world

    def _open_station(self, truth: Truth, now: float) -> None:
        name = truth.variant.name
        rng = random.Random(f"{self._seed}/starts/{name}")
        self._stations[name] = station = Station(
            truth,
            platform_s=self._world.platform_start_s,
            clock=self,
            rng=rng,
            rows=self.result.replicas,
            run_id=self._run_id,
            changed=self._changed,
            now=now,
        )
        if now:
            self._see(now, station.observation)
        else:
            self._show(now, station.observation)

    def _changed(self, station: Station, now: float) -> None:
        self._see(now, station.observation)

    def _see(self, now: float, observation: Observation) -> None:
        if self._world.observed_after_s:
            self.at(now + self._world.observed_after_s, self._show, observation)
        else:
            self._show(now, observation)

    def _show(self, now: float, observation: Observation) -> None:
        self._selector.update(observation, now)
        self._look(now)

    def _change(self, now: float, change: Change) -> None:
        station = self._stations.get(change.name)
        if change.truth is None:
            if station is not None:
                del self._stations[change.name]
                left = station.end(now)
                self._see(now, Observation(variant=station.truth.variant, gone=True))
                for job in left:
                    if job.what is not None:
                        self._failed(now, job.what)
        elif station is None:
            self._index.setdefault(change.name, len(self._index))
            self._open_station(change.truth, now)
        else:
            station.become(change.truth)
            self._changed(station, now)

    # the plan

    def _look(self, now: float) -> None:
        """Something has changed: ask for the plan on the next whole second."""
        when = math.floor(now) + 1.0
        self._plan_at = min(self._plan_at, when)

    def _plan(self, now: float) -> None:
        for action in self._selector.plan(now):
            station = self._stations.get(action.variant)
            if station is None:
                continue
            if isinstance(action, Start):
                station.enter(Job(_nothing, 0.0, 0, None), now, "background")
            elif isinstance(action, Keep):
                station.keep(now, action.until_at, action.replicas)
            else:
                station.release(now)
        when = self._selector.next_plan_at()
        self._plan_at = when if when == math.inf else math.ceil(max(now + 1.0, when))

    # requests

    def _ask(self, now: float, _: None) -> None:
        """A caller of the closed loop takes the next case, with as much time as it has."""
        index = next(self._unasked, None)
        if index is None:
            return
        case = self._cases[index]
        request = case.request
        deadline = None if request.deadline_at is None else now + request.deadline_at - request.arrival_at
        self._cases[index] = case._replace(request=request._replace(arrival_at=now, deadline_at=deadline))
        self._open -= 1
        self._arrive(now, index)

    def _arrive(self, now: float, index: int) -> None:
        self._open += 1
        case = self._cases[index]
        self._send(now, case, index, self._decided(now, case, case.request))

    def _explained(self, now: float, case: Case, request: Request) -> Decision:
        decision = self._decide(now, case, request)
        self.result.decisions.append(decision_row(decision, now, run_id=self._run_id, seed=self._seed))
        return decision

    def _decide(self, now: float, case: Case, request: Request) -> Decision:  # noqa: ARG002 - an oracle looks at it
        return self._selector.decide(request, now)

    def _send(self, now: float, case: Case, index: int, decision: Decision, beside: Passage | None = None) -> None:
        chosen = decision.chosen
        if chosen is None:
            self._close(case, decision, Status.REJECTED if decision.reason is Reason.UNMET else Status.FAILED)
            return
        self._selector.started(decision, now)
        self._look(now)
        station = self._stations.get(chosen.variant.name)
        passage = Passage(case, index, decision, station, now)
        luck = case.luck
        if beside is not None:
            beside.other, passage.other, luck = passage, beside, self._second_luck[index]
        elif decision.hedge_at is not None and not self._tried(passage):
            self.at(decision.hedge_at, self._hedge, passage)
        job = passage.job = Job(self._executed, luck, case.request.size_bytes, passage)
        if station is None or not station.enter(job, now, "request"):
            self._failed(now, passage)

    def _hedge(self, now: float, passage: Passage) -> None:
        """It was not answered so far: ask a second variant beside it, if that is still worth it."""
        decision = passage.decision
        if passage.over or decision.chosen is None:
            return
        excluded = decision.request.excluded | {decision.chosen.variant.name}
        request = decision.request._replace(excluded=excluded, hedges=decision.id)
        second = self._decided(now, passage.case, request)
        if second.chosen is not None:
            self._send(now, passage.case, passage.index, second, passage)

    def _executed(self, now: float, job: Job) -> None:
        passage: Passage = job.what
        case, station = passage.case, passage.station
        assert station is not None
        truth = station.truth
        if truth.failure_rate and self._fates[passage.index][self._tried(passage)] < truth.failure_rate:
            self._failed(now, passage)
            return
        way_s = self._world.hop_s + truth.network_s.get(case.request.region, 0.0)
        correct = self._is_right(case, station)
        answered = (passage, now - job.began_at, job.began_at, correct)
        if way_s > LONG_WAY_S:
            self.at(now + way_s, self._answered, answered)
        else:
            self._answered(now, answered, way_s)

    def _tried(self, passage: Passage) -> bool:
        """Whether this is the second try."""
        return passage.decision.request.excluded != passage.case.request.excluded

    def _is_right(self, case: Case, station: Station) -> bool:
        if case.right is None:
            return case.hardness < station.truth.accuracy
        return case.right[self._index[station.truth.variant.name]]

    def _answered(self, now: float, answered: tuple[Passage, float, float, bool], way_s: float = 0.0) -> None:
        passage, execution_s, began_at, correct = answered
        if passage.over:
            return
        passage.over, other = True, passage.other
        request, decision = passage.case.request, passage.decision
        latency_s = now + way_s - request.arrival_at
        deadline = request.deadline_at
        status = Status.OK if deadline is None or now + way_s <= deadline else Status.LATE
        waited_s = began_at - passage.sent_at
        outcome = Outcome(
            decision.id, status, latency_s, now + way_s - passage.sent_at, execution_s, decision.cold and waited_s > 0
        )
        self._observe(outcome, now)
        if other is not None and passage.rivalled:
            self._give_up(now, other)
        if self._told and self._told[passage.index]:
            feedback = Feedback(decision_id=decision.id, correct=float(correct))
            self.at(now + self._world.feedback_delay_s, self._judge, feedback)
        queued_s = began_at - request.arrival_at
        self._close(
            passage.case, decision, status, latency_s, queued_s=queued_s, correct=correct, hedged=other is not None
        )
        self._look(now)

    def _give_up(self, now: float, passage: Passage) -> None:
        """Another variant has answered: all that is known of this try is that it would have taken longer."""
        assert passage.station is not None
        assert passage.job is not None
        passage.over = True
        latency_s, waited_s = now - passage.case.request.arrival_at, now - passage.sent_at
        outcome = Outcome(
            passage.decision.id, Status.LATE, latency_s, waited_s, cold=passage.decision.cold, censored=True
        )
        self._observe(outcome, now)
        passage.station.withdraw(passage.job, now)

    def _judge(self, now: float, feedback: Feedback) -> None:
        self._observe(feedback, now)

    def _observe(self, outcome: Outcome | Feedback, now: float) -> None:
        """Tell; too many requests may have come since for the selector to remember this one."""
        try:  # not suppress(): it is asked once per request
            self._selector.observe(outcome, now)
        except NotFound:
            return

    def _failed(self, now: float, passage: Passage) -> None:
        """Tell, and try once more elsewhere, if there is time and somebody."""
        case, decision, other = passage.case, passage.decision, passage.other
        request, chosen = case.request, decision.chosen
        assert chosen is not None
        passage.over = True
        latency_s = now - request.arrival_at
        self._observe(Outcome(decision.id, Status.FAILED, latency_s, now - passage.sent_at), now)
        if passage.rivalled:
            return
        if other is None and not self._tried(passage) and (request.deadline_at is None or now < request.deadline_at):
            elsewhere = request._replace(excluded=request.excluded | {chosen.variant.name})
            again = self._decided(now, case, elsewhere)
            if again.chosen is not None:
                self._send(now, case, passage.index, again)
                return
        self._close(case, decision, Status.FAILED, latency_s, hedged=other is not None)

    def _close(
        self, case: Case, decision: Decision, status: Status, latency_s: float = 0.0, *,
        queued_s: float = 0.0, correct: bool | None = None, hedged: bool = False,
    ) -> None:  # fmt: skip
        """Write the row of a case that is over."""
        self._open -= 1
        request, chosen = case.request, decision.chosen
        arrival, deadline = request.arrival_at, request.deadline_at
        variant = None if chosen is None else chosen.variant
        self.result.requests.append(
            RequestRow(
                run_id=self._run_id, policy=decision.policy, seed=self._seed, request_id=request.id, task=request.task,
                arrival_s=arrival, deadline_s=None if deadline is None else deadline - arrival,
                min_accuracy=request.min_accuracy, variant=None if variant is None else variant.name,
                revision=None if variant is None else variant.revision, reason=decision.reason.value,
                predicted_s=None if chosen is None else chosen.predicted_s,
                probability=None if chosen is None else chosen.probability,
                cold=decision.cold and queued_s > 0, queued_s=queued_s, latency_s=latency_s,
                on_time=status is Status.OK, correct=correct, status=status.value, hedged=hedged,
                latency_weight=None if request.weights is None else request.weights.latency_share,
            )
        )  # fmt: skip
        if self._world.streams:
            self.at(arrival + latency_s + self._world.pause_s, self._ask, None)


def _nothing(now: float, job: Job) -> None:
    """A wake is answered: nobody waits for it."""
