"""One-second buckets: what counts, what counts as zero, and what does not count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfront.autoscaling import Window


def filled(length_s: float, values: list[float], *, weighted: bool = False) -> Window:
    """A window with one value in each second from 0."""
    window = Window(length_s, weighted=weighted)
    for second, value in enumerate(values):
        window.record(second, value)
    return window


def test_the_plain_average_does_not_care_about_order() -> None:
    """(10 + 10 + 5 + 5) / 4 = 7.5 either way round."""
    assert filled(4, [10, 10, 5, 5]).average(3) == 7.5
    assert filled(4, [5, 5, 10, 10]).average(3) == 7.5


def test_the_weighted_average_prefers_the_new() -> None:
    """Four buckets: c = 1 - 0.0001 ** (1 / 4) = 0.9, so 5 * 0.9 + 5 * 0.09 + 10 * 0.009 + 10 * 0.0009 = 5.049."""
    assert filled(4, [10, 10, 5, 5], weighted=True).average(3) == pytest.approx(5.049)
    assert filled(4, [5, 5, 10, 10], weighted=True).average(3) == pytest.approx(9.9 + 0.045 + 0.0045)


def test_the_weight_of_the_newest_second_is_at_least_a_fifth() -> None:
    """Sixty buckets would give 1 - 0.0001 ** (1 / 60) = 0.142; it is lifted to 0.2."""
    assert filled(60, [0] * 59 + [10], weighted=True).average(59) == pytest.approx(2.0)


def test_the_weighted_average_decays_in_silence() -> None:
    """Three silent seconds leave 0.9 * 0.1 ** 3 of the value; after the window nothing is left."""
    window = filled(4, [8], weighted=True)
    assert window.average(3) == pytest.approx(8 * 0.9 * 0.001)
    assert window.average(4) == 0


def test_values_of_one_second_add_up() -> None:
    """Each reporter brings its own share of the load."""
    window = Window(6)
    for at in (10.0, 10.4, 10.999):
        window.record(at, 2)
    assert window.average(10.5) == 6


def test_a_young_window_averages_over_its_age() -> None:
    """After 3 of 60 seconds the load of these 3 is the average, not a twentieth of it."""
    assert filled(60, [4, 4, 4]).average(2) == 4


def test_a_gap_counts_as_zero() -> None:
    """12 at second 0 and at second 5: 24 over 6 seconds."""
    window = Window(60)
    window.record(0, 12)
    window.record(5, 12)
    assert window.average(5) == 4


def test_silence_at_the_end_does_not_count() -> None:
    """Window 6: after 4 seconds of 3 and 3 of silence, the seconds 1 to 3 are left and average 3."""
    window = filled(6, [3, 3, 3, 3])
    assert window.average(6) == 3
    assert window.average(8) == 3  # second 3 alone
    assert window.average(9) == 0  # it left the window


def test_old_seconds_leave() -> None:
    """Window 3 over 1, 2, 3, 4, 5: the last three."""
    assert filled(3, [1, 2, 3, 4, 5]).average(4) == 4


def test_a_window_of_silence_starts_it_anew() -> None:
    """The first value after it is the average again."""
    window = filled(6, [9, 9])
    window.record(7, 5)
    assert window.average(7) == 5


def test_a_late_value_counts_while_its_second_does() -> None:
    """Window 3 at second 5: second 3 still counts, second 2 does not, and a clock a second behind is no harm."""
    window = Window(3)
    window.record(5, 3)
    window.record(3, 6)
    window.record(2, 100)
    assert window.average(5) == 3
    assert window.average(4) == 3


def test_empty_means_nothing_for_longer_than_the_window() -> None:
    """A new window is empty; one written at 0 with 6 s is empty from second 7."""
    window = Window(6)
    assert window.empty(0)
    window.record(0, 1)
    assert not window.empty(6)
    assert window.empty(7)


def test_averages_have_six_digits() -> None:
    """1 / 3 is 0.333333."""
    assert filled(3, [1, 0, 0]).average(2) == 0.333333


def test_a_shorter_window_keeps_the_latest_seconds() -> None:
    """1, 2, 3, 4 cut to two seconds: (3 + 4) / 2."""
    window = filled(4, [1, 2, 3, 4])
    window.resize(2, now=3)
    assert window.average(3) == 3.5


def test_a_longer_window_keeps_what_there_was() -> None:
    """1, 2, 3, 4 averaged over the four seconds known, then over five."""
    window = filled(4, [1, 2, 3, 4])
    window.resize(10, now=3)
    assert window.average(3) == 2.5
    window.record(4, 5)
    assert window.average(4) == 3


def test_resizing_an_empty_window_forgets_and_the_same_length_changes_nothing() -> None:
    """Old data does not come back with a longer window."""
    window = filled(4, [1, 2, 3, 4])
    window.resize(4, now=100)
    assert window.average(3) == 2.5
    window.resize(60, now=100)
    assert window.average(9) == 0


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 50)), min_size=1, max_size=30),
    st.integers(0, 14),
)
def test_the_average_is_what_a_list_says(length: int, steps: list[tuple[int, int]], silent: int) -> None:
    """Law: over the seconds of the window from the start of the latest run to its last value, gaps as zeros."""
    window = Window(length)
    values: dict[int, int] = {}
    second = first = 1000
    for step, value in steps:
        if step >= length:
            first = second + step
        second += step
        values[second] = value
        window.record(second + 0.5, value)
    first = first if first != 1000 else 1000 + steps[0][0]
    known = range(max(first, second + silent - length + 1), second + 1)
    expected = sum(values.get(at, 0) for at in known) / len(known) if known else 0
    assert window.average(second + silent) == pytest.approx(expected, abs=1e-6)
