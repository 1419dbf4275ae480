"""A second request at the last safe moment: when, for what, at what price, by numbers that can be checked by hand."""

from math import inf, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfront.domain import Spread, Warmth
from warmfront.selection.estimators.calibration import Calibration
from warmfront.selection.estimators.duration import from_spread
from warmfront.selection.forecast import forecast, log_budget
from warmfront.selection.hedge import (
    GUARD_S,
    LOST,
    SAFE,
    First,
    Second,
    best_second,
    gain,
    hindered,
    last_moment,
    late,
    most_gained,
    unanswered,
)

NORMAL = Calibration().shape


def expected(p50=1.0, p95=2.0):
    """A forecast of a reply with this median and this 95th percentile."""
    latency = from_spread(Spread(p50=p50, p95=p95))
    return forecast("v", Warmth.WARM, 0.9, latency, NORMAL, wait_s=0.0, execution_s=p50)


def second(name="w", needed=0.02, worth=0.8, price=0.0, in_time=0.95):
    return Second(name, needed, in_time, worth, price)


def first(p50=1.0, p95=2.0, worth=0.9):
    return First(expected(p50, p95), worth, 0.0)


def test_what_is_late_given_that_it_was_waited_for():
    """Half are not there after the median, one in twenty after the 95th percentile, one in a thousand ever: who waited
    for 1 s will be late after 2 s with (0.999 * 0.05 + 0.001) / (0.999 * 0.5 + 0.001) = 0.1018.
    """
    one = expected()
    assert unanswered(one, 1.0) == pytest.approx(0.5005, abs=1e-4)
    assert late(one, 1.0, one.p95_s) == pytest.approx(0.1018, abs=1e-4)
    assert late(one, 0.5, 0.5) == 1.0


def test_one_that_hangs_will_be_late():
    """By the law alone 90 % of those not there after 50 s would come by 51 s; but such a one most likely never does."""
    one = expected()
    assert one.probability(log(50.0)) > 0.999999
    assert late(one, 50.0, 51.0) == pytest.approx(1.0, abs=1e-3)
    assert unanswered(one, 1e9) == pytest.approx(LOST)


def test_the_gain_is_what_is_saved_less_what_is_pre_empted():
    """0.9 against 0.8, half of the first late: 0.95 * (0.8 * 0.5 - 0.1 * 0.5) = 0.3325. Of equals nothing is lost by
    being quicker; and one hardly ever late is better left alone: 0.95 * (0.8 * 0.1 - 0.1 * 0.9) < 0.
    """
    assert gain(0.9, 0.8, 0.95, 0.5) == pytest.approx(0.3325)
    assert gain(0.8, 0.8, 0.95, 0.5) == pytest.approx(0.38)
    assert gain(0.7, 0.8, 0.95, 0.5) == pytest.approx(0.38)
    assert gain(0.9, 0.8, 0.95, 0.1) < 0


def test_who_is_kept_waiting():
    """Two of four places taken: 0.5 ** sqrt(10) / 0.5 = 0.2234 requests; none taken: none; all: no end."""
    assert hindered(2, 4) == pytest.approx(0.5 ** sqrt(10) / 0.5) == pytest.approx(0.2234, abs=1e-4)
    assert hindered(0, 1) == 0.0
    assert hindered(4, 4) == hindered(5, 4) == inf


def test_the_last_safe_moment():
    """The second takes 0.02 s or less in 19 of 20 cases and 2 ms are spared: 1.478 s of 1.5 s are the first's."""
    assert last_moment(first(), [second()], 1.5).at == pytest.approx(1.5 - 0.02 - GUARD_S) == pytest.approx(1.478)
    assert last_moment(First(expected(), 0.9, 100.0), [second()], 101.5).at == pytest.approx(101.478)


