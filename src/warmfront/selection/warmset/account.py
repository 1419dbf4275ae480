"""Whether what the plan keeps awake is worth what it costs, by what came of it and not by what was expected.

The model of requests can be wrong, above all where the traffic changes. So the plan keeps books: what it spends on
variants that would not be awake without it, and what these add to the requests that do come. When it gains less than it
spends, memory counts as the dearer for it, until that is over.
"""

FADES = 0.98  # with each request that comes; about the last fifty count
CREDIT = 1.0  # a right answer may be lost before anybody asks
LEAST = 0.25


class Account:
    """What the plan has spent and gained lately, in utility."""

    def __init__(self) -> None:
        self.spent = self.gained = 0.0
        self._price_per_s, self._at = 0.0, 0.0

    def spend(self, price_per_s: float, now: float) -> None:
        """From now on the plan spends so much."""
        self.spent += self._price_per_s * (now - self._at)
        self._price_per_s, self._at = price_per_s, now

    def gain(self, worth: float) -> None:
        """A request came, and what the plan keeps was worth so much to it."""
        self.spent *= FADES
        self.gained = self.gained * FADES + worth

    @property
    def dearer(self) -> float:
        """How many times as dear memory counts: 1 while the plan gains what it spends."""
        return 1 / min(max((self.gained + CREDIT) / (self.spent + CREDIT), LEAST), 1.0)
