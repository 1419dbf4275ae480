"""Which variants nobody would choose: the Pareto front over answer from zero, warm answer, accuracy and memory. Pure.

A variant is dominated when another one is no worse in everything and better in something. Times that differ by less
than a millisecond or a tenth, and memory that differs by less than a twentieth, count as the same: so much is noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from warmfront.experiments.profiling.figures import Figures


class Point(NamedTuple):
    """What counts of a variant: seconds from zero and warm (medians), share right, MB."""

    variant: str
    from_zero_s: float
    warm_s: float
    accuracy: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Dominated:
    """A variant and the one that is better."""

    variant: str
    by: str


def point(one: Figures) -> Point | None:
    """The variant's place; None while one of the four is not known."""
    memory = one.memory_mb or one.declared.memory_mb
    if one.from_zero_s is None or one.warm is None or one.accuracy is None or memory is None:
        return None
    return Point(one.variant, one.from_zero_s, one.warm.p50, one.accuracy.value, memory)


def dominated(points: Sequence[Point]) -> list[Dominated]:
    """Every dominated variant, with the most accurate of those that dominate it."""
    found = []
    for one in points:
        better = [other for other in points if other is not one and _dominates(other, one)]
        if better:
            found.append(Dominated(one.variant, max(better, key=lambda other: other.accuracy).variant))
    return found


def _dominates(one: Point, other: Point) -> bool:
    gains = (
        _less(one.from_zero_s, other.from_zero_s, 0.1, 0.001), _less(one.warm_s, other.warm_s, 0.1, 0.001),
        _less(other.accuracy, one.accuracy, 0.0, 0.0), _less(one.memory_mb, other.memory_mb, 0.05, 0.0),
    )  # fmt: skip
    return min(gains) >= 0 and max(gains) > 0


def _less(one: float, other: float, relative: float, absolute: float) -> int:
    """1: clearly less; -1: clearly more; 0: the same but for noise."""
    if abs(one - other) <= max(absolute, relative * max(one, other)):
        return 0
    return 1 if one < other else -1
