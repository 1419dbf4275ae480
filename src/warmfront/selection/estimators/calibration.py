"""Keeping promises: the true shape of what happened, measured in units of what was predicted.

A prediction is a Duration; what happened lies z = (ln(seconds) - mu) / sigma from its centre. If predictions were
perfect, z would be standard normal. Its real distribution is learned here as a fading histogram, and every probability
is read from that: so 95 % comes true 95 % of the time, at every level at once, whatever the true shape, as long as it
stays for some hundred requests (quantile recalibration, Kuleshov et al., ICML 2018; forgetting makes it adaptive).
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import erfc, sqrt
from typing import NamedTuple

Z_MIN, Z_MAX, PER_UNIT = -4.0, 12.0, 4  # bins of a quarter; beyond Z_MAX is one more bin that no deadline reaches
BINS = int((Z_MAX - Z_MIN) * PER_UNIT)
DECAY = 0.995  # about the last 200 count
PRIOR_MASS = 25.0  # the normal shape counts as much as this many requests, and fades like them,
SMOOTHING_MASS = 5.0  # except for this many, so that no part of the range is ever impossible


def _normal(z: float) -> float:
    return erfc(-z / sqrt(2)) / 2


_EDGES = [Z_MIN + i / PER_UNIT for i in range(BINS + 1)]
_SHAPE = [_normal(high) - _normal(low) for low, high in pairwise(_EDGES)] + [0.0]
_MAX_UNIT = 1e6
_SMOOTHING = [SMOOTHING_MASS * share for share in _SHAPE]
_PRIOR = [PRIOR_MASS * share for share in _SHAPE]


class Shape(NamedTuple):
    """A distribution of z: `cdf[i]` is P(z <= edge i); `z50` and `z95` are its quantiles."""

    cdf: list[float]
    z50: float
    z95: float


class Calibration:
    """Learns the distribution of z; `shape` is what it believes now, the normal law before the first request."""

    __slots__ = ("_counts", "_shape", "_unit")

    def __init__(self) -> None:
        self._unit = 1.0  # what one request weighs: it grows, in place of all earlier ones being made to shrink
        self._counts = list(_PRIOR)
        self._shape: Shape | None = None

    def observe(self, z: float) -> None:
        """Learn where one request came out."""
        self._grow()
        self._counts[_bin(z)] += self._unit

    def observe_beyond(self, z: float) -> None:
        """Learn that one request would have come out beyond `z`: its weight is spread over what lies there."""
        first = _bin(z) + 1
        masses = self._masses()[first:]
        weight = sum(masses)
        self._grow()
        if weight > 1e-9 * self._unit:
            for i, mass in enumerate(masses, first):
                self._counts[i] += self._unit * mass / weight
        else:
            self._counts[-1] += self._unit

    @property
    def shape(self) -> Shape:
        """The distribution as learned so far."""
        if self._shape is None:
            cumulated = list(accumulate(self._masses(), initial=0.0))
            whole = cumulated.pop()
            cdf = [mass / whole for mass in cumulated]
            self._shape = Shape(cdf, _quantile(cdf, 0.5), _quantile(cdf, 0.95))
        return self._shape

    def probability(self, z: float) -> float:
        """P(a request comes out at most `z`)."""
        x = min(max((z - Z_MIN) * PER_UNIT, 0.0), BINS)
        i, cdf = min(int(x), BINS - 1), self.shape.cdf
        return cdf[i] + (cdf[i + 1] - cdf[i]) * (x - i)

    def export(self) -> tuple[float, ...]:
        """The mass of every bin, as plain data; empty when nothing was learned."""
        if self._counts == _PRIOR:
            return ()
        return tuple(round(count / self._unit, 2) for count in self._counts)

    def restore(self, masses: Sequence[float], share: float) -> None:
        """Take back that `share` of what was exported; by the rest the normal law counts again."""
        if len(masses) == len(_PRIOR):
            self._counts = [share * mass + (1 - share) * prior for mass, prior in zip(masses, _PRIOR, strict=True)]
            self._unit, self._shape = 1.0, None

    def _masses(self) -> list[float]:
        unit = self._unit
        return [share * unit + count for share, count in zip(_SMOOTHING, self._counts, strict=True)]

    def _grow(self) -> None:
        self._shape = None
        self._unit /= DECAY
        if self._unit > _MAX_UNIT:
            self._counts = [count / self._unit for count in self._counts]
            self._unit = 1.0


def _quantile(cdf: list[float], p: float) -> float:
    i = bisect_left(cdf, p)
    if i > BINS:
        return Z_MAX
    low, high = cdf[i - 1], cdf[i]
    return _EDGES[i - 1] + (p - low) / (high - low) / PER_UNIT


def _bin(z: float) -> int:
    return min(max(int((z - Z_MIN) * PER_UNIT), 0), BINS)
