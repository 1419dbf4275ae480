"""Which variants nobody would choose: the Pareto front over answer from zero, warm answer, accuracy and memory. Pure.

A variant is dominated when another one is clearly better in something and clearly worse in nothing. Clearly: beyond
chance, and by more than counts: a millisecond of time, a tenth of the memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from warmfront.experiments.profiling.figures import Figures
from warmfront.experiments.profiling.statistics import Times, clearly_more_right

_LEAST_S = 0.001
_LEAST_MEMORY = 0.1


class Point(NamedTuple):
    """What counts of a variant: time from zero and warm, share right and which inputs those are, MB."""

    variant: str
    from_zero: Times
    warm: Times
    accuracy: float
    right: frozenset[int]
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Dominated:
    """A variant, the one that dominates it, and in what that one is better."""

    variant: str
    by: str
    better: tuple[str, ...]


def point(one: Figures) -> Point | None:
    """The variant's place; None while one of the four is not known."""
    memory = one.memory_mb or one.declared.memory_mb
    if one.total is None or one.warm is None or one.accuracy is None or memory is None:
        return None
    return Point(one.variant, one.total, one.warm, one.accuracy.value, one.right, memory)


def dominated(points: Sequence[Point]) -> list[Dominated]:
    """Every dominated variant, with the most accurate of those that dominate it."""
    found = []
    for one in points:
        rivals = [(other, _gains(other, one)) for other in points if other is not one]
        better = [(other, gains) for other, gains in rivals if min(gains.values()) >= 0 and max(gains.values()) > 0]
        if better:
            other, gains = max(better, key=lambda pair: pair[0].accuracy)
            found.append(Dominated(one.variant, other.variant, tuple(name for name, gain in gains.items() if gain)))
    return found


def _gains(one: Point, other: Point) -> dict[str, int]:
    """In what the one is clearly better (1), clearly worse (-1) or the same (0)."""
    return {
        "starts": _sooner(one.from_zero, other.from_zero), "latency": _sooner(one.warm, other.warm),
        "accuracy": clearly_more_right(one.right, other.right), "memory": _less(one.memory_mb, other.memory_mb),
    }  # fmt: skip


def _sooner(one: Times, other: Times) -> int:
    if abs(one.p50 - other.p50) <= _LEAST_S:
        return 0
    return int(one.high < other.low) - int(other.high < one.low)


def _less(one: float, other: float) -> int:
    if abs(one - other) <= _LEAST_MEMORY * max(one, other):
        return 0
    return 1 if one < other else -1
