"""Who is dominated, and by whom."""

from warmfront.experiments.profiling.front import Dominated, Point, dominated

FAST = Point("fast", from_zero_s=0.2, warm_s=0.001, accuracy=0.80, memory_mb=30)
GOOD = Point("good", from_zero_s=9.0, warm_s=0.004, accuracy=0.93, memory_mb=1000)


def test_a_front_of_trade_offs_has_nobody_dominated():
    """One is fast and small, the other right more often."""
    assert dominated([FAST, GOOD]) == []
    assert dominated([]) == []


def test_slower_and_less_right_is_dominated():
    """By the most accurate of those that are no worse in anything."""
    worse = Point("worse", from_zero_s=10.0, warm_s=0.02, accuracy=0.79, memory_mb=1100)
    assert dominated([FAST, worse, GOOD]) == [Dominated("worse", "good")]


def test_noise_decides_nothing():
    """5 % less time from zero, half a millisecond warm and 2 % of memory are the same; then accuracy alone decides."""
    almost = Point("almost", from_zero_s=0.19, warm_s=0.0005, accuracy=0.78, memory_mb=29.5)
    assert dominated([FAST, almost]) == [Dominated("almost", "fast")]
    same = FAST._replace(variant="same")
    assert dominated([FAST, same]) == []


def test_one_gain_is_enough_to_stay():
    """Twice as slow, as right, but a third of the memory."""
    lean = Point("lean", from_zero_s=0.4, warm_s=0.002, accuracy=0.80, memory_mb=10)
    assert dominated([FAST, lean]) == []
