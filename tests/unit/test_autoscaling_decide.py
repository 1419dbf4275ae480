"""Decisions along a time line. Every expected value is worked out from Knative's rules, one comment per step.

Unless said otherwise a replica takes 10 requests at once (containerConcurrency 10), so its target is 10 * 0.7 = 7.
"""

from dataclasses import replace
from typing import Any

import pytest

from warmfront.autoscaling import TICK_S, Autoscaler, ScaleResult, ScalingSpec


def spec(**changes: Any) -> ScalingSpec:
    return ScalingSpec(container_concurrency=10, **changes)


def load(autoscaler: Autoscaler, concurrency: float, start: int, stop: int) -> None:
    """The same number of requests in flight in every second of [start, stop)."""
    for second in range(start, stop):
        autoscaler.record(second, concurrency=concurrency, rps=0)


def test_a_decision_is_due_every_two_seconds() -> None:
    """tickInterval."""
    assert TICK_S == 2


def test_a_steady_load_gets_what_it_needs() -> None:
    """15 in flight over replicas of 7 want 3, and 14 want 2: the want is rounded up."""
    autoscaler = Autoscaler(spec(), now=0)
    load(autoscaler, 15, 0, 60)
    assert autoscaler.decide(59, ready=3).desired == 3  # ceil(15 / 7) = ceil(2.14)
    load(autoscaler, 14, 60, 120)
    assert autoscaler.decide(119, ready=3) == ScaleResult(
        valid=True, desired=2, panic=False, excess_burst=30 - 211 - 14, reason="stable"
    )


def test_load_leaves_the_stable_window_bit_by_bit() -> None:
    """The want follows the average over 60 s, not the last second."""
    autoscaler = Autoscaler(spec(), now=0)
    load(autoscaler, 42, 0, 60)
    assert autoscaler.decide(59, ready=6).desired == 6  # 42 / 7
    load(autoscaler, 0, 60, 81)
    assert autoscaler.decide(80, ready=6).desired == 4  # 39 s of the minute had load: 39 * 42 / 60 = 27.3
    load(autoscaler, 0, 81, 91)
    assert autoscaler.decide(90, ready=4).desired == 3  # 29 * 42 / 60 = 20.3
    load(autoscaler, 0, 91, 111)
    assert autoscaler.decide(110, ready=3).desired == 1  # 9 * 42 / 60 = 6.3
    load(autoscaler, 0, 111, 120)
    assert autoscaler.decide(119, ready=1).desired == 0


def test_four_two_one_none() -> None:
    """Without load at most half go at once, and floor(1 / 2) = 0 lets the last one go in one step."""
    autoscaler = Autoscaler(spec(stable_window_s=6), now=0)
    load(autoscaler, 28, 0, 10)
    assert autoscaler.decide(9, ready=4).desired == 4  # 28 / 7
    load(autoscaler, 0, 10, 30)
    assert autoscaler.decide(16, ready=4).desired == 2  # want 0, floor(4 / 2)
    assert autoscaler.decide(18, ready=2).desired == 1  # floor(2 / 2)
    assert autoscaler.decide(20, ready=1).desired == 0  # floor(1 / 2)
    assert autoscaler.decide(22, ready=0).desired == 0  # ready counts as 1


def test_an_unreachable_revision_falls_at_once() -> None:
    """The lower limit of a step holds only while a route names the revision."""
    autoscaler = Autoscaler(spec(stable_window_s=6, reachable=False), now=0)
    load(autoscaler, 0, 0, 10)
    assert autoscaler.decide(9, ready=4).desired == 0


@pytest.mark.parametrize(
    ("rate", "ready", "wanted"),
    [
        (1.1, 2, 3),  # load for 10; ceil(2 * 1.1) = ceil(2.2) = 3, so that one more is always possible
        (1.1, 1, 2),  # ceil(1.1)
        (2.0, 2, 4),
        (1000.0, 2, 10),  # the default does not bind
        (1000.0, 0, 10),  # from zero as from one
    ],
)
def test_the_step_up_is_limited_and_rounded_up(rate: float, ready: int, wanted: int) -> None:
    """At most ceil(ready * max-scale-up-rate)."""
    autoscaler = Autoscaler(spec(max_scale_up_rate=rate), now=0)
    load(autoscaler, 70, 0, 10)
    assert autoscaler.decide(9, ready=ready).desired == wanted