def test_what_is_expected_of_it():
    """At 1.478 s the first is missing with 17.7 %, and then late with 95 %: of the price of 0.1 and the gain of
    0.95 * (0.8 * 0.95 - 0.1 * 0.05) = 0.72 that leaves 0.11.
    """
    moment = last_moment(first(), [second(price=0.1)], 1.5)
    missing = unanswered(expected(), moment.at)
    assert missing == pytest.approx(0.177, abs=0.005)
    net = gain(0.9, 0.8, 0.95, late(expected(), moment.at, 1.5)) - 0.1
    assert moment.gain == pytest.approx(missing * net)
    assert moment.gain == pytest.approx(0.11, abs=0.01)


@pytest.mark.parametrize(
    ("others", "deadline"),
    [
        ([], 1.5),  # nobody else
        ([second(needed=2.0)], 1.5),  # as slow as the first
        ([second(price=0.8)], 1.5),  # dearer than what it may save
        ([second(worth=0.01)], 1.5),  # hardly ever right
    ],
)
def test_no_moment_is_safe_or_worth_it(others, deadline):
    """None: nobody can wait, or gains more than it costs."""
    assert last_moment(first(), others, deadline) is None


def test_of_several_the_one_that_is_expected_to_gain_most():
    """The quicker one is asked later, and more often needlessly not at all; the better one sooner. With half of the
    first ones still missing it pays to ask the better one, in spite of its taking longer.
    """
    quick, good = second("quick", worth=0.3), second("good", 0.3, worth=0.85)
    assert last_moment(first(), [quick, good], 1.5) == last_moment(first(), [good], 1.5)
    assert last_moment(first(), [good, quick], 1.5) == last_moment(first(), [good], 1.5)


def test_whom_to_ask_now():
    """Who has no time left gains nothing; of those who have it is the better one, unless it is too dear."""
    quick, good = second("quick", worth=0.5), second("good", worth=0.85)
    assert best_second(first(), [quick, good], 1.47, 1.5) == good
    assert best_second(first(), [quick, good._replace(in_time=0.1)], 1.47, 1.5) == quick
    assert best_second(first(), [quick, good._replace(price=0.5)], 1.47, 1.5) == quick
    assert best_second(first(), [quick._replace(in_time=0.0)], 1.499, 1.5) is None
    assert best_second(first(), [], 1.0, 1.5) is None


seconds_ = st.lists(
    st.builds(
        second, name=st.sampled_from("wxyz"), needed=st.floats(0.001, 4.0), in_time=st.just(SAFE),
        worth=st.floats(0.0, 1.0), price=st.floats(0.0, 0.2),
    ),
    max_size=4,
)  # fmt: skip


@given(p95=st.floats(1.1, 20.0), worth=st.floats(0.0, 1.0), others=seconds_, budget=st.floats(0.01, 20.0))
def test_a_moment_lies_between_now_and_the_deadline_and_somebody_is_worth_asking_then(p95, worth, others, budget):
    """After it was sent, early enough for somebody, and if nothing has changed somebody will be asked."""
    one = first(p95=p95, worth=worth)
    moment = last_moment(one, others, budget)
    if moment is None:
        return
    assert 0 < moment.at < budget
    in_time = one.forecast.probability(log_budget(budget))
    assert 0 < moment.gain <= most_gained(in_time, max(other.worth for other in others))
    asked = best_second(one, others, moment.at, budget)
    assert asked is not None
    assert gain(worth, asked.worth, SAFE, late(one.forecast, moment.at, budget)) > asked.price


@given(worths=st.tuples(st.floats(0, 1), st.floats(0, 1)), in_time=st.floats(0, 1), late_=st.floats(0, 1))
def test_nobody_gains_more_than_it_is_worth(worths, in_time, late_):
    """At most a rescue each time, and at worst the difference of the two."""
    assert (
        -max(worths[0] - worths[1], 0.0) - 1e-12 <= gain(*worths, in_time, late_) <= worths[1] * in_time * late_ + 1e-12
    )
