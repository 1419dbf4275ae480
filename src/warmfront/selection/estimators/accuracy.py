"""How accurate a variant is for an input of a given size: declared, corrected by feedback."""

from bisect import bisect_right
from collections.abc import Mapping
from math import log

from warmfront.domain import Profile
from warmfront.selection.learned import Judged, brief

DECLARED_MASS = 20.0  # a declared accuracy counts as much as this many judged answers
DEFAULT_MASS = 2.0
DECAY = 0.999
INHERITED_MASS = 20.0


class Accuracy:
    """Answers the expected accuracy by input size, in [0, 1].

    Before any feedback: `accuracy_by_bytes`, straight lines over the logarithm of the size and flat outside; else the
    declared `accuracy`; else the stated default. Judged answers correct it as in a Beta posterior, for the variant as a
    whole and, shrunk towards that, per size class (each four times the last).
    """

    def __init__(self, profile: Profile, default: float) -> None:
        self._default = default
        self._all = _Tally()
        self._classes: dict[int, _Tally] = {}
        self._set(profile)

    def _set(self, profile: Profile) -> None:
        declared = profile.accuracy is not None or bool(profile.accuracy_by_bytes)
        self._mass = DECLARED_MASS if declared else DEFAULT_MASS
        flat = self._default if profile.accuracy is None else profile.accuracy
        points = profile.accuracy_by_bytes or ((1, flat),)
        self._sizes = [log(max(size, 1)) for size, _ in points]
        self._values = [accuracy for _, accuracy in points]

    def declared(self, size: int) -> float:
        """What the profile says for this size."""
        x, sizes, values = log(max(size, 1)), self._sizes, self._values
        i = bisect_right(sizes, x)
        if i in (0, len(sizes)):
            return values[max(i - 1, 0)]
        share = (x - sizes[i - 1]) / (sizes[i] - sizes[i - 1])
        return values[i - 1] + share * (values[i] - values[i - 1])

    def estimate(self, size: int) -> float:
        """The expected accuracy for an input of `size` bytes."""
        whole = self.declared(size) + self._all.total / (self._mass + self._all.count)
        one = self._classes.get(size.bit_length() // 2)
        if one is not None:
            # the tally holds differences from the declared value: move them to differences from `whole`
            moved = one.total + one.count * (self.declared(size) - whole)
            whole += moved / (self._mass + one.count)
        return min(max(whole, 0.0), 1.0)

    def observe(self, size: int, correct: float) -> None:
        """Learn that an answer was right (1), wrong (0) or in between."""
        difference = correct - self.declared(size)
        self._all.add(difference)
        self._classes.setdefault(size.bit_length() // 2, _Tally()).add(difference)

    def renew(self, profile: Profile) -> None:
        """A new revision: what the last one taught stays, as a few judged answers."""
        self._set(profile)
        for tally in (self._all, *self._classes.values()):
            tally.inherit(INHERITED_MASS)

    def export(self) -> tuple[Judged, dict[int, Judged]]:
        """What was learned, as plain data: of all sizes, and by size class."""
        return self._all.export(), {size: tally.export() for size, tally in self._classes.items()}

    def restore(self, judged: Judged, by_size: Mapping[int, Judged], share: float) -> None:
        """Take back that `share` of what was exported under the same profile."""
        self._all.restore(judged, share)
        for size, one in by_size.items():
            self._classes.setdefault(size, _Tally()).restore(one, share)


class _Tally:
    """Fading count of judged answers and sum of their differences from the declared accuracy."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count = 0.0
        self.total = 0.0

    def add(self, difference: float) -> None:
        self.count = self.count * DECAY + 1
        self.total = self.total * DECAY + difference

    def inherit(self, mass: float) -> None:
        if self.count > mass:
            self.total *= mass / self.count
            self.count = mass

    def export(self) -> Judged:
        count = brief(self.count)
        return Judged(count, max(-count, min(brief(self.total), count)))

    def restore(self, judged: Judged, share: float) -> None:
        self.count, self.total = judged.answers * share, judged.total * share