def test_activation_scale_lifts_a_want_but_makes_none() -> None:
    """A raw want of 1 becomes 3, a raw want of 4 stays, a raw want of 0 stays 0."""
    for concurrency, wanted in ((1, 3), (28, 4), (0, 0)):
        autoscaler = Autoscaler(spec(activation_scale=3), now=0)
        load(autoscaler, concurrency, 0, 10)
        assert autoscaler.decide(9, ready=0).desired == wanted


def test_panic_from_start_to_end() -> None:
    """Panic starts at want / ready >= 2 over 6 s, never lowers, and ends after one stable window without it."""
    autoscaler = Autoscaler(spec(), now=0)
    load(autoscaler, 7, 0, 60)
    # 7 in flight for a minute: one replica.
    assert autoscaler.decide(58, ready=1) == ScaleResult(
        valid=True, desired=1, panic=False, excess_burst=10 - 211 - 7, reason="stable"
    )
    # Ten times the load from 60 on. At 62 the last 6 s hold 3 * 7 + 3 * 70 = 231, 38.5 on average: 5.5 -> 6 replicas,
    # 6 / 1 >= 2. The minute holds 57 * 7 + 3 * 70 = 609, 10.15: only 2.
    load(autoscaler, 70, 60, 63)
    result = autoscaler.decide(62, ready=1)
    assert (result.desired, result.panic, result.reason) == (6, True, "panic")
    # At 64: (7 + 5 * 70) / 6 = 59.5 -> 9; 9 / 6 is no panic any more, but panic lasts and rises.
    load(autoscaler, 70, 63, 65)
    result = autoscaler.decide(64, ready=6)
    assert (result.desired, result.panic) == (9, True)
    # At 66: 70 / 7 = 10.
    load(autoscaler, 70, 65, 67)
    assert autoscaler.decide(66, ready=9).desired == 10
    # Back to 7 in flight. At 80 both windows want less than 10: it is held.
    load(autoscaler, 7, 67, 125)
    result = autoscaler.decide(80, ready=10)
    assert (result.desired, result.panic, result.reason) == (10, True, "held by panic")
    # The last panic want was at 62. At 122 the stable window is not yet over, at 124 it is.
    assert autoscaler.decide(122, ready=10).panic
    # The minute to 124 holds 2 * 70 + 58 * 7 = 546, 9.1 -> 2; of 10 at most half go.
    result = autoscaler.decide(124, ready=10)
    assert (result.desired, result.panic, result.reason) == (5, False, "stable")


def test_panic_is_prolonged_while_it_holds() -> None:
    """Each tick over the threshold starts the stable window anew."""
    autoscaler = Autoscaler(spec(), now=0)
    load(autoscaler, 70, 0, 41)
    for at in (2, 20, 40):  # 10 wanted, 1 ready, all the time
        assert autoscaler.decide(at, ready=1).panic
    load(autoscaler, 0, 41, 110)
    assert autoscaler.decide(100, ready=10).panic  # 40 + 60 is not past
    assert not autoscaler.decide(102, ready=10).panic


def test_a_want_of_two_from_zero_is_always_panic() -> None:
    """Ready is floored at 1: 2 / 1 >= 2. A want of one is not."""
    for concurrency, panic in ((7, False), (8, True)):
        autoscaler = Autoscaler(spec(), now=0)
        load(autoscaler, concurrency, 0, 3)
        assert autoscaler.decide(2, ready=0).panic is panic


