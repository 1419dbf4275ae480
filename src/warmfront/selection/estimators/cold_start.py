"""How long a start takes, from being asked for to ready, and how much of it is left for a replica already starting."""

from math import exp, log

from warmfront.domain import Profile, Spread
from warmfront.selection.estimators.duration import Z95, Duration, bounded, from_spread, total
from warmfront.selection.estimators.samples import LogSamples, Shared
from warmfront.selection.learned import Samples

PRIOR_MASS = 2.0  # starts are rare: believe them sooner than calls
INHERITED_MASS = 5.0
LN19 = log(19.0)
SURE = 4.0  # squared standard deviations of the process beyond which a start is late by the platform


class ColdStart:
    """Answers how long a start takes in all: the platform's share plus process start to ready.

    Before the first sample: the platform's share, which all variants learn together, plus the profile's `cold_start_s`;
    without a profile the stated default, platform included.
    """

    def __init__(self, profile: Profile, platform: Shared, default: Spread) -> None:
        self._platform = platform
        self._default = from_spread(default)
        self._samples = LogSamples()
        self._set(profile)

    def _set(self, profile: Profile) -> None:
        self._process = from_spread(profile.cold_start_s) if profile.cold_start_s else None

    @property
    def _prior(self) -> Duration:
        if self._process is None:
            return self._default
        return total(self._platform.value.moments, self._process.moments)

    def estimate(self) -> Duration:
        """The whole start, from being asked for to ready."""
        return self._samples.estimate(self._prior, PRIOR_MASS)

    def observe(self, seconds: float) -> bool:
        """Learn one start, in seconds above 0. True when the platform's share moved, for everybody.

        Where the process itself is what varies, little is told of the platform, so that a model that loads slowly for
        once does not make all others look slow: a sample counts by the platform's part of the variance of both
        (Kalman's gain), or by what the process does not explain (`SURE`), if that is more.
        """
        self._samples.add(log(seconds))
        if self._process is None:
            return False
        platform, process = self._platform.value.moments, self._process.moments
        gain = platform.variance / (platform.variance + process.variance)
        unexplained = 1 - SURE * process.variance / max(seconds - self._process.p50 - platform.mean, 1e-9) ** 2
        return self._platform.observe(max(seconds - self._process.p50, seconds * 0.02), max(gain, unexplained))

    def renew(self, profile: Profile) -> None:
        """A new revision: what the last one taught stays, as a few samples."""
        before = self._prior.mu
        self._set(profile)
        self._samples.inherit(INHERITED_MASS, 0.0 if self._process is None else self._prior.mu - before)

    def export(self) -> Samples:
        """What was learned, as plain data."""
        return self._samples.export()

    def restore(self, samples: Samples, share: float) -> None:
        """Take back that `share` of what was exported."""
        self._samples.restore(samples, share)


def residual(start: Duration, age_s: float) -> Duration:
    """What is left of a start that has gone on for `age_s`, given that it has not ended.

    P(C <= t + x | C > t) = (F(t + x) - F(t)) / (1 - F(t)), with F log-logistic through the start's median and 95th
    percentile: its tail is a power, so a start that is overdue is expected to take a share of its age longer, neither
    nothing nor for ever. Worked: median 10 s, p95 15 s; at age 0 10 s are left, at 8 s 2.4 s, at 20 s 2 s, at 40 s 4 s.
    """
    slope = LN19 / (Z95 * start.sigma)
    passed = 1 + (age_s / start.p50) ** slope

    def left(p: float) -> float:
        return start.p50 * exp(log(passed / (1 - p) - 1) / slope) - age_s

    p50, p95 = left(0.5), left(0.95)
    return bounded(log(p50), log(p95 / p50) / Z95)
