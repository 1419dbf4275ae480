"""The default policy: the largest expected share of answers that are right and in time."""

from collections.abc import Sequence

from warmfront.domain import Candidate, Request
from warmfront.selection.forecast import Forecast
from warmfront.selection.policies.base import Forecasts, Policy, Score, rank
from warmfront.selection.settings import SelectorSettings


class Effective(Policy):
    """Chooses the largest a * P: expected accuracy times the probability of being in time, less what it costs.

    Score: a * P - price; with weights (w_latency * P + w_accuracy * a * P) / (w_latency + w_accuracy) - price;
    without a deadline also less the waiting price for each second predicted (in proportion to the weight of latency, if
    given). The price is what an answer by this variant costs beyond the request: a start, a longer hold, what the next
    requests lose or gain by it (warmset/planner.py), and those that it will be in the way of (toll.py); the selector
    takes it from every score.

    The best score is picked. Only when nobody has a chance (P below `doomed_probability`) the request is late whatever
    is done, so it goes where that helps the next one like it most, or harms the others least: the largest
    a * P' - price - waiting price * predicted seconds, with P' the probability once warm. All sleeping, that is the
    variant whose being awake is worth most for what it costs and how long it takes; with one already starting, that
    one, for its start costs nothing more; if even warm nobody can, the cheapest of the quick.
    """

    name = "effective"
    wakes = True

    def scorer(self, request: Request, settings: SelectorSettings, /) -> Score:
        """At most 1, larger is better."""
        price = settings.waiting_price_per_s if request.deadline_at is None else 0.0
        weights = request.weights
        if weights is None and not price:
            return _right_and_in_time
        if weights is None:

            def plain(forecast: Forecast, probability: float) -> float:
                return forecast.accuracy * probability - price * forecast.predicted_s

            return plain
        whole = weights.latency + weights.accuracy
        latency, accuracy = weights.latency / whole, weights.accuracy / whole
        price *= latency

        def weighted(forecast: Forecast, probability: float) -> float:
            gain = (latency + accuracy * forecast.accuracy) * probability
            return gain - price * forecast.predicted_s

        return weighted

    def pick(
        self, pool: Sequence[Candidate], forecasts: Forecasts, log_budget: float, settings: SelectorSettings, /
    ) -> Candidate:
        """The best score, or what helps the next request most."""
        if any(c.probability >= settings.doomed_probability for c in pool):
            return super().pick(pool, forecasts, log_budget, settings)

        def loss(candidate: Candidate) -> tuple[float, tuple[object, ...]]:
            forecast = forecasts(candidate)
            help_to_next = forecast.accuracy * forecast.once_warm.probability(log_budget) - candidate.price
            return settings.waiting_price_per_s * forecast.predicted_s - help_to_next, rank(candidate)

        return min(pool, key=loss)


def _right_and_in_time(forecast: Forecast, probability: float) -> float:
    return forecast.accuracy * probability
