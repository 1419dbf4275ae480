"""Small statistics of measurements: quantiles, shares with their intervals, size classes, what a KiB costs. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from warmfront.experiments.metrics import quantile

_Z = 1.959963984540054  # 97.5 % of the standard normal law
LEAST = 30  # inputs in a size class
_FEW = 5  # values below which a median has no interval


@dataclass(frozen=True, slots=True)
class Share:
    """`right` of `total`, and where the true share lies with 95 % confidence."""

    right: int
    total: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (1927): 8 of 10 are 0.490 to 0.943; it never leaves [0, 1]."""
        n, p, z = self.total, self.value, _Z
        middle = p + z * z / (2 * n)
        reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max((middle - reach) / scale, 0.0), min((middle + reach) / scale, 1.0)


@dataclass(frozen=True, slots=True)
class Times:
    """Durations of one kind: how many, the median and the 95th percentile (of fewer than 20 the longest), in s.

    The median lies between `low` and `high` with about 95 % confidence.
    """

    n: int
    p50: float
    p95: float
    low: float = field(default=0.0, compare=False)
    high: float = field(default=math.inf, compare=False)


def times(values: Sequence[float]) -> Times | None:
    """Summed up; None of nothing."""
    if not values:
        return None
    rising = sorted(values)
    low, high = _median_interval(rising)
    return Times(len(rising), median(rising), quantile(rising, 0.95) or rising[-1], low, high)


def _median_interval(rising: Sequence[float]) -> tuple[float, float]:
    """By order statistics, whatever the law: of 5 values the least and the largest (94 %), of 100 the 40th and 61st.

    Fewer than 5 cannot tell: half and double the median.
    """
    n = len(rising)
    if n < _FEW:
        return median(rising) / 2, median(rising) * 2
    skipped = max(math.floor(n / 2 - _Z / 2 * math.sqrt(n)), 0)
    return rising[skipped], rising[n - 1 - skipped]


def clearly_more_right(one: frozenset[int], other: frozenset[int]) -> int:
    """1 when `one` is right about clearly more of the same inputs, -1 when the other is, 0 when chance may be why.

    McNemar's test (1947) at 5 %: only inputs that one of the two got right count. 10 to 2 is clear, 10 to 4 is not.
    """
    mine, theirs = len(one - other), len(other - one)
    if abs(mine - theirs) <= _Z * math.sqrt(mine + theirs):
        return 0
    return 1 if mine > theirs else -1


def size_classes(sizes: Sequence[int], least: int = LEAST) -> list[tuple[int, int]]:
    """Classes (above, up to) that split the sizes at powers of two, each with at least that many of them.

    Sizes 5, 6, 20, 21 with least = 2: (0, 8] and (8, 32]. What is too few for a class joins the one before.
    """
    classes: list[tuple[int, int]] = []
    above, held = 0, 0
    for size in sorted(sizes):
        upper = 1 << max(math.ceil(math.log2(size)), 0) if size else 1
        if held >= least and upper > classes[-1][1]:
            above, held = classes[-1][1], 0
        if held == 0:
            classes.append((above, upper))
        classes[-1] = (classes[-1][0], max(upper, classes[-1][1]))
        held += 1
    if len(classes) > 1 and held < least:
        last = classes.pop()
        classes[-1] = (classes[-1][0], last[1])
    return classes


def per_kib(usual: Sequence[tuple[int, float]], long: Sequence[tuple[int, float]]) -> float:
    """Seconds that a KiB more costs, from (size, seconds) of usual and of long inputs; 0 when nothing can be told.

    Medians on both sides: one slow answer says nothing. 0.010 s at 24 bytes and 0.030 s at 1048 are 0.020 s per KiB.
    """
    if not usual or not long:
        return 0.0
    size, took = (median(pair[i] for pair in usual) for i in (0, 1))
    long_size, long_took = (median(pair[i] for pair in long) for i in (0, 1))
    if long_size <= size:
        return 0.0
    return max(0.0, (long_took - took) / (long_size - size) * 1024)
