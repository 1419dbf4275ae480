"""The simplest policies to be measured against: one number per variant, and nobody thinks."""

from collections import deque
from collections.abc import Sequence

from warmfront.domain import Candidate, Outcome, Request, Variant
from warmfront.selection.forecast import Forecast
from warmfront.selection.policies.base import Generator, Policy, Score
from warmfront.selection.policies.comparing import Comparing, Draws, Moment
from warmfront.selection.settings import SelectorSettings

PINGS = 10


class RandomChoice(Policy):
    """Every eligible variant is as likely. Drawn from seed, request and variant: asking twice answers alike.

    Source: the baseline of MuLambda (TU Wien thesis, 2023) and of most others.
    """

    name = "random"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._draws = Draws(rng)

    def scorer(self, request: Request, _settings: SelectorSettings, /) -> Score:
        """A number in [0, 1)."""
        return lambda forecast, _: self._draws.uniform(request.id, forecast.name)


class RoundRobin(Policy):
    """The variant whose last turn is longest ago; one that never had a turn comes first.

    Source: the baseline of MuLambda (TU Wien thesis, 2023) and of most others.
    """

    name = "round-robin"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._turns = 0
        self._last: dict[str, int] = {}

    def scorer(self, _request: Request, _settings: SelectorSettings, /) -> Score:
        """1 before the first turn, then 1 / (1 + number of the last turn)."""
        return lambda forecast, _: 1 / (1 + self._last.get(forecast.name, 0))

    def started(self, variant: str, /) -> None:
        """The variant has had its turn."""
        self._turns += 1
        self._last[variant] = self._turns


class Fastest(Policy):
    """The shortest warm execution; starts and queues are not looked at."""

    name = "fastest"

    def scorer(self, _request: Request, _settings: SelectorSettings, /) -> Score:
        """1 / (1 + seconds of one warm execution)."""
        return lambda forecast, _: 1 / (1 + forecast.execution_s)


class MostAccurate(Policy):
    """The highest expected accuracy for this input; time is not looked at."""

    name = "most-accurate"

    def scorer(self, _request: Request, _settings: SelectorSettings, /) -> Score:
        """The expected accuracy."""
        return lambda forecast, _: forecast.accuracy


class Cheapest(Comparing):
    """The least memory; nothing else is looked at."""

    name = "cheapest"

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """1 / (1 + gigabytes of one replica)."""
        default_mb = moment.settings.default_memory_mb
        return [1 / (1 + (c.variant.profile.memory_mb or default_mb) / 1000) for c in pool]


class LeastInFlight(Comparing):
    """The variant with the fewest requests in flight; ties are drawn from seed, request and variant.

    Source: the least-request rule of load balancers (join the shortest queue; Winston, "Optimality of the Shortest
    Line Discipline", 1977).
    """

    name = "least-in-flight"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._draws = Draws(rng)

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """1 / (1 + number in flight + a draw in [0, 1))."""
        id_ = moment.request.id
        return [1 / (1 + c.in_flight + self._draws.uniform(id_, c.variant.name)) for c in pool]


class LowestNetworkLatency(Comparing):
    """The shortest way to the variant and back, whatever happens there; ties fall to the first in the list.

    Source: PlainNetLatencySelector of MuLambda (TU Wien thesis, 2023). There a process beside each model pings its
    callers. Here a ping is what an answer took beyond its execution, the least of the last ten so that no queue counts
    as distance; a variant that was never asked is asked first.
    """

    name = "lowest-network-latency"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._pings = Pings()

    def compare(self, pool: Sequence[Candidate], _moment: Moment, /) -> list[float]:
        """1 / (1 + seconds there and back)."""
        return [1 / (1 + self._pings.seconds(c.variant.name)) for c in pool]

    def pick(self, pool: Sequence[Candidate], *_: object) -> Candidate:
        """The best, the first of equals."""
        return first_of_the_best(pool)

    def ended(self, variant: Variant, _size: int, outcome: Outcome, _now: float, /) -> None:
        """An answer is a ping."""
        self._pings.add(variant.name, outcome)


class Pings:
    """The way to each variant and back, as answers show it."""

    def __init__(self) -> None:
        self._pings: dict[str, deque[float]] = {}

    def add(self, name: str, outcome: Outcome) -> None:
        """Take one answer. Those that waited for a start or say nothing of their execution count for nothing."""
        if outcome.execution_s is not None and not outcome.cold and not outcome.censored:
            pings = self._pings.setdefault(name, deque(maxlen=PINGS))
            pings.append(max(outcome.upstream_s - outcome.execution_s, 0.0))

    def seconds(self, name: str) -> float:
        """There and back; 0 before the first answer."""
        return min(self._pings.get(name, (0.0,)))


class StaticBest(Comparing):
    """One variant for every request: the one that would have served all so far best, had it always been warm.

    Served is right and in time, a * P once warm, on average over the requests sent; without any, for this request.
    Start and memory are not looked at. Source: "follow the leader" (Hannan, 1957) with the fixed choice that
    InferLine, Clipper and INFaaS compare themselves with.
    """

    name = "static-best"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """The mean so far, in [0, 1]."""
        return [self._mean(c, moment) for c in pool]

    def _mean(self, candidate: Candidate, moment: Moment) -> float:
        name = candidate.variant.name
        count = self._counts.get(name, 0)
        return self._sums[name] / count if count else _once_warm(moment.forecasts(candidate), moment)

    def sent(self, _chosen: Candidate, everyone: Sequence[Candidate], moment: Moment, /) -> None:
        """One more request that each would have served so."""
        for candidate in everyone:
            name = candidate.variant.name
            self._sums[name] = self._sums.get(name, 0.0) + _once_warm(moment.forecasts(candidate), moment)
            self._counts[name] = self._counts.get(name, 0) + 1


def _once_warm(forecast: Forecast, moment: Moment) -> float:
    return forecast.accuracy * forecast.once_warm.probability(moment.log_budget)


def first_of_the_best(pool: Sequence[Candidate]) -> Candidate:
    """The largest score, ties to the first in the list: not the written rule, but that of some who are compared."""
    return max(pool, key=lambda candidate: candidate.score)
