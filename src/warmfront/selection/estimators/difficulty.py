"""What one variant's judged answers tell about the others': how hard inputs of a size are, how far to trust profiles.

Short texts are hard for every language identifier. Without this, a good variant that was judged on hard inputs would
look worse than one that was declared better than it is there and never judged. Learned is a ratio of errors: how many
there were in a size class over how many the declared accuracies expected, compared with all classes together (indirect
standardisation; shrunk towards 1 as a Gamma-Poisson posterior). It says nothing about who is better than whom.

And who has found one profile wrong by a factor trusts the others less: the variance of true over declared errors is
learned from those that were judged, and a declared accuracy counts as the fewer errors the larger it is.
"""

from collections.abc import Mapping

from warmfront.selection.learned import Errors

DECAY = 0.999
PRIOR_ERRORS = 4.0  # no difference between sizes counts as much as so many expected errors
TRUSTED_ERRORS = 4.0  # a declared accuracy counts as much as so many, before any feedback;
TRUSTED_BY = 2.0  # that is believed as if so many variants had shown it
LEAST_TRUST = 2.0
LEAST, MOST = 0.2, 5.0
MOVED = 0.02  # a smaller change of the ratio is not worth preparing everything anew


class Difficulty:
    """Answers how many times as many errors as declared an input of a size makes likely; 1 before any feedback."""

    def __init__(self) -> None:
        self._all = Errors()
        self._classes: dict[int, Errors] = {}
        self._ratios: dict[int, float] = {}
        self._variants: dict[str, Errors] = {}
        self.trust = TRUSTED_ERRORS  # how many expected errors a declared accuracy counts as

    def judge(self, variant: str, errors: Errors) -> bool:
        """Of this variant there were so many errors, at inputs as hard as they were. True when `trust` has moved."""
        self._variants[variant] = errors
        weight, variance = TRUSTED_BY, TRUSTED_BY / TRUSTED_ERRORS
        for expected, observed in self._variants.values():
            counts, ratio = expected / (expected + TRUSTED_BY), (observed + 1) / (expected + 1)
            weight += counts
            variance += counts * max((ratio - 1) ** 2 - expected / (expected + 1) ** 2, 0.0)
        trust = max(weight / variance, LEAST_TRUST)
        moved = abs(trust - self.trust) > 0.1 * self.trust
        if moved:
            self.trust = trust
        return moved

    def ratio(self, size: int) -> float:
        """Errors at this size over declared errors."""
        return self._ratios.get(size.bit_length() // 2, 1.0)

    def observe(self, size: int, expected: float, observed: float) -> bool:
        """One judged answer, `observed` 1 when it was wrong and `expected` with that probability.

        True when a ratio has moved, for everybody.
        """
        self._all = faded(self._all, DECAY, expected, observed)
        self._classes = {one: faded(errors, DECAY) for one, errors in self._classes.items()}
        class_ = size.bit_length() // 2
        self._classes[class_] = faded(self._classes.get(class_, Errors()), 1.0, expected, observed)
        return self._update()

    def _update(self) -> bool:
        common = self._all.observed / self._all.expected if self._all.expected else 1.0
        moved = False
        for class_, errors in self._classes.items():
            ratio = (errors.observed + PRIOR_ERRORS) / (errors.expected * common + PRIOR_ERRORS)
            ratio = min(max(ratio, LEAST), MOST)
            if abs(ratio - self._ratios.get(class_, 1.0)) > MOVED:
                self._ratios[class_] = ratio
                moved = True
        return moved

    def export(self) -> dict[int, Errors]:
        """What was learned, as plain data, by size class."""
        return {one: errors.brief() for one, errors in self._classes.items()}

    def restore(self, by_size: Mapping[int, Errors], share: float) -> None:
        """Take back that `share` of what was exported."""
        for one, (expected, observed) in by_size.items():
            self._classes[one] = Errors(expected * share, observed * share)
        self._all = Errors(
            sum(errors.expected for errors in self._classes.values()),
            sum(errors.observed for errors in self._classes.values()),
        )
        self._update()


def faded(errors: Errors, kept: float, expected: float = 0.0, observed: float = 0.0) -> Errors:
    """So much of them, and these."""
    return Errors(errors.expected * kept + expected, errors.observed * kept + observed)
