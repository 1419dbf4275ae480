"""Laws of the autoscaler over arbitrary loads: what may never happen, whatever comes."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warmfront.autoscaling import TICK_S, Activity, Autoscaler, Scale, ScaleResult, ScalingSpec

specs = st.builds(
    ScalingSpec,
    stable_window_s=st.integers(6, 30),
    panic_window_percentage=st.floats(1, 100),
    container_concurrency=st.integers(0, 5),
    target_burst_capacity=st.sampled_from([-1, 0, 5, 211]),
    min_scale=st.integers(0, 2),
    max_scale=st.just(0) | st.integers(2, 6),
    initial_scale=st.integers(0, 2),
    activation_scale=st.integers(1, 2),
    scale_down_delay_s=st.integers(0, 12),
    pod_retention_s=st.integers(0, 20),
    max_scale_up_rate=st.sampled_from([1.1, 2.0, 1000.0]),
    aggregation=st.sampled_from(["arithmetic", "weighted-exponential"]),
    reachable=st.booleans(),
)
loads = st.lists(st.floats(0, 40), max_size=40)


@dataclass
class Run:
    """A revision whose replicas are ready one tick after they are wanted."""

    spec: ScalingSpec
    start: float = 0.0
    steps: list[tuple[int, ScaleResult, Scale]] = field(default_factory=list)

    def over(self, concurrencies: list[float]) -> "Run":
        autoscaler = Autoscaler(self.spec, now=self.start)
        ready = 0
        for tick, concurrency in enumerate(concurrencies):
            now = self.start + tick * TICK_S
            autoscaler.record(now, concurrency=concurrency, rps=concurrency)
            autoscaler.record(now + 1, concurrency=concurrency, rps=concurrency)
            result = autoscaler.decide(now + 1, ready)
            scale = autoscaler.next_scale(now + 1, ready)
            self.steps.append((ready, result, scale))
            ready = scale.replicas
        return self


@given(specs, loads)
def test_replicas_stay_within_the_bounds(spec: ScalingSpec, load: list[float]) -> None:
    """Never above the maximum; below the minimum only on the way up from the initial scale."""
    for _, _, scale in Run(spec).over(load).steps:
        assert not spec.max_scale or scale.replicas <= spec.max_scale
        assert scale.wanted is None or scale.wanted >= spec.minimum


@given(specs, loads)
def test_panic_never_lowers_the_want(spec: ScalingSpec, load: list[float]) -> None:
    """From one tick in panic to the next."""
    steps = Run(spec).over(load).steps
    for (_, before, _), (_, after, _) in pairwise(steps):
        if before.panic and after.panic:
            assert after.desired >= before.desired


@given(specs, loads)
def test_a_rise_is_within_one_step(spec: ScalingSpec, load: list[float]) -> None:
    """A want above the last one is at most ceil(ready * rate), or the activation scale."""
    last = 0
    for ready, result, _ in Run(spec).over(load).steps:
        assert result.desired <= max(last, spec.activation_scale, math.ceil(max(1, ready) * spec.max_scale_up_rate))
        last = result.desired


@given(specs, loads)
def test_nothing_ready_means_the_activator(spec: ScalingSpec, load: list[float]) -> None:
    """And an inactive revision has it in the path too; a burst capacity of -1 always."""
    for ready, _, scale in Run(spec).over(load).steps:
        if not ready or scale.activity is Activity.INACTIVE or spec.target_burst_capacity == -1:
            assert scale.proxied


@given(specs, loads)
def test_without_load_it_ends_at_zero_or_at_the_minimum(spec: ScalingSpec, load: list[float]) -> None:
    """However it was used before, given enough ticks without load."""
    _, _, scale = Run(spec).over([*load, *[0.0] * 120]).steps[-1]
    assert scale.replicas == spec.minimum
    assert (scale.activity is Activity.INACTIVE) == (spec.minimum == 0)


@given(specs, loads, st.integers(0, 10**6))
def test_the_same_load_later_is_scaled_the_same(spec: ScalingSpec, load: list[float], ticks: int) -> None:
    """Nothing but differences of time counts, and nothing but the arguments."""

    def outcome(start: float) -> list[tuple[Any, ...]]:
        return [
            (result, scale.replicas, scale.wanted, scale.activity, scale.proxied)
            for _, result, scale in Run(spec, start).over(load).steps
        ]

    assert outcome(0) == outcome(ticks * TICK_S)


@given(specs, st.lists(st.floats(0, 40), min_size=1, max_size=20), st.floats(0.1, 20))
def test_more_load_never_wants_less(spec: ScalingSpec, load: list[float], more: float) -> None:
    """At each tick, over the same ready replicas: the want is monotone in the load."""
    less_loaded, more_loaded = Autoscaler(spec, now=0), Autoscaler(spec, now=0)
    for tick, concurrency in enumerate(load):
        less_loaded.record(tick * TICK_S, concurrency=concurrency, rps=0)
        more_loaded.record(tick * TICK_S, concurrency=concurrency + more, rps=0)
        now = tick * TICK_S
        assert more_loaded.decide(now, ready=3).desired >= less_loaded.decide(now, ready=3).desired
