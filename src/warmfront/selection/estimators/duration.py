"""The one shape of an uncertain duration: lognormal, and sums of such by their first two moments.

No learning here (samples.py), no correction of the shape (calibration.py).
"""

from math import exp, expm1, log, log1p, sqrt
from typing import NamedTuple

from warmfront.domain import Spread

Z95 = 1.6448536269514722
SIGMA_MIN, SIGMA_MAX = 0.1, 2.5  # a spread believed too narrow costs far more than one too wide


class Moments(NamedTuple):
    """Mean (seconds) and variance (seconds squared); those of a sum of independent durations are the sums."""

    mean: float
    variance: float


class Duration(NamedTuple):
    """The logarithm of the duration in seconds is normal with mean `mu` and standard deviation `sigma`."""

    mu: float
    sigma: float

    @property
    def p50(self) -> float:
        """The median, in seconds."""
        return exp(self.mu)

    @property
    def p95(self) -> float:
        """The 95th percentile, in seconds."""
        return exp(self.mu + Z95 * self.sigma)

    @property
    def moments(self) -> Moments:
        """Mean and variance; the mean is above the median, for the right tail is the longer one."""
        sigma2 = self.sigma * self.sigma
        mean = exp(self.mu + sigma2 / 2)
        return Moments(mean, mean * mean * expm1(sigma2))


def bounded(mu: float, sigma: float) -> Duration:
    """The Duration with its sigma kept within what is worth believing."""
    return Duration(mu, min(max(sigma, SIGMA_MIN), SIGMA_MAX))


def from_spread(spread: Spread) -> Duration:
    """The Duration with this median and this 95th percentile (as far as the bounds on sigma allow)."""
    return bounded(log(spread.p50), log(spread.p95 / spread.p50) / Z95)


def total(*parts: Moments) -> Duration:
    """The sum of independent durations, fitted by mean and variance (Fenton and Wilkinson).

    Worked: 10 s with standard deviation 2 s and 0.1 s with 0.1 s make 10.1 s with 2.0025 s.
    """
    mean = variance = 0.0
    for part in parts:
        mean += part[0]
        variance += part[1]
    sigma2 = log1p(variance / (mean * mean))
    return Duration(log(mean) - sigma2 / 2, sqrt(sigma2))
