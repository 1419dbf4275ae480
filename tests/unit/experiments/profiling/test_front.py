"""Who is dominated, by whom, and in what."""

from warmfront.experiments.profiling.front import Dominated, Point, dominated
from warmfront.experiments.profiling.statistics import times


def point(name: str, starts: list[float], warm_s: float, right: int, memory_mb: float) -> Point:
    """Right about the first so many of 100 inputs."""
    warm = times([warm_s * (0.9 + i / 500) for i in range(100)])
    return Point(name, times(starts), warm, right / 100, frozenset(range(right)), memory_mb)


FAST = point("fast", [0.18, 0.19, 0.2, 0.21, 0.22], 0.001, 80, 30)
GOOD = point("good", [8.0, 8.5, 9.0, 9.5, 10.0], 0.004, 93, 1000)


def test_a_front_of_trade_offs_has_nobody_dominated():
    """One is fast and small, the other right more often."""
    assert dominated([FAST, GOOD]) == []
    assert dominated([]) == []


def test_slower_and_less_right_is_dominated():
    """By the most accurate of those that are worse in nothing."""
    worse = point("worse", [11.0, 11.5, 12.0, 12.5, 13.0], 0.02, 70, 1300)
    better = ("starts", "latency", "accuracy", "memory")
    assert dominated([FAST, worse, GOOD]) == [Dominated("worse", "good", better)]


def test_noise_decides_nothing():
    """Starts whose ranges overlap, half a millisecond warm, 2 of 100 inputs and 3 % of memory are the same; then what
    is left decides: here nothing, and with ten inputs more accuracy alone.
    """
    almost = point("almost", [0.17, 0.18, 0.19, 0.2, 0.21], 0.0005, 78, 29.5)
    assert dominated([FAST, almost]) == []
    weak = point("weak", [0.17, 0.18, 0.19, 0.2, 0.21], 0.0005, 70, 29.5)
    assert dominated([FAST, weak]) == [Dominated("weak", "fast", ("accuracy",))]
    few = point("few", [0.15], 0.0005, 70, 29.5)  # one start cannot tell 0.15 s from 0.2 s
    assert dominated([FAST, few]) == [Dominated("few", "fast", ("accuracy",))]


def test_one_gain_is_enough_to_stay():
    """Twice as slow, as right, but a third of the memory."""
    lean = point("lean", [0.38, 0.39, 0.4, 0.41, 0.42], 0.002, 80, 10)
    assert dominated([FAST, lean]) == []
