"""How accurate a variant is for an input of a given size: declared, corrected by feedback."""

from bisect import bisect_right
from collections.abc import Mapping
from math import inf, log, sqrt

from warmfront.domain import Profile
from warmfront.selection.estimators.change import Watch
from warmfront.selection.estimators.difficulty import Difficulty, faded
from warmfront.selection.learned import Errors

DEFAULT_ERRORS = 1.0  # an accuracy that was not even declared counts at most as much as so many expected errors
CLASS_ERRORS = 4.0  # and the whole variant inside one size class as much as so many
DECAY = 0.999
INHERITED_ERRORS = 4.0
LEAST_ERROR = 0.01  # nobody is believed to be perfect


class Accuracy:
    """Answers the expected accuracy by input size, in [0, 1].

    Before any feedback: `accuracy_by_bytes`, straight lines over the logarithm of the size and flat outside; else the
    declared `accuracy`; else the stated default. Judged answers correct the share of errors by a ratio, as a
    Gamma-Poisson posterior does: that of the task's inputs of this size (`difficulty`), of the variant as a whole, and,
    shrunk towards that, of the variant per size class (each four times the last). When errors change suddenly, what was
    learned before is forgotten (change.py).
    """

    def __init__(self, name: str, profile: Profile, default: float, difficulty: Difficulty) -> None:
        self._name = name
        self._default = default
        self._difficulty = difficulty
        self._all = Errors()
        self._classes: dict[int, Errors] = {}
        self._watch = Watch()
        self._set(profile)

    def _set(self, profile: Profile) -> None:
        declared = profile.accuracy is not None or bool(profile.accuracy_by_bytes)
        self._most_trust = inf if declared else DEFAULT_ERRORS
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
        tally = self._classes.get(size.bit_length() // 2)
        if not self._all.expected and self._difficulty.ratio(size) == 1:
            return self.declared(size)
        trust = self._trust
        ratio = (self._all.observed + trust) / (self._all.expected + trust)
        if tally is not None:
            ratio *= (tally.observed + CLASS_ERRORS) / (tally.expected * ratio + CLASS_ERRORS)
        return max(1 - self._expected(size) * ratio, 0.0)

    def spread(self, size: int) -> float:
        """How far the variant as a whole may be from what is believed of it here, as a standard deviation."""
        trust = self._trust
        ratio_spread = sqrt(self._all.observed + trust) / (self._all.expected + trust)
        return min(self._expected(size) * ratio_spread, 0.5)

    @property
    def _trust(self) -> float:
        """How many expected errors the profile counts as."""
        return min(self._difficulty.trust, self._most_trust)

    def _expected(self, size: int) -> float:
        """The share of errors, going by the profile and by how hard inputs of this size are for everybody."""
        return max(1 - self.declared(size), LEAST_ERROR) * self._difficulty.ratio(size)

    def observe(self, size: int, correct: float) -> bool:
        """Learn that an answer was right (1), wrong (0) or in between. True when that tells about all variants."""
        expected, observed = self._expected(size), 1 - correct
        class_ = size.bit_length() // 2
        believed = min(max(1 - self.estimate(size), LEAST_ERROR), 1 - LEAST_ERROR)
        since = self._watch.observe(believed, expected, observed)
        if since is None:
            self._all = faded(self._all, DECAY, expected, observed)
        else:  # what was learned before was another variant, so to speak
            self._all, self._classes = since, {}
        self._classes[class_] = faded(self._classes.get(class_, Errors()), DECAY, expected, observed)
        trust_moved = self._difficulty.judge(self._name, self._all)
        return self._difficulty.observe(size, max(1 - self.declared(size), LEAST_ERROR), observed) or trust_moved

    def renew(self, profile: Profile) -> None:
        """A new revision: what the last one taught stays, as if from a few errors."""
        self._set(profile)
        self._all = _inherited(self._all)
        self._classes = {class_: _inherited(errors) for class_, errors in self._classes.items()}

    def export(self) -> tuple[Errors, dict[int, Errors]]:
        """What was learned, as plain data: of all sizes, and by size class."""
        return self._all.brief(), {class_: errors.brief() for class_, errors in self._classes.items()}

    def restore(self, errors: Errors, by_size: Mapping[int, Errors], share: float) -> None:
        """Take back that `share` of what was exported under the same profile."""
        self._all = faded(errors, share)
        self._classes = {class_: faded(one, share) for class_, one in by_size.items()}
        self._difficulty.judge(self._name, self._all)


def _inherited(errors: Errors) -> Errors:
    return faded(errors, min(INHERITED_ERRORS / errors.expected, 1.0)) if errors.expected else errors
