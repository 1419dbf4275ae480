"""What to expect of one variant for an input of one size, as it stands now; everything but the request's budget.

A forecast is prepared once and read by many requests: only the last step, from budget to probability, is per request.
"""

from math import exp, inf, log
from typing import NamedTuple

from warmfront.domain import Warmth
from warmfront.selection.estimators.calibration import BINS, PER_UNIT, Z_MIN, Shape
from warmfront.selection.estimators.duration import Duration


class Forecast(NamedTuple):
    """Latency, accuracy and price of sending one more request to a variant. A tuple, for many are made.

    `predicted_s` and `p95_s` are quantiles of the whole `latency`, `wait_s` the median of its cold start and queue,
    `execution_s` the median of the warm execution alone. `start_cost` is the price of the start this request would
    cause (0 when a replica is there or coming). `if_warm` is the same variant with an idle ready replica; None when
    this is warm already. `cdf`, `scale` and `offset` turn a budget into a probability.
    """

    name: str
    warmth: Warmth
    accuracy: float
    predicted_s: float
    p95_s: float
    wait_s: float
    execution_s: float
    start_cost: float
    if_warm: "Forecast | None"
    latency: Duration
    cdf: list[float]
    scale: float
    offset: float

    @property
    def once_warm(self) -> "Forecast":
        """The forecast for an idle ready replica."""
        return self.if_warm or self

    def probability(self, log_budget: float) -> float:
        """P(a reply within the budget), given the budget's logarithm. On the hot path: the cdf is read in place."""
        x = log_budget * self.scale - self.offset
        if x <= 0:
            return 0.0
        cdf = self.cdf
        if x >= BINS:
            return cdf[BINS]
        i = int(x)
        low = cdf[i]
        return low + (cdf[i + 1] - low) * (x - i)


def forecast(
    name: str,
    warmth: Warmth,
    accuracy: float,
    latency: Duration,
    shape: Shape,
    *,
    wait_s: float,
    execution_s: float,
    start_cost: float = 0.0,
    if_warm: Forecast | None = None,
) -> Forecast:
    """The forecast whose latency is `latency`, in the `shape` that was learned."""
    mu, sigma = latency
    cdf, z50, z95 = shape
    scale = PER_UNIT / sigma
    return Forecast(
        name, warmth, accuracy, exp(mu + sigma * z50), exp(mu + sigma * z95), wait_s,
        execution_s, start_cost, if_warm, latency, cdf, scale, mu * scale + Z_MIN * PER_UNIT,
    )  # fmt: skip


def log_left(deadline_at: float | None, now: float, timeout_s: float) -> float:
    """Logarithm of the time that is left of a deadline; without one, of the transport timeout."""
    return log_budget(timeout_s if deadline_at is None else deadline_at - now)


def log_budget(budget_s: float) -> float:
    """Logarithm of a budget; minus infinity when it is used up, which no reply meets."""
    return log(budget_s) if budget_s > 0 else -inf
