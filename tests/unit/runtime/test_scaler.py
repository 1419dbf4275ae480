"""What the autoscaler is told about load, and when: the meter on its own, the scaler on a real event loop."""

import asyncio

from warmfront.autoscaling import Activity, Scale, ScalingSpec
from warmfront.runtime.scaler import LoadMeter, Scaler


def test_concurrency_is_averaged_over_time():
    """One request for the whole second and another for its second half: 1.5, two requests begun."""
    meter = LoadMeter(10.0)
    meter.change(10.0, 1)
    meter.change(10.5, 1)
    assert meter.report(11.0) == (1.5, 2)


def test_what_is_still_there_counts_in_the_next_second_but_began_only_once():
    """Requests that stay are concurrency, not arrivals."""
    meter = LoadMeter(0.0)
    meter.change(0.0, 1)
    meter.report(1.0)
    assert meter.report(2.0) == (1.0, 0)
    meter.change(2.25, -1)
    assert meter.report(3.0) == (0.25, 0)
    assert meter.report(4.0) == (0.0, 0)


def at_zero(**changes) -> ScalingSpec:
    return ScalingSpec(initial_scale=0, stable_window_s=6, **changes)


def test_the_first_request_at_zero_is_decided_on_at_once():
    """No tick is waited for: the scale asked for is 1 before `request_began` returns, and the state is Queued."""

    async def story():
        applied: list[Scale] = []
        scaler = Scaler(at_zero(), initialised=False, ready=lambda: 0, apply=applied.append)
        scaler.start()
        before = applied[-1]
        scaler.request_began()
        scaler.stop()
        return before, applied[-1]

    before, after = asyncio.run(story())
    assert (before.replicas, before.activity, before.reason) == (0, Activity.INACTIVE, "NoTraffic")
    assert (after.replicas, after.activity, after.reason) == (1, Activity.ACTIVATING, "Queued")


def test_another_specification_takes_effect_at_once():
    """A minimum of 2 asked for at run time: two replicas are wanted without a tick or a request."""

    async def story():
        applied: list[Scale] = []
        scaler = Scaler(at_zero(), initialised=False, ready=lambda: 0, apply=applied.append)
        scaler.start()
        scaler.respecify(at_zero(min_scale=2))
        scaler.stop()
        return applied[-1].replicas

    assert asyncio.run(story()) == 2


def test_a_stopped_scaler_applies_nothing_more():
    """No timer outlives `stop`."""

    async def story():
        applied: list[Scale] = []
        scaler = Scaler(at_zero(), initialised=False, ready=lambda: 0, apply=applied.append)
        scaler.start()
        scaler.stop()
        count = len(applied)
        await asyncio.sleep(1.1)  # longer than a report takes to come
        return len(applied) - count

    assert asyncio.run(story()) == 0
