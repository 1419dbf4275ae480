"""InfAdapter: replicas of a set of variants, and the shares they answer, by a small integer programme."""

from collections import deque
from collections.abc import Iterator, Sequence
from math import ceil, inf
from typing import NamedTuple

from warmfront.domain import Action, Candidate, Keep, Release, Variant
from warmfront.selection.policies.base import Generator
from warmfront.selection.policies.comparing import Comparing, Moment
from warmfront.selection.settings import SelectorSettings

PERIOD_S = 30.0
HEADROOM = 1.1  # the forecast times that is provided for
USABLE = 0.8  # of the throughput
COST, LOADING = 0.05, 0.001  # alpha and beta
QUIET = 4  # periods that must be quieter before it shrinks
MOST_VARIANTS = 5
STEPS = 5  # numbers of replicas of each that are tried
BUDGETS = 64
STRICT = 0.1  # quantile of recent deadlines that is the deadline


class InfAdapter(Comparing):
    """Every 30 s: the replicas that maximise accuracy - alpha * resources - beta * loading, and the shares of each.

    Source: Salmani et al., "Reconciling High Accuracy, Cost-Efficiency, and Low Latency of Inference Serving Systems"
    (InfAdapter, EuroMLSys 2023). max sum_v (l_v / l) a_v - 0.05 GB / most GB - 0.001 max load of those changed / max
    load, so that the capacities sum to l, the most accurate taking what they can. A variant's capacity is 0.8 of
    replicas times concurrency over execution, 0 if its 95th percentile is too late for the strictest tenth of recent
    deadlines. l is 1.1 times the rate of the last period, at least one request in it, and shrinks after four quieter
    periods. Requests go by smooth weighted round robin. Solved by enumeration over the five most accurate of the front.
    Cores there are gigabytes here, at most `max_warm_gb`; the forecast there is an LSTM's. It never scales to zero.

    Before the first solution: the most accurate that fits into the deadline.
    """

    name = "infadapter"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._tasks: dict[str, _Task] = {}

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """How far each is behind its share, at most 1; before the first solution accuracy if it fits."""
        task = self._tasks.get(moment.request.task)
        if task is None or not task.shares:
            fits = [moment.forecasts(c).execution_s <= moment.budget_s for c in pool]
            return [c.accuracy if fit else 0.0 for c, fit in zip(pool, fits, strict=True)]
        return [min(task.behind(c.variant.name), 1.0) for c in pool]

    def sent(self, chosen: Candidate, everyone: Sequence[Candidate], moment: Moment, /) -> None:
        """Count it, and look at the variants."""
        task = self._tasks.setdefault(moment.request.task, _Task())
        task.facts = {c.variant.name: task.fact(c, moment) for c in everyone}
        task.went(chosen.variant.name)
        task.count += 1
        task.budgets.append(moment.budget_s)
        if task.ends_at == -inf:
            self.plan_at = -inf
        task.turn(moment.now, moment.settings.max_warm_gb)

    def plan(self, now: float, settings: SelectorSettings, /) -> list[Action]:
        """Keep the replicas of the present solution for another period and a bit, let the others go."""
        actions: list[Action] = []
        for task in self._tasks.values():
            task.turn(now, settings.max_warm_gb)
            actions += task.actions(now)
        self.plan_at = min((task.ends_at for task in self._tasks.values()), default=inf)
        return actions


class Facts(NamedTuple):
    """A variant as the programme sees it."""

    variant: Variant
    accuracy: float
    execution_s: float
    p95_s: float  # of the whole latency once warm
    load_s: float
    gb: float

    def capacity(self, replicas: int, deadline_s: float) -> float:
        """Requests per second that so many replicas answer within the deadline."""
        if self.p95_s > deadline_s:
            return 0.0
        return USABLE * replicas * (self.variant.concurrency or 1) / self.execution_s


Replicas = tuple[int, ...]


