"""Keeping promises: the true shape of what happened, measured in units of what was predicted.

A prediction is a Duration; what happened lies z = (ln(seconds) - mu) / sigma from its centre. If predictions were
perfect, z would be standard normal. Its real distribution is learned here as a fading histogram, and every probability
is read from that: so 95 % comes true 95 % of the time, at every level at once, whatever the true shape, as long as it
stays for some hundred requests (quantile recalibration, Kuleshov et al., ICML 2018; forgetting makes it adaptive).
"""

from bisect import bisect_left
from itertools import accumulate, pairwise
from math import erfc, sqrt

Z_MIN, Z_MAX, PER_UNIT = -4.0, 12.0, 4  # bins of a quarter; beyond Z_MAX is one more bin that no deadline reaches
BINS = int((Z_MAX - Z_MIN) * PER_UNIT)
DECAY = 0.995  # about the last 200 count
PRIOR_MASS = 25.0  # the normal shape counts as much as this many requests, and fades like them,
SMOOTHING_MASS = 5.0  # except for this many, so that no part of the range is ever impossible


def _normal(z: float) -> float:
    return erfc(-z / sqrt(2)) / 2


_EDGES = [Z_MIN + i / PER_UNIT for i in range(BINS + 1)]
_SHAPE = [_normal(high) - _normal(low) for low, high in pairwise(_EDGES)] + [0.0]
_SMOOTHING = [SMOOTHING_MASS * share for share in _SHAPE]


class Calibration:
    """The learned distribution of z. `cdf[i]` is P(z <= edge i); `z50` and `z95` are its quantiles."""

    __slots__ = ("_counts", "cdf", "z50", "z95")

    def __init__(self) -> None:
        self._counts = [PRIOR_MASS * share for share in _SHAPE]
        self._rebuild()

    def observe(self, z: float) -> None:
        """Learn where one request came out."""
        self._fade()
        self._counts[_bin(z)] += 1
        self._rebuild()

    def observe_beyond(self, z: float) -> None:
        """Learn that one request would have come out beyond `z`: its weight is spread over what lies there."""
        first = _bin(z) + 1
        masses = [p + c for p, c in zip(_SMOOTHING[first:], self._counts[first:], strict=True)]
        weight = sum(masses)
        self._fade()
        if weight > 1e-9:
            for i, mass in enumerate(masses, first):
                self._counts[i] += mass / weight
        else:
            self._counts[-1] += 1
        self._rebuild()

    def probability(self, z: float) -> float:
        """P(a request comes out at most `z`)."""
        x = min(max((z - Z_MIN) * PER_UNIT, 0.0), BINS)
        i = min(int(x), BINS - 1)
        return self.cdf[i] + (self.cdf[i + 1] - self.cdf[i]) * (x - i)

    def _fade(self) -> None:
        self._counts = [count * DECAY for count in self._counts]

    def _rebuild(self) -> None:
        cumulated = list(accumulate((p + c for p, c in zip(_SMOOTHING, self._counts, strict=True)), initial=0.0))
        whole = cumulated.pop()
        self.cdf = [mass / whole for mass in cumulated]
        self.z50, self.z95 = self._quantile(0.5), self._quantile(0.95)

    def _quantile(self, p: float) -> float:
        i = bisect_left(self.cdf, p)
        if i > BINS:
            return Z_MAX
        low, high = self.cdf[i - 1], self.cdf[i]
        return _EDGES[i - 1] + (p - low) / (high - low) / PER_UNIT


def _bin(z: float) -> int:
    return min(max(int((z - Z_MIN) * PER_UNIT), 0), BINS)
