"""Hedging as the selector does it: who could be second now, at what price, how often at most, and what that makes of
the choice of the first.

The mathematics is in hedge.py. What must not live here: how a second request is sent.
"""

from collections.abc import Mapping, Sequence

from warmfront.domain import Candidate, Request, Warmth
from warmfront.selection.forecast import Forecast
from warmfront.selection.hedge import First, Second, best_second, hindered, last_moment, most_gained
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

    def weighed(self, request: Request, everyone: list[Candidate], forecasts: Forecasts, now: float) -> list[Candidate]:
        """Everyone, with scores that count what a second one would save, where that may matter to the choice.

        What can be saved makes a variant that is better but less likely in time worth a try. The fewer second requests
        are saved up the less it counts, so that they last for those who gain most. No deadline is no hurry.
        """
        counts = max(self._saved - 1.0, 0.0) / (BURST - 1.0) if self._worths else 0.0
        if not counts or request.deadline_at is None:
            return everyone
        seconds = self._seconds(request, everyone)
        worth = max((second.worth for second in seconds), default=0.0)
        best = max((c.score for c in everyone if not c.verdict), default=0.0)
        found: list[Candidate] = []
        for candidate in everyone:
            if candidate.score + counts * most_gained(candidate.probability, worth) > best:
                others = [second for second in seconds if second.name != candidate.variant.name]
                moment = last_moment(first(request, candidate, forecasts(candidate), now), others, request.deadline_at)
                if moment is not None:
                    saved = counts * moment.gain
                    found.append(candidate._replace(score=candidate.score + saved, price=candidate.price - saved))
                    continue
            found.append(candidate)
        return found

    def moment(
        self, request: Request, chosen: Candidate, everyone: Sequence[Candidate], forecasts: Forecasts, now: float
    ) -> float | None:
        """When to ask a second variant if the chosen one has not answered; None: never."""
        if request.deadline_at is None:
            return None
        others = [second for second in self._seconds(request, everyone) if second.name != chosen.variant.name]
        moment = last_moment(first(request, chosen, forecasts(chosen), now), others, request.deadline_at)
        return None if moment is None else moment.at

    def second(
        self, request: Request, first: First | None, everyone: Sequence[Candidate], now: float
    ) -> Candidate | None:
        """Whom to ask now beside the first; None: nobody is worth it, too many were asked, or it has ended."""
        if first is None or request.deadline_at is None or self._saved < 1.0:
            return None
        found = best_second(first, self._seconds(request, everyone), now, request.deadline_at)
        return next((c for c in everyone if found is not None and c.variant.name == found.name), None)

    def _seconds(self, request: Request, everyone: Sequence[Candidate]) -> list[Second]:
        """Those who are warm and eligible.

        One more request to them costs the memory of its execution, what it costs beyond the request (charge and toll),
        and a request's worth for each one that it keeps waiting now, for tolls take time to be learned.
        """
        found: list[Second] = []
        for candidate in everyone:
            if candidate.warmth is Warmth.WARM and not candidate.verdict:
                known, worth = self._known[candidate.variant.name], _worth(request, candidate)
                price = known.knowledge.price_per_s * (candidate.predicted_s - candidate.wait_s)
                price += max(known.charge, 0.0) + known.toll + worth * hindered(candidate.in_flight, known.slots)
                found.append(Second(candidate.variant.name, candidate.p95_s, candidate.probability, worth, price))
        return found


def first(request: Request, chosen: Candidate, forecast: Forecast, now: float) -> First:
    """The request as it is sent now, with this forecast of the chosen one."""
    return First(forecast, _worth(request, chosen), now)


def _worth(request: Request, candidate: Candidate) -> float:
    """What an answer in time is worth to this request."""
    if request.weights is None:
        return candidate.accuracy
    share = request.weights.latency_share
    return share + (1 - share) * candidate.accuracy
