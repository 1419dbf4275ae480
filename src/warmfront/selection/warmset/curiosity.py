"""Finding out about variants that nobody uses: whether one is better than it is believed to be.

A variant that is off is never judged, so a wrong belief about it would stay. Where answers are judged, one such variant
at a time is believed to be better than it is for some requests: it is started, kept and asked as if that were true, and
then the belief is what the judges said. That is done where it pays: the expected improvement (Mockus 1975; Jones,
Schonlau and Welch, "Efficient global optimization", 1998), for as many requests as there were so far, against what the
requests lose and the memory costs until enough answers are judged. Chance is not needed and nothing is drawn.
"""

from collections.abc import Sequence
from math import ceil, erfc, exp, pi, sqrt

from warmfront.selection.variants import KnownVariant
from warmfront.selection.warmset.model import Kind

WANTED = 10.0  # judged answers that settle a question
AT_ONCE = 5.0  # judged answers of one turn; then as many requests are let pass, for judges take their time
LEAST_JUDGED, LEAST_SHARE = 3, 0.002  # below, nothing would be learned
BELIEVED = 2.0  # standard deviations better than believed, in a turn
LEAST_MEAN, LEAST_SPREAD = 0.01, 1e-3
AHEAD = 0.2  # as many requests are still to come as this share of those that there were
USED = 0.05  # a variant that is best for so large a share of the requests is judged anyway


class Curiosity:
    """Who is tried out, of one task. `subject` is believed to be better by its `bonus`."""

    def __init__(self) -> None:
        self.subject: KnownVariant | None = None
        self._judged = 0
        self._seen = 0
        self._until_seen = 0  # the turn or the pause ends

    def judged(self) -> None:
        """An answer of the task was judged."""
        self._judged += 1

    @property
    def may(self) -> bool:
        """Whether a turn may begin: none is under way, the last one is some time ago, and answers are judged."""
        rested = self.subject is None and self._seen >= self._until_seen
        return rested and self._judged >= max(LEAST_JUDGED, LEAST_SHARE * self._seen)

    def asked(self) -> bool:
        """A request came; true when that ends a turn."""
        self._seen += 1
        if self.subject is None or self._seen < self._until_seen:
            return False
        self.subject.bonus = 0.0
        self._until_seen += self._turn()
        self.subject = None
        return True

    def consider(
        self, variants: Sequence[KnownVariant], kinds: Sequence[Kind], used: int, gap_s: float, size: int
    ) -> None:
        """Begin a turn if one is worth it, with requests of `size` `gap_s` apart, for which the set `used` is awake."""
        share = self._judged / self._seen
        best = [max((k.awake[v][0] for v in range(len(variants)) if used >> v & 1), default=0.0) for k in kinds]
        top = 0.0
        for v, known in enumerate(variants):
            mean, spread = known.knowledge.believed(size)
            spread *= sqrt(WANTED / (WANTED + mean * (1 - mean) / max(spread, LEAST_SPREAD) ** 2))
            costs = 0.0 if used >> v & 1 else known.knowledge.price_per_s * gap_s
            improvement = lost = leads = 0.0
            for kind, other in zip(kinds, best, strict=True):
                worth = kind.awake[v][0]
                improvement += kind.share * _improvement(worth - other - costs, spread * worth / max(mean, LEAST_MEAN))
                lost += kind.share * max(other - worth, 0.0)
                leads += kind.share * (used >> v & 1 and worth >= other)
            profit = improvement * self._seen * AHEAD - (lost + costs) * WANTED / share
            if leads < USED and profit > top:
                self.subject, top, bonus = known, profit, BELIEVED * spread
        if self.subject:
            self.subject.bonus = bonus
            self._until_seen = self._seen + self._turn()

    def _turn(self) -> int:
        return ceil(AT_ONCE * self._seen / self._judged)


def _improvement(ahead: float, spread: float) -> float:
    """E max(x, 0) of a normal x with mean `ahead` and this standard deviation."""
    if spread <= 0:
        return max(ahead, 0.0)
    z = ahead / spread
    return spread * (exp(-z * z / 2) / sqrt(2 * pi) + z * erfc(-z / sqrt(2)) / 2)
