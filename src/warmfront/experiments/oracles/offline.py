"""The offline optimum with hold: the best warm sets and answers for arrivals that are all known in advance.

A dynamic programme over warm sets (Bellman 1957), one stage per request, one state per set of variants that is ready
when the request comes. Its assumptions, all to the optimum's favour, so that it bounds every policy from above:

- it knows every arrival and deadline and how long starts and executions take (their medians), not which answers will be
  right: an answer of v is worth v's mean accuracy if it is in time;
- replicas are never full, and there is one of each variant at most;
- a replica may be started so as to be ready exactly when it is wanted, and costs its start and nothing while it waits;
- whatever answers a request is held by the platform for `hold_s`, or until the next request: what is left of the hold
  then costs nothing any more, unless it is wanted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from warmfront.domain import Request
from warmfront.errors import SetupError
from warmfront.experiments.simulation.world import Case, Truth, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """Per request: `utility` = share right and in time less the price of memory; expected by mean accuracies.

    `answered_by` names the variant of each case, and `in_time` says whether it is; `gb_s` is the memory of the run.
    """

    utility: float
    effective_accuracy: float
    gb_s: float
    answered_by: tuple[str, ...]
    in_time: tuple[bool, ...]

    def realised(self, world: World, cases: Sequence[Case], price_per_gb_s: float) -> float:
        """The utility of the same answers by the correctness that the cases record: to be paired with a run of them."""
        names = [truth.variant.name for truth in world.truths]
        right = 0
        for case, name, timely in zip(cases, self.answered_by, self.in_time, strict=True):
            v = names.index(name)
            correct = case.hardness < world.truths[v].accuracy if case.right is None else case.right[v]
            right += timely and correct
        return (right - price_per_gb_s * self.gb_s) / len(cases)


@dataclass(frozen=True, slots=True)
class _Variant:
    truth: Truth
    start_s: float
    price: float  # utility per second

    def worth(self, request: Request, start_s: float) -> float:
        """Mean accuracy if an answer after a start of `start_s` is in time, else 0."""
        truth = self.truth
        took = start_s + truth.execution_s.p50 + truth.execution_per_kib_s * request.size_bytes / 1024
        took += truth.network_s.get(request.region, 0.0)
        left = math.inf if request.deadline_at is None else request.deadline_at - request.arrival_at
        return truth.accuracy if took <= left else 0.0


def offline_optimum(
    world: World, cases: Sequence[Case], *, hold_s: float = 60.0, price_per_gb_s: float = 0.001
) -> Optimum:
    """Solve it. Takes time in proportion to cases * n^2 * 2^n for n variants.

    Raises ValueError without cases, SetupError when memory costs nothing: then everything is kept, and how much of it
    is no question.
    """
    if not cases:
        raise ValueError("there is no case to be optimal for")
    if price_per_gb_s <= 0:
        raise SetupError(f"offline-optimum: found selector.price_per_gb_s = {price_per_gb_s:g}, wanted more than 0")
    variants = [
        _Variant(t, world.platform_start_s.p50 + t.load_s.p50, t.memory_mb / 1000 * price_per_gb_s)
        for t in world.truths
    ]
    requests = [case.request for case in cases]
    gaps = [later.arrival_at - sooner.arrival_at for sooner, later in pairwise(requests)]
    values, choices = _solve(variants, requests, [*gaps, math.inf], hold_s)
    first = _ahead(variants, values)
    answers, sets = _follow(variants, requests, choices, first)
    costs = _cost(variants, sets, [v for v, _ in answers], [*gaps, math.inf], hold_s)
    worths = [worth for _, worth in answers]
    total = sum(worths) - costs
    return Optimum(
        utility=total / len(cases),
        effective_accuracy=sum(worths) / len(cases),
        gb_s=costs / price_per_gb_s,
        answered_by=tuple(variants[v].truth.variant.name for v, _ in answers),
        in_time=tuple(worth > 0 for worth in worths),
    )


def _ahead(variants: Sequence[_Variant], values: Sequence[float]) -> int:
    """The best set to have ready for the first request, each started just in time."""
    return max(
        range(len(values)),
        key=lambda s: values[s] - sum(one.price * one.start_s for v, one in enumerate(variants) if s >> v & 1),
    )


def _solve(
    variants: Sequence[_Variant], requests: Sequence[Request], gaps: Sequence[float], hold_s: float
) -> tuple[list[float], list[list[tuple[int, int]]]]:
    """From the last request to the first: every set's value; per request and set, who answers and what is next."""
    n = len(variants)
    everything = range(1 << n)
    next_values = [0.0] * (1 << n)
    choices: list[list[tuple[int, int]]] = []
    for request, gap in zip(reversed(requests), reversed(gaps), strict=True):
        best = [-math.inf] * (1 << n)
        chosen = [(0, 0)] * (1 << n)
        warm = [one.worth(request, 0.0) for one in variants]
        cold = [one.worth(request, one.start_s) - one.price * one.start_s for one in variants]
        for v in range(n):
            onward, targets = _onward(variants, next_values, v, gap, hold_s)
            bit = 1 << v
            for s in everything:
                value = (warm[v] if s & bit else cold[v]) + onward[s | bit]
                if value > best[s]:
                    best[s], chosen[s] = value, (v, targets[s | bit])
        choices.append(chosen)
        next_values = best
    choices.reverse()
    return next_values, choices


