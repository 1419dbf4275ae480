"""Numbers that can be worked out by hand, or looked up."""

import pytest

from warmfront.experiments.profiling.statistics import Share, Times, clearly_more_right, per_kib, size_classes, times


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(8, 10, 0.490, 0.943), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (81, 263, 0.255, 0.366)],
)
def test_wilson(right, total, low, high):
    """Against published values: 81 of 263 is Newcombe's example (1998), 0.2553 to 0.3662."""
    assert Share(right, total).interval == pytest.approx((low, high), abs=5e-4)


def test_times():
    """Of four values the p95 is the longest; of a hundred it is the 95th."""
    assert times([]) is None
    assert times([4.0, 1.0, 2.0, 3.0]) == Times(4, 2.5, 4.0)
    assert times([float(i) for i in range(1, 101)]) == Times(100, 50.5, 95.0)


def test_where_a_median_lies():
    """Of 5 values anywhere among them, of 100 between the 41st and the 60th; of two nobody knows."""
    five, hundred, two = (times([float(i) for i in range(1, n + 1)]) for n in (5, 100, 2))
    assert (five.low, five.high) == (1.0, 5.0)
    assert (hundred.low, hundred.high) == (41.0, 60.0)
    assert (two.low, two.high) == (0.75, 3.0)


@pytest.mark.parametrize(
    ("mine", "theirs", "clear"), [(10, 2, 1), (2, 10, -1), (10, 4, 0), (0, 0, 0), (4, 0, 1), (3, 0, 0)]
)
def test_mcnemar(mine, theirs, clear):
    """Of inputs that one alone got right; 50 that both did say nothing. 10 - 2 = 8 is above 1.96 * sqrt(12) = 6.8."""
    both = set(range(100, 150))
    assert (
        clearly_more_right(frozenset(both | set(range(mine))), frozenset(both | set(range(50, 50 + theirs)))) == clear
    )


@pytest.mark.parametrize(
    ("sizes", "classes"),
    [
        ([5, 6, 20, 21], [(0, 8), (8, 32)]),
        ([5, 6, 20], [(0, 32)]),  # one of 20 bytes alone is too few
        ([784] * 5, [(0, 1024)]),
        ([5, 6, 7, 8, 9], [(0, 16)]),  # 9 alone joins the class before
        ([16, 16, 17, 17], [(0, 16), (16, 32)]),  # the upper bound is in
        ([], []),
    ],
)
def test_size_classes(sizes, classes):
    """Powers of two, at least two sizes in each."""
    assert size_classes(sizes, least=2) == classes
    held = [sum(above < size <= up_to for size in sizes) for above, up_to in classes]
    assert sum(held) == len(sizes)


def test_what_a_kib_costs():
    """10 ms at 24 bytes and 30 ms at 1048: 20 ms for the 1024 between; never negative, and 0 when nothing is known."""
    assert per_kib([(24, 0.010)] * 3, [(1048, 0.030)]) == pytest.approx(0.020)
    assert per_kib([(24, 0.010)], [(1048, 0.005)]) == 0.0
    assert per_kib([(24, 0.010)], []) == 0.0
    assert per_kib([(24, 0.010)], [(24, 0.9)]) == 0.0
