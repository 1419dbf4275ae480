"""Averages over one-second buckets, as Knative's collector keeps them (pkg/autoscaler/aggregation).

What may live here: sums per second and their averages. What must not: replicas, targets, decisions.
"""

import math
from typing import Final

_LEAST_SMOOTHING: Final = 0.2
_WEIGHT_SUM: Final = 0.9999  # the weights of one window add up to at least this


class Window:
    """The latest `length_s` whole seconds of one metric.

    Values recorded within a second add up: each comes from another reporter. Seconds without a value between two with
    one count as zero; seconds before the first and after the last do not count. A window without any value averages 0.
    `weighted` lets newer seconds weigh more.
    """

    def __init__(self, length_s: float, *, weighted: bool = False) -> None:
        self._length = int(length_s)
        self.weighted = weighted
        self._sums: dict[int, float] = {}
        self._first = 0
        self._last = -(10**18)  # long before any clock starts

    def record(self, now: float, value: float) -> None:
        """Add a value to the second of `now`; a second that has left the window stays out."""
        second = math.floor(now)
        if second - self._last >= self._length:
            self._sums.clear()
            self._first = self._last = second
        elif second > self._last:
            for gone in range(self._last - self._length + 1, second - self._length + 1):
                self._sums.pop(gone, None)
            self._last = second
        elif second <= self._last - self._length:
            return
        self._first = min(self._first, second)
        self._sums[second] = self._sums.get(second, 0.0) + value

    def empty(self, now: float) -> bool:
        """Whether nothing was recorded for longer than the window."""
        return math.floor(now) - self._last > self._length

    def average(self, now: float) -> float:
        """The average over the window up to `now`, by the way of averaging chosen for it."""
        silent = max(0, math.floor(now) - self._last)
        if silent >= self._length:
            return 0.0
        return self._weighted_average(silent) if self.weighted else self._plain_average(silent)

    def resize(self, length_s: float, now: float) -> None:
        """Change the length and keep the latest seconds that fit. The old window then counts as having been full."""
        length = int(length_s)
        if length == self._length:
            return
        if self.empty(now):
            self._sums.clear()
        else:
            oldest = self._last - min(length, self._length) + 1
            self._sums = {second: value for second, value in self._sums.items() if second >= oldest}
            self._first = self._last - self._length + 1
        self._length = length

    def _plain_average(self, silent: int) -> float:
        oldest = self._last + silent - self._length + 1
        total = math.fsum(value for second, value in self._sums.items() if second >= oldest)
        buckets = min(self._last - self._first + 1, self._length - silent)
        return math.floor(total / buckets * 1e6 + 0.5) / 1e6

    def _weighted_average(self, silent: int) -> float:
        """Each second back weighs (1 - c) times the one after it: of [10, 10, 5, 5] and c 0.6, 5.544."""
        smoothing = max(_LEAST_SMOOTHING, 1 - (1 - _WEIGHT_SUM) ** (1 / self._length))
        oldest = self._last + silent - self._length + 1
        return math.fsum(
            value * smoothing * (1 - smoothing) ** (self._last - second + silent)
            for second, value in self._sums.items()
            if second >= oldest
        )