def _onward(
    variants: Sequence[_Variant], next_values: Sequence[float], answered: int, gap: float, hold_s: float
) -> tuple[list[float], list[int]]:
    """What the future is worth after `answered` answered, by the set awake; and the set to have at the next request.

    Costs add up over variants, so the best next set is found one variant at a time.
    """
    held = variants[answered].price * min(gap, hold_s)
    value, target = list(next_values), list(range(len(next_values)))
    for u, one in enumerate(variants):
        bit = 1 << u
        stay = one.price * min(max(gap - hold_s, 0.0) if u == answered else gap, one.start_s)
        fresh = one.price * one.start_s
        for s in range(len(value)):
            if not s & bit:
                with_, without = s | bit, s
                up, down = value[with_], value[without]
                awake = (up - stay, target[with_]) if up - stay >= down else (down, target[without])
                asleep = (up - fresh, target[with_]) if up - fresh > down else (down, target[without])
                (value[with_], target[with_]), (value[without], target[without]) = awake, asleep
    return [one - held for one in value], target


def _follow(
    variants: Sequence[_Variant], requests: Sequence[Request], choices: Sequence[Sequence[tuple[int, int]]], first: int
) -> tuple[list[tuple[int, float]], list[int]]:
    """Who answers each request and what that is worth, and the set that is ready for it, from the first on."""
    answers, sets, s = [], [], first
    for request, chosen in zip(requests, choices, strict=True):
        sets.append(s)
        v, after = chosen[s]
        answers.append((v, variants[v].worth(request, 0.0 if s >> v & 1 else variants[v].start_s)))
        s = after
    return answers, sets


def _cost(
    variants: Sequence[_Variant], sets: Sequence[int], answered: Sequence[int], gaps: Sequence[float], hold_s: float
) -> float:
    """What a plan costs, counted anew from what it does: starts, holds, and what stays awake in between."""
    cost = sum(one.price * one.start_s for v, one in enumerate(variants) if sets[0] >> v & 1)
    for i, (s, v, gap) in enumerate(zip(sets, answered, gaps, strict=True)):
        if not s >> v & 1:
            cost += variants[v].price * variants[v].start_s
        awake = s | 1 << v
        cost += variants[v].price * min(gap, hold_s)
        after = sets[i + 1] if i + 1 < len(sets) else 0
        for u, one in enumerate(variants):
            if after >> u & 1:
                stay = max(gap - hold_s, 0.0) if u == v else gap
                cost += one.price * (min(stay, one.start_s) if awake >> u & 1 else one.start_s)
    return cost
