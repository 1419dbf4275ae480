"""Cocktail: several variants answer every request and vote. A model of it beside the simulator, for one that sends each
request to a single variant cannot play it.

Source: Gunasekaran et al., "Cocktail: A Multidimensional Optimization for Model Serving in Cloud" (NSDI 2022). Members
are taken by accuracy over latency, among those fast enough, until an independent majority vote is as accurate as the
best single variant. Every 30 s, when most requests had more than n / 2 + 1 votes alike, as many of the least useful
members are dropped as did not vote with the majority; when the interval was less accurate than wanted one is added.

The model flatters it: one replica of each member is always on, nobody queues, a start takes its median, and the truth
of every answer is known at once. Against it: of a vote only right and wrong are known, so all wrong answers count as
the same one. A vote is weighted by how often the member was right so far; members that would be late are left out.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import count

from warmfront.domain import Reason, Status
from warmfront.errors import SetupError
from warmfront.experiments.simulation.simulator import Run
from warmfront.experiments.simulation.world import Case, Truth, World
from warmfront.telemetry.records import ReplicaRow, RequestRow

NAME = "cocktail"
INTERVAL_S = 30.0
PRIOR = 20.0  # answers that the profile's accuracy counts as
STRICT = 0.1  # quantile of the deadlines that members must be fast enough for
_Z95 = 1.6448536269514722


def cocktail(
    world: World, cases: Sequence[Case], *, seed: int, run_id: str = "run", until_s: float | None = None
) -> Run:
    """Rows as of a simulation; `variant` of a request names all members that voted.

    Raises SetupError for a closed loop or a world that changes: the model has neither.
    """
    check(world)
    return _Ensemble(world, cases, seed, run_id).run(until_s)


def check(world: World) -> None:
    """SetupError for a world that the model does not have."""
    if world.streams or world.changes:
        raise SetupError(f"{NAME}: found callers who wait or drift, wanted a scenario without")


def majority(accuracy: float, voters: int) -> float:
    """P(more than half of `voters`, each right with that probability and on its own, are right)."""
    return sum(
        math.comb(voters, i) * accuracy**i * (1 - accuracy) ** (voters - i) for i in range(voters // 2 + 1, voters + 1)
    )


def took_s(truth: Truth, case: Case, hop_s: float) -> float:
    """How long one execution of the case takes, there and back included."""
    sigma = math.log(truth.execution_s.p95 / truth.execution_s.p50) / _Z95
    execution_s = truth.execution_s.p50 * math.exp(sigma * case.luck)
    execution_s += truth.execution_per_kib_s * case.request.size_bytes / 1024
    return execution_s + hop_s + truth.network_s.get(case.request.region, 0.0)


class _Ensemble:
    """The members over the time of one run."""

    def __init__(self, world: World, cases: Sequence[Case], seed: int, run_id: str) -> None:
        self._world, self._cases, self._seed, self._run_id = world, cases, seed, run_id
        self._right = {i: (PRIOR * truth.accuracy, PRIOR) for i, truth in enumerate(world.truths)}
        self._wanted = max(truth.accuracy for truth in world.truths)
        self._order = self._ordered()
        self._on: dict[int, float] = {}  # since when
        self._agreed: Counter[int] = Counter()  # of the present interval: how many voted alike
        self._results: list[bool] = []
        self._run = Run()

    def _ordered(self) -> list[int]:
        """Most accuracy for its latency first, of those fast enough for nearly all deadlines; else the fastest."""
        truths = self._world.truths
        deadlines = sorted(
            c.request.deadline_at - c.request.arrival_at for c in self._cases if c.request.deadline_at is not None
        )
        strict_s = deadlines[int(STRICT * len(deadlines))] if deadlines else math.inf
        fast = [i for i, truth in enumerate(truths) if truth.execution_s.p95 + self._world.hop_s <= strict_s]
        fast = fast or [min(range(len(truths)), key=lambda i: truths[i].execution_s.p50)]
        return sorted(fast, key=lambda i: -truths[i].accuracy / truths[i].execution_s.p50)

    def run(self, until_s: float | None) -> Run:
        truths = self._world.truths
        for size in count(1):
            chosen = self._order[:size]
            mean = sum(truths[i].accuracy for i in chosen) / len(chosen)
            if size >= len(self._order) or majority(mean, size) >= self._wanted:
                break
        self._on = dict.fromkeys(chosen, 0.0)
        end, interval_ends = until_s or 0.0, INTERVAL_S
        for case in self._cases:
            now = case.request.arrival_at
            while interval_ends <= now:
                self._adapt(interval_ends)
                interval_ends += INTERVAL_S
            end = max(end, now + self._answer(case, now))
        self._run.end_s = end
        for i in list(self._on):
            self._stop(i, end)
        return self._run

    def _ready_at(self, i: int) -> float:
        return self._on[i] + self._world.platform_start_s.p50 + self._world.truths[i].load_s.p50

    def _stop(self, i: int, now: float) -> None:
        truth, ready_at = self._world.truths[i], self._ready_at(i)
        self._run.replicas.append(
            ReplicaRow(
                run_id=self._run_id, variant=truth.variant.name, revision=truth.variant.revision,
                requested_s=self._on.pop(i), ready_s=min(ready_at, now), stopped_s=now, cause="keep",
                memory_mb=truth.memory_mb,
            )
        )  # fmt: skip

    def _adapt(self, now: float) -> None:
        """Smaller when votes are more alike than they need be, larger when that was not accurate enough."""
        members, results = len(self._on), self._results
        if not results:
            return
        alike = self._agreed.most_common(1)[0][0]
        if sum(results) / len(results) < self._wanted:
            spare = [i for i in self._order if i not in self._on]
            self._on |= dict.fromkeys(spare[:1], now)
        elif alike > members / 2 + 1:
            useful = sorted(self._on, key=lambda i: self._right[i][0] / self._right[i][1])
            for i in useful[: members - alike]:
                self._stop(i, now)
        self._agreed, self._results = Counter(), []

    def _answer(self, case: Case, now: float) -> float:
        """Let those vote that are in time; the answer's latency."""
        request, truths = case.request, self._world.truths
        budget_s = math.inf if request.deadline_at is None else request.deadline_at - now
        latencies = {
            i: max(self._ready_at(i) - now, 0.0) + took_s(truths[i], case, self._world.hop_s) for i in self._on
        }
        voters = [i for i, latency in latencies.items() if latency <= budget_s]
        in_time = bool(voters)
        voters = voters or [min(latencies, key=lambda i: latencies[i])]
        correct = self._vote(case, voters)
        latency_s = max(latencies[i] for i in voters)
        names = [truths[i].variant.name for i in voters]
        waited_s = max(0.0, *(self._ready_at(i) - now for i in voters))
        self._run.requests.append(
            RequestRow(
                run_id=self._run_id, policy=NAME, seed=self._seed, request_id=request.id, task=request.task,
                arrival_s=now, deadline_s=None if request.deadline_at is None else budget_s,
                min_accuracy=request.min_accuracy, variant="+".join(names), revision=None,
                reason=(Reason.CHOSEN if in_time else Reason.DEGRADED).value, predicted_s=None, probability=None,
                cold=waited_s > 0, queued_s=waited_s, latency_s=latency_s, on_time=in_time, correct=correct,
                status=(Status.OK if in_time else Status.LATE).value,
                latency_weight=None if request.weights is None else request.weights.latency_share,
            )
        )  # fmt: skip
        return latency_s

    def _vote(self, case: Case, voters: Sequence[int]) -> bool:
        """Whether the heavier side is right; the heaviest voter decides a draw. Everybody learns."""
        truths, weight = self._world.truths, {i: self._right[i][0] / self._right[i][1] for i in voters}
        right = {i: case.right[i] if case.right else case.hardness < truths[i].accuracy for i in voters}
        balance = sum(weight[i] if right[i] else -weight[i] for i in voters)
        correct = right[max(voters, key=lambda i: weight[i])] if abs(balance) < 1e-12 else balance > 0
        for i in voters:
            sure, asked = self._right[i]
            self._right[i] = (sure + right[i], asked + 1)
        self._agreed[max(sum(right.values()), len(voters) - sum(right.values()))] += 1
        self._results.append(correct)
        return correct
