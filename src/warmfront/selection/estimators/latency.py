"""How long a warm execution takes, by input size and by how many run beside it. Queues and starts are not here."""

from collections.abc import Mapping
from math import exp, log

from warmfront.domain import Profile, Spread
from warmfront.selection.estimators.crowding import Crowding
from warmfront.selection.estimators.duration import Duration, from_spread
from warmfront.selection.estimators.samples import PRIOR_MASS, LogSamples
from warmfront.selection.learned import Samples

INHERITED_MASS = 10.0
CLASS_MASS = 8.0  # how many samples the whole variant counts for inside one size class


class Execution:
    """Answers how long one warm execution takes for an input of a given size, alone or beside others.

    Before the first sample: the profile's p50, p95 and per KiB, else the stated default. Learned is the ratio of
    measured to profiled time, for the variant as a whole and, shrunk towards that, per size class (each four times the
    last): ALERT's slow-down filter (Wan et al., ATC 2020), in logarithms, so that a profile may be wrong by any factor.
    What others on the same replica add is learned apart (crowding.py) and taken out of every sample.
    """

    def __init__(self, profile: Profile, default: Spread) -> None:
        self._default = default
        self._crowding = Crowding()
        self._all = LogSamples()
        self._classes: dict[int, LogSamples] = {}
        self._set(profile)

    def _set(self, profile: Profile) -> None:
        self._declared = profile.latency_s is not None
        self._prior = from_spread(profile.latency_s or self._default)
        self._per_byte = profile.latency_per_kib_s / 1024

    def _base(self, size: int) -> float:
        """Logarithm of the profiled time for this size."""
        return log(exp(self._prior.mu) + self._per_byte * size)

    @property
    def crowded(self) -> bool:
        """Whether it matters how many execute beside each other."""
        return self._crowding.slope > 0

    @property
    def ratio(self) -> Duration:
        """How many times as long as profiled an execution takes, alone and whatever its size."""
        return self._all.estimate(Duration(0.0, self._prior.sigma), PRIOR_MASS)

    def estimate(self, size: int, beside: int = 0) -> Duration:
        """The execution time for an input of `size` bytes with so many others on the same replica."""
        ratio = self.ratio
        learned = self._classes.get(_size_class(size))
        if learned is not None:
            ratio = learned.estimate(ratio, CLASS_MASS)
        return Duration(self._base(size) + ratio.mu + log(self._crowding.factor(beside)), ratio.sigma)

    def observe(self, size: int, seconds: float, beside: int = 0) -> None:
        """Learn one measured execution, in seconds above 0, that began with so many others."""
        ratio = log(seconds) - self._base(size)
        self._crowding.observe(beside, exp(ratio))
        ratio -= log(self._crowding.factor(beside))
        self._all.add(ratio)
        self._class(size).add(ratio)

    def observe_beyond(self, size: int, seconds: float, beside: int = 0) -> None:
        """Learn that an execution would have taken longer than this: it was cut off."""
        believed = self.estimate(size, beside)
        base = self._base(size) + log(self._crowding.factor(beside))
        believed = Duration(believed.mu - base, believed.sigma)
        self._all.add_beyond(log(seconds) - base, believed)
        self._class(size).add_beyond(log(seconds) - base, believed)

    def _class(self, size: int) -> LogSamples:
        return self._classes.setdefault(_size_class(size), LogSamples())

    def renew(self, profile: Profile) -> None:
        """A new revision: what the last one taught stays, as a few samples.

        The ratio to the profile is kept when both revisions declare a time or neither does, else the time itself.
        """
        before, declared = self._prior.mu, self._declared
        self._set(profile)
        shift = before - self._prior.mu if declared != self._declared else 0.0
        for samples in (self._all, *self._classes.values()):
            samples.inherit(INHERITED_MASS, shift)

    def export(self) -> tuple[Samples, dict[int, Samples]]:
        """What was learned, as plain data: of all sizes, and by size class."""
        return self._all.export(), {size: samples.export() for size, samples in self._classes.items()}

    def restore(self, samples: Samples, by_size: Mapping[int, Samples], share: float) -> None:
        """Take back that `share` of what was exported under the same profile."""
        self._all.restore(samples, share)
        for size, one in by_size.items():
            self._classes.setdefault(size, LogSamples()).restore(one, share)


def _size_class(size: int) -> int:
    return size.bit_length() // 2
