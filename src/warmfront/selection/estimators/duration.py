"""The one shape of an uncertain duration: lognormal, and sums of such by their first two moments.

No learning here (samples.py), no correction of the shape (calibration.py).
"""

from collections.abc import Iterable
from math import exp, log, sqrt
from typing import NamedTuple

from warmfront.domain import Spread

Z95 = 1.6448536269514722
SIGMA_MIN, SIGMA_MAX = 0.1, 2.5  # a spread believed too narrow costs far more than one too wide


class Duration(NamedTuple):
    """ln(duration in seconds) is normal with mean `mu` and standard deviation `sigma`."""

    mu: float
    sigma: float

    @property
    def p50(self) -> float:
        """The median, in seconds."""
        return exp(self.mu)

    @property
    def mean(self) -> float:
        """The mean, in seconds; above the median, for the right tail is the longer one."""
        return exp(self.mu + self.sigma * self.sigma / 2)

    @property
    def variance(self) -> float:
        """The variance, in seconds squared."""
        return self.mean**2 * (exp(self.sigma * self.sigma) - 1)


def bounded(mu: float, sigma: float) -> Duration:
    """The Duration with its sigma kept within what is worth believing."""
    return Duration(mu, min(max(sigma, SIGMA_MIN), SIGMA_MAX))


def from_spread(spread: Spread) -> Duration:
    """The Duration with this median and this 95th percentile (as far as the bounds on sigma allow)."""
    return bounded(log(spread.p50), log(spread.p95 / spread.p50) / Z95)


def from_moments(mean: float, variance: float) -> Duration:
    """The Duration with this mean (above 0) and variance: Fenton and Wilkinson's fit for sums of lognormals."""
    sigma2 = log(1 + variance / (mean * mean))
    return Duration(log(mean) - sigma2 / 2, sqrt(sigma2))


def total(parts: Iterable[Duration]) -> Duration:
    """The sum of independent durations. Example: 10 s +- 2 s and 0.1 s +- 0.1 s give 10.1 s +- 2.002 s."""
    mean = variance = 0.0
    for part in parts:
        mean += part.mean
        variance += part.variance
    return from_moments(mean, variance)