def test_the_panic_threshold_is_a_share_of_the_ready_replicas() -> None:
    """2 ready, 3 wanted: 1.5 is panic at 150 %, and none at 200 %."""
    for threshold, panic in ((150, True), (200, False)):
        autoscaler = Autoscaler(spec(panic_threshold_percentage=threshold), now=0)
        load(autoscaler, 21, 0, 10)
        assert autoscaler.decide(9, ready=2).panic is panic


def test_the_panic_threshold_sees_the_want_before_the_limits_of_a_step() -> None:
    """2 ready, 10 wanted, 3 allowed: 10 / 2 is over the threshold, 3 / 2 would not be."""
    autoscaler = Autoscaler(spec(max_scale_up_rate=1.1), now=0)
    load(autoscaler, 70, 0, 10)
    result = autoscaler.decide(9, ready=2)
    assert (result.desired, result.panic) == (3, True)


def test_in_panic_the_larger_want_counts() -> None:
    """After a burst the minute may want more than the last 6 s."""
    autoscaler = Autoscaler(spec(), now=0)
    load(autoscaler, 140, 0, 54)
    load(autoscaler, 14, 54, 60)
    # Last 6 s: 14 -> 2, and 2 / 1 >= 2: panic. The minute: (54 * 140 + 6 * 14) / 60 = 127.4 -> 19.
    result = autoscaler.decide(59, ready=1)
    assert (result.desired, result.panic) == (19, True)


def test_a_restart_over_several_replicas_starts_in_panic() -> None:
    """Without history none is taken away for one stable window; over one replica nothing special happens."""
    autoscaler = Autoscaler(spec(), now=100, ready=5)
    load(autoscaler, 0, 100, 163)
    result = autoscaler.decide(102, ready=5)
    assert (result.desired, result.panic, result.reason) == (5, True, "held by panic")
    assert autoscaler.decide(160, ready=5).desired == 5
    assert autoscaler.decide(162, ready=5).desired == 2  # 100 + 60 < 162; floor(5 / 2)
    single = Autoscaler(spec(), now=100, ready=1)
    load(single, 0, 100, 103)
    assert single.decide(102, ready=1).desired == 0


def test_scale_down_delay_takes_the_largest_want_of_the_time_before() -> None:
    """A delay of 10 s looks at 5 ticks; it works above one replica too, and never delays a rise."""
    autoscaler = Autoscaler(spec(stable_window_s=6, scale_down_delay_s=10), now=0)
    load(autoscaler, 35, 0, 5)
    assert autoscaler.decide(4, ready=5).desired == 5  # tick 2
    load(autoscaler, 14, 5, 40)
    result = autoscaler.decide(12, ready=5)  # tick 6: wants 2, the 5 of tick 2 is 4 ticks old
    assert (result.desired, result.reason) == (5, "scale-down-delay")
    result = autoscaler.decide(14, ready=5)  # tick 7: the 5 is 5 ticks old
    assert (result.desired, result.reason) == (2, "stable")
    load(autoscaler, 21, 40, 50)
    assert autoscaler.decide(49, ready=5).desired == 3


def test_scale_down_delay_is_for_reachable_revisions() -> None:
    """An unreachable one falls at once."""
    autoscaler = Autoscaler(spec(stable_window_s=6, scale_down_delay_s=10, reachable=False), now=0)
    load(autoscaler, 35, 0, 5)
    assert autoscaler.decide(4, ready=5).desired == 5
    load(autoscaler, 0, 5, 13)
    assert autoscaler.decide(12, ready=5).desired == 0


@pytest.mark.parametrize(
    ("burst", "ready", "excess"),
    [
        (-1, 5, -1),  # the activator stays whatever the capacity
        (0, 0, 0),  # never, but at zero
        (211, 2, -22),  # 2 * 100 - 211 - 10.5 = -21.5, floored
        (211, 3, 78),  # 3 * 100 - 211 - 10.5 = 78.5: the default takes the activator out at the third replica
    ],
)
def test_excess_burst_capacity(burst: float, ready: int, excess: int) -> None:
    """-1 and 0 as set, else floor(ready * total - target burst capacity - panic average)."""
    autoscaler = Autoscaler(ScalingSpec(target_burst_capacity=burst), now=0)
    load(autoscaler, 10.5, 0, 10)
    assert autoscaler.decide(9, ready=ready).excess_burst == excess


