"""Hedging as the selector does it: who could be second now, at what price, how often at most, and what that makes of
the choice of the first.

The mathematics is in hedge.py. What must not live here: how a second request is sent.
"""

from collections.abc import Mapping, Sequence

from warmfront.domain import Candidate, Request, Warmth
from warmfront.selection.forecast import Forecast
from warmfront.selection.hedge import First, Second, best_second, hindered, last_moment
from warmfront.selection.policies.base import Forecasts
from warmfront.selection.settings import SelectorSettings
from warmfront.selection.variants import KnownVariant

BURST = 10.0  # so many second requests may be saved up


class Hedging:
    """A bucket of second requests: each request puts in its share of one, each second request takes one out.

    `worths`: the policy's scores are what an answer is worth, so that what is saved can be added to them.
    """

    def __init__(self, settings: SelectorSettings, known: Mapping[str, KnownVariant], *, worths: bool) -> None:
        self._settings = settings
        self._known = known
        self._worths = worths
        self._saved = 1.0

    def asked(self, request: Request) -> None:
        """The request was sent, for the first time or to a second variant."""
        if request.hedges:
            self._saved -= 1.0
        else:
            self._saved = min(self._saved + self._settings.hedge_share, BURST)

    def weighed(
        self, request: Request, everyone: list[Candidate], forecasts: Forecasts, now: float
    ) -> tuple[list[Candidate], dict[str, float]]:
        """Everyone, with scores that count what a second one would save, and when to ask one, by the first's name.

        What can be saved makes a variant that is better but less likely in time worth a try. The fewer second requests
        are saved up the less it counts, so that they last for those who gain most. No deadline is no hurry.
        """
        moments: dict[str, float] = {}
        if request.deadline_at is None:
            return everyone, moments
        seconds, share = self._seconds(request, everyone, forecasts), self._settings.hedge_probability
        counts = max(self._saved - 1.0, 0.0) / (BURST - 1.0) if self._worths else 0.0
        found: list[Candidate] = []
        for candidate in everyone:
            name = candidate.variant.name
            others = [second for second in seconds if second.name != name]
            moment = last_moment(first(request, forecasts(candidate), now), others, request.deadline_at, share)
            if moment is None:
                found.append(candidate)
            else:
                moments[name] = moment.at
                found.append(candidate._replace(score=candidate.score + moment.gain * counts))
        return found, moments

    def second(
        self, request: Request, first: First | None, everyone: Sequence[Candidate], forecasts: Forecasts, now: float
    ) -> Candidate | None:
        """Whom to ask now beside the first; None: nobody is worth it, too many were asked, or it has ended."""
        if first is None or request.deadline_at is None or self._saved < 1.0:
            return None
        found = best_second(first, self._seconds(request, everyone, forecasts), now, request.deadline_at)
        return next((c for c in everyone if found is not None and c.variant.name == found.name), None)

    def _seconds(self, request: Request, everyone: Sequence[Candidate], forecasts: Forecasts) -> list[Second]:
        """Those who are warm and eligible.

        One more request to them costs the memory of its execution, what it costs beyond the request (charge and toll),
        and a request's worth for each one that it keeps waiting now, for tolls take time to be learned.
        """
        found: list[Second] = []
        for candidate in everyone:
            if candidate.warmth is Warmth.WARM and not candidate.verdict:
                known, forecast = self._known[candidate.variant.name], forecasts(candidate)
                worth = _worth(request, forecast)
                price = known.knowledge.price_per_s * forecast.execution_s + max(known.charge, 0.0) + known.toll
                price += worth * hindered(candidate.in_flight, known.slots)
                found.append(Second(forecast, worth, price))
        return found


def first(request: Request, forecast: Forecast, now: float) -> First:
    """The request as it is sent now."""
    return First(forecast, _worth(request, forecast), now)


def _worth(request: Request, forecast: Forecast) -> float:
    """What an answer in time is worth to this request."""
    if request.weights is None:
        return forecast.accuracy
    share = request.weights.latency_share
    return share + (1 - share) * forecast.accuracy
