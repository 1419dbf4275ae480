"""The level of load, and Erlang's formula, against figures worked by hand."""

from math import exp, inf

import pytest

from warmfront.domain import Variant
from warmfront.selection.policies.traffic import LOWEST, Traffic, in_time, places, rate


def test_levels_are_half_doublings():
    """Level 4 is 2 ^ 2 = 4 requests a second."""
    assert [rate(level) for level in (-2, 0, 2, 4)] == [0.5, 1.0, 2.0, 4.0]


def test_up_at_once_down_after_three_quieter_windows():
    """40 requests in 5 s are 8 a second, the mean 4: level 4. Then silence: 2, 1, 0.5; the third is believed."""
    traffic = Traffic()
    assert traffic.level(0.0) == LOWEST
    for i in range(40):
        traffic.arrived(i * 0.1)
    assert traffic.level(4.9) == LOWEST
    assert traffic.level(5.0) == 4
    assert [traffic.level(now) for now in (10.0, 15.0, 19.9, 20.0)] == [4, 4, 4, -2]
    assert traffic.level(5.0) == 4
    assert traffic.level(1e9) == LOWEST


def test_a_busier_window_ends_the_quiet():
    """Two quieter windows, then one as before: the count to three starts anew."""
    traffic = Traffic()
    for i in range(40):
        traffic.arrived(i * 0.1)
    for i in range(60):
        traffic.arrived(15.0 + i * 0.08)
    assert traffic.level(20.0) == 6  # 12 a second, the mean (1 + 12) / 2 = 6.5: more than 2 ^ 2.5, at most 2 ^ 3
    assert traffic.level(30.0) == 6


def test_no_limit_is_infinity():
    """Without a limit of concurrency or of replicas nobody waits."""
    made = Variant(name="v", task="t", revision="r", url="", concurrency=4, max_replicas=5)
    assert places(made) == 20
    for fields in ({"concurrency": 4}, {"max_replicas": 5}):
        assert places(Variant(name="v", task="t", revision="r", url="", **fields)) == inf
    assert in_time(1000.0, inf, 10.0, 0.0) == 1.0


def test_one_server_is_the_m_m_1_queue():
    """A load of 0.5 and a service of 1 s: P(W > t) = 0.5 exp(-0.5 t)."""
    assert in_time(0.5, 1, 1.0, 2.0) == pytest.approx(1 - 0.5 * exp(-1.0))
    assert in_time(0.5, 1, 1.0, -3.0) == pytest.approx(0.5)


def test_two_servers_by_erlang():
    """Offered 1 to 2 servers: C = 1/3. None wait with no arrivals; all do when more comes than can be served."""
    assert in_time(1.0, 2, 1.0, 0.0) == pytest.approx(2 / 3)
    assert in_time(0.0, 2, 1.0, 0.0) == 1.0
    assert in_time(2.0, 2, 1.0, 9.0) == 0.0