def test_no_data_is_no_decision() -> None:
    """The result is invalid and the latest valid decision stands; data of a window ago is none."""
    autoscaler = Autoscaler(spec(), now=0)
    assert autoscaler.decide(0, ready=1) == ScaleResult(valid=False)
    assert autoscaler.desired is None
    load(autoscaler, 14, 0, 10)
    assert autoscaler.decide(9, ready=2).desired == 2
    assert not autoscaler.decide(9 + 61, ready=2).valid
    assert autoscaler.desired == 2


def test_silence_of_the_activator_means_no_requests() -> None:
    """With target burst capacity -1 nobody else is asked for data, so there is no `no data`."""
    result = Autoscaler(spec(target_burst_capacity=-1), now=0).decide(0, ready=1)
    assert (result.valid, result.desired) == (True, 0)


def test_load_at_zero_asks_for_a_decision_at_once() -> None:
    """A poke: only when the last decision was 0, and only by load."""
    autoscaler = Autoscaler(spec(), now=0)
    assert not autoscaler.record(0, concurrency=1, rps=1)  # nothing decided yet
    load(autoscaler, 0, 1, 70)
    assert autoscaler.decide(69, ready=0).desired == 0
    assert not autoscaler.record(70, concurrency=0, rps=0)
    assert autoscaler.record(70, concurrency=1, rps=1)
    assert autoscaler.decide(70, ready=0).desired == 1  # 1 / 60 of a request wants a replica
    assert not autoscaler.record(71, concurrency=1, rps=1)


def test_requests_per_second_may_be_the_metric() -> None:
    """A replica is meant for 200 * 0.7 = 140 of them: 281 a second want 3; the load in flight does not count."""
    autoscaler = Autoscaler(spec(metric="rps"), now=0)
    for second in range(60):
        autoscaler.record(second, concurrency=1000, rps=281)
    assert autoscaler.decide(59, ready=2).desired == 3


def test_the_weighted_average_sees_a_rise_sooner() -> None:
    """10 in flight in the last of 6 seconds: 1.67 on average wants 1; weighted, c = 1 - 0.0001 ** (1 / 6) = 0.785,
    7.85 wants 2."""
    for aggregation, wanted in (("arithmetic", 1), ("weighted-exponential", 2)):
        autoscaler = Autoscaler(spec(stable_window_s=6, aggregation=aggregation), now=0)
        load(autoscaler, 0, 0, 5)
        load(autoscaler, 10, 5, 6)
        assert autoscaler.decide(5, ready=2).desired == wanted


def test_other_rules_from_now_on() -> None:
    """Target, window and way of averaging change under a running autoscaler, which keeps what it saw."""
    autoscaler = Autoscaler(spec(), now=0)
    load(autoscaler, 0, 0, 54)
    load(autoscaler, 14, 54, 60)
    assert autoscaler.decide(59, ready=2).desired == 1  # 6 * 14 / 60 = 1.4
    shorter = replace(autoscaler.spec, stable_window_s=6)
    autoscaler.reconfigure(shorter, now=59)
    assert autoscaler.decide(59, ready=2).desired == 2  # 14 / 7
    autoscaler.reconfigure(replace(shorter, target=2.0), now=59)
    assert autoscaler.spec.target == 2
    assert autoscaler.decide(59, ready=5).desired == 10  # 14 / 1.4
    autoscaler.reconfigure(replace(spec(), aggregation="weighted-exponential"), now=59)
    load(autoscaler, 0, 60, 61)
    # c = 0.2 over 60 s: 14 * 0.2 * (0.8 + ... + 0.8 ** 6) = 14 * 0.8 * (1 - 0.8 ** 6) = 8.26 wants 2; panic holds 10.
    assert autoscaler.decide(60, ready=10).desired == 10
