"""Learning a duration from samples of its logarithm, starting from a prior that fades and yields to the facts."""

from math import erfc, exp, log, pi, sqrt

from warmfront.selection.estimators.duration import Duration, bounded
from warmfront.selection.learned import Samples, brief

DECAY = 0.98  # weight kept by earlier samples when one arrives: about the last 50 count
CONFLICT = 8.0  # how far samples may stand from the prior, in squared sigmas, before the prior yields


class LogSamples:
    """Exponentially fading mean and scatter of ln(x), to be combined with a prior of stated mass.

    Before the first sample it answers the prior. The prior's mass fades like a sample's and shrinks further when the
    samples contradict it: with mass 4, five samples ten times the declared value leave it the weight of half a sample.
    """

    __slots__ = ("_fade", "_m2", "mean", "weight")

    def __init__(self) -> None:
        self.weight = 0.0
        self.mean = 0.0
        self._m2 = 0.0
        self._fade = 1.0

    def add(self, value: float, share: float = 1.0) -> None:
        """Learn `value`, a logarithm, as `share` of one sample (West's incremental update, with forgetting)."""
        kept = self.weight * DECAY
        self.weight = kept + share
        delta = value - self.mean
        self.mean += delta * share / self.weight
        self._m2 = self._m2 * DECAY + delta * delta * kept * share / self.weight
        self._fade *= DECAY

    def add_beyond(self, bound: float, believed: Duration) -> None:
        """Learn that a value lies beyond `bound` (a censored sample), given what is `believed` of it now.

        Tobit's imputation: the conditional mean beyond the bound. It counts as much of a sample as the bound tells:
        nothing far below the median, a whole sample far above it.
        """
        z = (bound - believed.mu) / believed.sigma
        told = erfc(-z / sqrt(2)) / 2
        if told > 0.01:
            z = min(z, 6.0)
            hazard = exp(-z * z / 2) / sqrt(2 * pi) / (erfc(z / sqrt(2)) / 2)
            self.add(max(believed.mu + believed.sigma * hazard, bound), told)

    def estimate(self, prior: Duration, mass: float) -> Duration:
        """What is believed now: the prior, weighing as much as `mass` samples, corrected by what was learned."""
        if not self.weight:
            return prior
        gap = self.mean - prior.mu
        conflict = self.weight / mass * (gap / prior.sigma) ** 2 / CONFLICT
        trust = mass * self._fade / (1 + conflict)
        count = trust + self.weight
        spread = trust * prior.sigma**2 + self._m2 + trust * self.weight / count * gap * gap
        return bounded((trust * prior.mu + self.weight * self.mean) / count, sqrt(spread / count))

    def inherit(self, mass: float, shift: float = 0.0) -> None:
        """Keep what was learned as at most `mass` samples, each moved by `shift`: the start of a new revision."""
        self.mean += shift
        if self.weight > mass:
            self._m2 *= mass / self.weight
            self.weight = mass

    def export(self) -> Samples:
        """What was learned, as plain data."""
        return Samples(brief(self.weight), brief(self.mean), brief(self._m2), brief(self._fade))

    def restore(self, samples: Samples, share: float) -> None:
        """Take back what was exported, as so much of it as `share` says; by the rest the prior counts again."""
        weight, self.mean, m2, fade = samples
        self.weight, self._m2 = weight * share, m2 * share
        self._fade = 1 - (1 - fade) * share


class Shared:
    """A duration learned by all variants together (network, the platform's share of a start).

    `value` is what the others calculate with. It moves only when the estimate has moved by 5 %, so that not every
    reply makes every prepared forecast worthless; `observe` says whether it moved.
    """

    __slots__ = ("_prior", "_samples", "value")

    def __init__(self, prior: Duration) -> None:
        self._prior = prior
        self._samples = LogSamples()
        self.value = prior

    def observe(self, seconds: float, share: float = 1.0) -> bool:
        """Learn one sample, in seconds above 0, as `share` of one."""
        self._samples.add(log(seconds), share)
        new = self._believed()
        moved = abs(new.mu - self.value.mu) > 0.05 or abs(new.sigma - self.value.sigma) > 0.05
        if moved:
            self.value = new
        return moved

    def _believed(self) -> Duration:
        return self._samples.estimate(self._prior, PRIOR_MASS)

    def export(self) -> Samples:
        """What was learned, as plain data."""
        return self._samples.export()

    def restore(self, samples: Samples, share: float) -> None:
        """Take back that `share` of what was exported."""
        self._samples.restore(samples, share)
        self.value = self._believed()


PRIOR_MASS = 4.0  # a declared profile counts as much as this many samples
