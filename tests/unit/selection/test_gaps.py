"""Silences: what is believed of the next request, for Poisson streams, timers and bursts."""

import math
import random

import pytest

from warmfront.selection.estimators.gaps import MEMORY, MOST_SHORT, SHORT_S, Gaps


def learned(gaps) -> Gaps:
    found = Gaps()
    for gap in gaps:
        found.add(gap)
    return found


def test_before_anything_is_known_a_request_is_believed_possible():
    """Half a request in a minute, and less the longer it is quiet."""
    fresh, later = Gaps().idle(0.0), Gaps().idle(3600.0)
    assert fresh.coming_within(0.0, 60.0) == pytest.approx(1 - math.exp(-0.5), abs=0.05)
    assert later.coming_within(3600.0, 60.0) < 0.02


def test_exponential_gaps_come_out_as_exponential():
    """A hundred gaps of 100 s on average: at every age the next minute brings a request with about 1 - e^-0.6."""
    rng = random.Random(3)
    idle = learned(rng.expovariate(0.01) for _ in range(MEMORY)).idle(0.0)
    for age in (5.0, 50.0, 150.0, 300.0):
        assert idle.coming_within(age, 60.0) == pytest.approx(0.45, abs=0.15)


def test_a_timer_comes_out_as_a_timer():
    """Every 300 s: hardly anything before 290 s, nearly surely within 20 s then, and it can be seen coming at 280 s."""
    idle = learned([300.0] * 12).idle(0.0, before_s=[10.0], at_s=[60.0])
    assert idle.coming_within(10.0, 250.0) < 0.05
    assert idle.coming_within(285.0, 20.0) > 0.8
    assert any(280.0 <= age <= 292.0 for age in idle.ages)
    assert 60.0 in idle.ages


def test_bursts_come_out_as_bursts():
    """Nineteen requests 0.1 s apart, then ten minutes of silence: another one at once is likely, later it is not."""
    idle = learned(([0.1] * 19 + [600.0]) * 5).idle(0.0)
    assert idle.coming[0] == pytest.approx(95 / 100, abs=0.02)
    assert idle.coming_within(5.0, 60.0) < 0.2
    assert idle.short_s == pytest.approx(0.1)


def test_the_steps_cover_all_time():
    """They rise from 0, `coming` is a probability, the last step lasts for ever."""
    rng = random.Random(4)
    idle = learned(rng.lognormvariate(3, 2) for _ in range(60)).idle(17.0)
    assert idle.ages[:2] == [0.0, SHORT_S]
    assert idle.ages == sorted(set(idle.ages))
    assert all(0 < share <= 1 for share in idle.coming)
    assert idle.coming[-1] == 1.0
    assert idle.lasting_s[-1] == pytest.approx(1 / idle.rates[-1])
    assert idle.step(1e9) == len(idle.ages) - 1
    assert len(idle.ages) == len(idle.rates) == len(idle.coming) == len(idle.lasting_s)


def test_how_many_requests_to_expect():
    """A timer's minute before it is due brings one; in a stream of one a second there are many, roughly."""
    assert learned([300.0] * 12).idle(0.0).expected(290.0, 30.0) == pytest.approx(1.0, abs=0.3)
    assert 15 < learned([1.0] * 50).idle(0.0).expected(0.5, 60.0) < 60


def test_without_any_chance_none_is_expected():
    """A window of no length."""
    assert learned([300.0] * 12).idle(0.0).expected(0.0, 0.0) == 0.0


def test_a_silence_longer_than_the_usual_ones_is_a_surprise():
    """Gaps of 10 to 100 s: 99 s are no surprise yet, 101 s are; without gaps every silence is one."""
    gaps = learned([10.0 * i for i in range(1, 11)])
    assert not gaps.surprising(89.0)
    assert gaps.surprising(91.0)
    assert Gaps().surprising(1.0)


def test_beyond_the_longest_gap_the_rate_falls_with_the_silence():
    """Gaps up to 133 s, 0.03 requests a second: after 1,000 s of silence half a request in 867 s and 17 s is left."""
    gaps = [10.0, 15.0, 20.0, 30.0, 133.0]
    idle = learned(gaps).idle(1000.0)
    common = 5.5 / (208 + 133 - 10 + 0.5 / (5.5 / (208 + 133 + 60)))
    assert idle.rates[-1] == pytest.approx(0.5 / (867 + 0.5 / common))
    assert idle.coming_within(1000.0, 60.0) < 0.04
    assert learned(gaps).idle(100.0).rates[-1] > 20 * idle.rates[-1]


def test_what_is_long_ago_fades():
    """Only the latest hundred long gaps count; of short ones, beyond a number, half are forgotten."""
    gaps = learned([1000.0] * MEMORY + [10.0] * MEMORY)
    assert set(gaps.long) == {10.0}
    busy = learned([500.0] * 8)
    for _ in range(int(MOST_SHORT) + 1):
        busy.add(0.01)
    assert busy.short == pytest.approx((MOST_SHORT + 1) / 2)
    assert len(busy.long) == 4
    assert busy.count == busy.short + 4
    mixed = learned([0.1] * 50 + [5.0] * MEMORY)
    mixed.add(5.0)
    assert mixed.short == pytest.approx(50 * (1 - 1 / MEMORY))
