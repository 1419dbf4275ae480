"""What to expect of one variant for an input of one size, as it stands now; everything but the request's budget.

A forecast is prepared once and read by many requests: only the last step, from budget to probability, is per request.
"""

from math import exp, inf, log

from warmfront.domain import Warmth
from warmfront.selection.estimators.calibration import Calibration, read
from warmfront.selection.estimators.duration import Duration


class Forecast:
    """Latency, accuracy and price of sending one more request to a variant. Never changed once made.

    `predicted_s` and `p95_s` are quantiles of the whole latency, `wait_s` the median of its cold start and queue,
    `execution_s` the median of the warm execution alone. `start_cost` is the price of the start this request would
    cause (0 when a replica is there or coming). `once_warm` is the same variant with an idle ready replica.
    """

    __slots__ = ("_cdf", "_scale", "accuracy", "execution_s", "mu", "name", "once_warm", "p95_s", "predicted_s",
                 "sigma", "start_cost", "wait_s", "warmth")  # fmt: skip

    def __init__(
        self,
        *,
        name: str,
        warmth: Warmth,
        accuracy: float,
        latency: Duration,
        wait_s: float,
        execution_s: float,
        calibration: Calibration,
        start_cost: float = 0.0,
        once_warm: "Forecast | None" = None,
    ) -> None:
        self.name = name
        self.warmth = warmth
        self.accuracy = accuracy
        self.mu, self.sigma = latency
        self.predicted_s = exp(self.mu + self.sigma * calibration.z50)
        self.p95_s = exp(self.mu + self.sigma * calibration.z95)
        self.wait_s = wait_s
        self.execution_s = execution_s
        self.start_cost = start_cost
        self.once_warm = self if once_warm is None else once_warm
        self._cdf = calibration.cdf
        self._scale = 1 / self.sigma

    def probability(self, log_budget: float) -> float:
        """P(a reply within the budget), given the budget's logarithm (see `log_budget`)."""
        return read(self._cdf, (log_budget - self.mu) * self._scale)


def log_budget(budget_s: float) -> float:
    """Logarithm of a budget; minus infinity when it is used up, which no reply meets."""
    return log(budget_s) if budget_s > 0 else -inf
