"""INFaaS: a running variant that just meets the latency, else the one that is soonest loaded."""

from collections.abc import Sequence

from warmfront.domain import Candidate, Outcome, Variant, Warmth
from warmfront.selection.forecast import Forecast
from warmfront.selection.policies.base import Generator
from warmfront.selection.policies.comparing import Comparing, Draws, Moment

LOOKUP_S, SEARCH_SHARE, SEARCHED_LEAST = 0.0006, 0.15, 3
SLOW, BUSY = 1.5, 0.5  # times the profiled latency, share of the throughput
IGNORED = 0.1  # share of the requests that ignore the flag
NOT_RUNNING_S = 1.0


class Infaas(Comparing):
    """Of the running variants fast enough and not overloaded the slowest; of the others min(1 s + load + execution).

    Source: Romero et al., "INFaaS: Automated Model-less Inference Serving" (USENIX ATC 2021) and the search of its
    query front end. In rising order of accuracy from the floor, max(3, 0.15 D / 0.6 ms) variants are looked at; of
    these take part whose execution fits into the deadline D. Running and not overloaded: argmin (D - execution). None:
    argmin (1 s + load + execution) over those that do not run, as published whether or not that meets D. Nobody left:
    it fails there; here the shortest execution.

    Overloaded is a variant that in the last second took more than 1.5 times its execution at more than half its
    throughput, or that has more than half a second's worth of requests in flight. One request in ten ignores that.
    Left out are its preference for CPU or GPU by the size of D, and its cache of the last five choices.
    """

    name = "infaas"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._draws = Draws(rng)
        self._seconds: dict[str, _Second] = {}

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """Above 0 for those that may be taken, the best highest; at most 0 for the others."""
        budget_s = moment.budget_s
        searched = max(SEARCHED_LEAST, int(SEARCH_SHARE * budget_s / LOOKUP_S))
        order = sorted(range(len(pool)), key=lambda i: (pool[i].accuracy, pool[i].variant.name))
        forecasts = [moment.forecasts(c) for c in pool]
        fitting = [i for i in order[:searched] if forecasts[i].execution_s <= budget_s]
        careless = self._draws.uniform(moment.request.id) < IGNORED
        scores = [self._last_resort(forecast) for forecast in forecasts]
        running = [i for i in fitting if pool[i].warmth is Warmth.WARM]
        able = [i for i in running if careless or not self._overloaded(pool[i], forecasts[i], moment.now)]
        for i in able:
            scores[i] = forecasts[i].execution_s / budget_s
        if not able:
            for i in fitting:
                if pool[i].warmth is not Warmth.WARM and self._loads_in_time(forecasts[i], budget_s):
                    scores[i] = 1 / (1 + NOT_RUNNING_S + forecasts[i].wait_s + forecasts[i].execution_s)
        return scores

    def _loads_in_time(self, _forecast: Forecast, _budget_s: float) -> bool:
        return True

    def _last_resort(self, forecast: Forecast) -> float:
        return 1 / (1 + forecast.execution_s) - 1

    def _overloaded(self, candidate: Candidate, forecast: Forecast, now: float) -> bool:
        took_s = forecast.execution_s
        throughput = (candidate.variant.concurrency or 1) * max(candidate.ready, 1) / took_s
        if candidate.in_flight > BUSY * throughput:
            return True
        second = self._seconds.get(candidate.variant.name)
        answered, mean_s = second.last(now) if second else (0, 0.0)
        return mean_s > SLOW * took_s and answered > BUSY * throughput

    def ended(self, variant: Variant, _size: int, outcome: Outcome, now: float, /) -> None:
        """One more latency in the present second."""
        self._seconds.setdefault(variant.name, _Second()).add(outcome.upstream_s, now)


class InfaasRepaired(Infaas):
    """INFaaS, but a variant that does not run must meet the deadline with its load; else the soonest predicted.

    Source: `Infaas`. As published it starts a variant that cannot be loaded in time even if a running one is only a
    little too slow, or overloaded.
    """

    name = "infaas-repaired"

    def _loads_in_time(self, forecast: Forecast, budget_s: float) -> bool:
        return forecast.wait_s + forecast.execution_s <= budget_s

    def _last_resort(self, forecast: Forecast) -> float:
        return 1 / (1 + forecast.predicted_s) - 1


class _Second:
    """Latencies of the present second and of the last one."""

    def __init__(self) -> None:
        self._number = 0
        self._now, self._before = (0, 0.0), (0, 0.0)  # how many, their sum

    def add(self, latency_s: float, now: float) -> None:
        number = int(now)
        if number != self._number:
            self._before = self._now if number == self._number + 1 else (0, 0.0)
            self._number, self._now = number, (0, 0.0)
        count, total = self._now
        self._now = (count + 1, total + latency_s)

    def last(self, now: float) -> tuple[int, float]:
        """How many there were in the last full second, and their mean."""
        passed = int(now) - self._number
        count, total = self._before if passed == 0 else self._now if passed == 1 else (0, 0.0)
        return count, total / count if count else 0.0