class _Task:
    """What is known of one task, and the present solution."""

    def __init__(self) -> None:
        self.facts: dict[str, Facts] = {}
        self.budgets: deque[float] = deque(maxlen=BUDGETS)
        self.count = 0  # requests in the present period
        self.ends_at = -inf  # the present period
        self.replicas: dict[str, int] = {}
        self.shares: dict[str, float] = {}
        self._kept: set[str] = set()
        self._load, self._quiet = 0.0, 0
        self._ahead: dict[str, float] = {}  # of smooth weighted round robin

    def fact(self, candidate: Candidate, moment: Moment) -> Facts:
        """The candidate as the programme sees it; its load is that of when last it slept, 0 if it never did."""
        variant, forecast = candidate.variant, moment.forecasts(candidate)
        known = self.facts.get(variant.name)
        load_s = forecast.wait_s if forecast.if_warm else known.load_s if known else 0.0
        gb = (variant.profile.memory_mb or moment.settings.default_memory_mb) / 1000
        return Facts(variant, candidate.accuracy, forecast.execution_s, forecast.once_warm.p95_s, load_s, gb)

    def behind(self, name: str) -> float:
        """Its share and what it was denied before."""
        return self.shares.get(name, 0.0) + self._ahead.get(name, 0.0)

    def went(self, name: str) -> None:
        """One request went there (nginx's smooth weighted round robin)."""
        for one, share in self.shares.items():
            self._ahead[one] = min(self._ahead.get(one, 0.0) + share, 1.0)
        if name in self.shares:
            self._ahead[name] -= 1.0

    def turn(self, now: float, most_gb: float) -> None:
        """Solve anew if the period is over."""
        if now < self.ends_at:
            return
        load = HEADROOM * max(self.count, 1) / PERIOD_S
        self.count, self.ends_at = 0, now + PERIOD_S
        if load <= self._load and self._quiet < QUIET:
            self._quiet += 1
            return
        self._load, self._quiet = load, 0
        names = [facts.variant.name for facts in candidates(list(self.facts.values()))]
        facts = [self.facts[name] for name in names]
        deadline_s = sorted(self.budgets)[int(STRICT * len(self.budgets))]
        before = tuple(self.replicas.get(name, 0) for name in names)
        best = solve(facts, load, deadline_s, most_gb, before)
        self.replicas = {name: n for name, n in zip(names, best, strict=True) if n}
        shares = divided(facts, best, load, deadline_s)
        whole = sum(shares) or 1.0
        self.shares = {name: share / whole for name, share in zip(names, shares, strict=True) if share}
        self._ahead = {}

    def actions(self, now: float) -> list[Action]:
        actions: list[Action] = []
        there = {name: n for name, n in self.replicas.items() if name in self.facts}
        for name, n in there.items():
            variant, share = self.facts[name].variant, self.shares.get(name, 0.0)
            actions.append(
                Keep(
                    variant=name, revision=variant.revision, until_at=now + 2 * PERIOD_S, replicas=n,
                    reason=f"answers {share:.0%} of {self._load:.3g} requests a second",
                )
            )  # fmt: skip
        actions += [
            Release(variant=name, revision=fact.variant.revision, reason="another set is better for the load")
            for name, fact in self.facts.items()
            if name in self._kept and name not in there
        ]
        self._kept = set(there)
        return actions


def candidates(facts: list[Facts]) -> list[Facts]:
    """The most accurate of those that nobody beats in accuracy, execution and memory at once, best first."""

    def beats(other: Facts, one: Facts) -> bool:
        """At least as good in all three and better in one."""
        good = other.accuracy >= one.accuracy and other.execution_s <= one.execution_s and other.gb <= one.gb
        return good and (other.accuracy, other.execution_s, other.gb) != (one.accuracy, one.execution_s, one.gb)

    front = [one for one in facts if not any(beats(other, one) for other in facts)]
    return sorted(front, key=lambda one: (-one.accuracy, one.variant.name))[:MOST_VARIANTS]


def solve(facts: list[Facts], load: float, deadline_s: float, most_gb: float, before: Replicas) -> Replicas:
    """The best numbers of replicas; if none carries the load, as many as there may be of the one that carries most."""
    most = [_most(one, load, deadline_s, most_gb) for one in facts]
    longest = max((one.load_s for one in facts), default=0.0) or 1.0
    best, top = None, -inf
    for option in _options(most):
        gb = sum(n * one.gb for n, one in zip(option, facts, strict=True))
        shares = divided(facts, option, load, deadline_s)
        if gb > most_gb or sum(shares) < load * (1 - 1e-9):
            continue
        changed = (one.load_s for one, n, old in zip(facts, option, before, strict=True) if n and n != old)
        value = (
            sum(share * one.accuracy for share, one in zip(shares, facts, strict=True)) / load
            - COST * gb / most_gb
            - LOADING * max(changed, default=0.0) / longest
        )
        if value > top:
            best, top = option, value
    if best is not None:
        return best
    strongest = max(range(len(facts)), key=lambda v: facts[v].capacity(most[v], deadline_s))
    return tuple(max(n, 1) if v == strongest else 0 for v, n in enumerate(most))


def divided(facts: list[Facts], replicas: Replicas, load: float, deadline_s: float) -> list[float]:
    """Requests per second that each answers, the most accurate taking what they can; `facts` are the best first."""
    shares = []
    for one, n in zip(facts, replicas, strict=True):
        share = min(one.capacity(n, deadline_s), load)
        load -= share
        shares.append(share)
    return shares


def _most(one: Facts, load: float, deadline_s: float, most_gb: float) -> int:
    """More replicas than that are of no use, or not to be had."""
    single = one.capacity(1, deadline_s)
    useful = ceil(load / single) if single else 0
    return min(useful, one.variant.max_replicas or useful, int(most_gb / one.gb))


def _options(most: Sequence[int]) -> Iterator[Replicas]:
    if not most:
        yield ()
        return
    for n in sorted({ceil(most[0] * i / STEPS) for i in range(STEPS + 1)}):
        for rest in _options(most[1:]):
            yield (n, *rest)
