"""How much slower an execution is for every other one beside it on the same replica."""

from math import inf

DECAY = 0.995  # weight kept by earlier samples when one arrives: about the last 200 count
RIDGE = 0.3  # samples that seem to have shown no slope, one step apart: tames the first few
SURE = 4.0  # squared standard errors that a slope must stand away from none
MOST = 1000.0
ROUNDING = 1e-9


class Crowding:
    """Learns c in: an execution beside n others takes (1 + c n) times as long as one alone.

    Time-sharing of a processor, a batch or a lock make such a line (Harchol-Balter, "Performance Modeling and Design of
    Computer Systems", 2013, chapter 22, for the processor). Fitted by weighted least squares with forgetting: samples
    count inversely to the square of what was expected of them, for durations scatter in proportion to their length. A
    slope that is not clearly one is shrunk towards none (James and Stein's positive part), so that a variant whose
    executions do not disturb each other keeps c = 0 whatever the noise.
    """

    __slots__ = ("_count", "_n", "_x", "_xx", "_xy", "_y", "_yy", "slope")

    def __init__(self) -> None:
        self.slope = 0.0
        self._count = 0.0  # samples, those long ago as less than one
        self._n = self._x = self._y = self._xx = self._xy = self._yy = 0.0  # weighted sums

    def factor(self, beside: int) -> float:
        """How many times as long as alone, with `beside` others."""
        return 1.0 + self.slope * beside

    def observe(self, beside: int, ratio: float) -> None:
        """Learn one execution beside others; `ratio` is its time over what is profiled for one alone."""
        expected = self.factor(beside)
        weight = 1.0 / (expected * expected)
        self._count = self._count * DECAY + 1
        self._n = self._n * DECAY + weight
        self._x = self._x * DECAY + weight * beside
        self._y = self._y * DECAY + weight * ratio
        self._xx = self._xx * DECAY + weight * beside * beside
        self._xy = self._xy * DECAY + weight * beside * ratio
        self._yy = self._yy * DECAY + weight * ratio * ratio
        self.slope = self._fit()

    def _fit(self) -> float:
        n = self._n
        mean_x, mean_y = self._x / n, self._y / n
        scatter = self._xx - n * mean_x * mean_x
        common = self._xy - n * mean_x * mean_y
        if scatter <= ROUNDING * self._xx or common <= 0:
            return 0.0
        rise = common / (scatter + RIDGE * n / self._count)
        alone = max(mean_y - rise * mean_x, mean_y / MOST)
        left = max(self._yy - n * mean_y * mean_y - common * common / scatter, 0.0) / n
        surety = rise * rise * scatter / left if left else inf
        return min(rise / alone * max(1.0 - SURE / surety, 0.0), MOST)
