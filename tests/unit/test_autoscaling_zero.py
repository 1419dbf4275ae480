"""The way to zero and back along a time line: bounds, initial scale, grace period, retention, activation.

Expected values come from Knative's rules, one comment per step. The window is 6 s here; a replica takes one request.
"""

from dataclasses import replace
from typing import Any

import pytest

from warmfront.autoscaling import Activity, Autoscaler, Scale, ScalingSpec

DEFAULTS: dict[str, Any] = {"container_concurrency": 1, "stable_window_s": 6}


def spec(**changes: Any) -> ScalingSpec:
    return ScalingSpec(**{**DEFAULTS, **changes})


def tick(autoscaler: Autoscaler, at: int, ready: int, concurrency: float = 0) -> Scale:
    """Two seconds of load up to `at`, a decision, and what follows from it."""
    for second in (at - 1, at):
        autoscaler.record(second, concurrency=concurrency, rps=0)
    autoscaler.decide(at, ready)
    return autoscaler.next_scale(at, ready)


def idle_since_40(**changes: Any) -> tuple[Autoscaler, Scale]:
    """One replica, in use until 40 and active since 2, idle from then on; asked at 46, the first tick without load."""
    autoscaler = Autoscaler(spec(**changes), now=0)
    for at in range(2, 42, 2):
        scale = tick(autoscaler, at, ready=1, concurrency=0.5)
    assert (scale.activity, scale.replicas, scale.wanted) == (Activity.ACTIVE, 1, 1)
    for at in (42, 44):  # the window still holds load of 40 and before
        assert tick(autoscaler, at, ready=1).wanted == 1
    return autoscaler, tick(autoscaler, 46, ready=1)


@pytest.mark.parametrize(
    ("changes", "zero_at"),
    [
        ({"target_burst_capacity": -1}, 46),  # the activator was in the path all along: window only
        ({"target_burst_capacity": -1, "pod_retention_s": 20}, 66),  # window + retention
        ({"target_burst_capacity": 0}, 76),  # the activator comes at 46 and has to stay for the grace of 30 s
        ({"target_burst_capacity": 0, "pod_retention_s": 10}, 76),  # retention is over before grace is
        ({"target_burst_capacity": 0, "pod_retention_s": 40}, 86),  # grace is over before retention is
        ({"target_burst_capacity": 0, "pod_retention_s": 40, "reachable": False}, 76),  # retention does not hold
        ({"target_burst_capacity": 0, "scale_to_zero_grace_s": 10}, 56),
        ({}, 46),  # the default of 211 is more than one replica has: as with -1
    ],
    ids=str,
)
def test_idle_to_zero(changes: dict[str, Any], zero_at: int) -> None:
    """Inactive after one idle window, at 46; without a replica when retention and grace allow."""
    autoscaler, scale = idle_since_40(**changes)
    assert (scale.activity, scale.reason, scale.wanted, scale.replicas) == (Activity.INACTIVE, "NoTraffic", 0, 1)
    assert scale.proxied
    assert scale.again_at == 46  # the next question is whether the replica may go at once
    at = 46
    scale = autoscaler.next_scale(at, ready=1)
    while scale.replicas:
        assert scale.again_at is not None
        assert at < scale.again_at <= zero_at  # it says when to ask, and never too late
        at = int(scale.again_at)
        scale = autoscaler.next_scale(at, ready=1)
    assert at == zero_at
    assert (scale.wanted, scale.activity, scale.again_at) == (0, Activity.INACTIVE, None)


def test_the_activator_in_the_path_for_less_than_the_grace_period() -> None:
    """Always in the path, but only since 0: at 26 it was there for 26 s, so the replica waits until 30."""
    autoscaler = Autoscaler(spec(target_burst_capacity=-1), now=0)
    for at in range(2, 22, 2):
        tick(autoscaler, at, ready=1, concurrency=0.5)
    for at in (22, 24, 26):
        scale = tick(autoscaler, at, ready=1)
    assert scale.activity is Activity.INACTIVE
    assert autoscaler.next_scale(26, ready=1).again_at == 30
    assert autoscaler.next_scale(30, ready=1).replicas == 0


def test_a_request_while_the_last_replica_waits_for_its_end() -> None:
    """Active again at once: the replica is still there."""
    autoscaler, _ = idle_since_40(target_burst_capacity=0)
    scale = tick(autoscaler, 60, ready=1, concurrency=0.5)
    assert (scale.activity, scale.replicas, scale.wanted, scale.proxied) == (Activity.ACTIVE, 1, 1, False)


def test_active_for_less_than_the_window_keeps_one() -> None:
    """Ready at 2 and without load ever: at 4 it was active for 2 s and may end its 6 s, until 8."""
    autoscaler = Autoscaler(spec(), now=0)
    assert tick(autoscaler, 2, ready=1).activity is Activity.ACTIVE
    scale = tick(autoscaler, 4, ready=1)
    assert (scale.wanted, scale.replicas, scale.again_at) == (1, 1, 8)
    assert tick(autoscaler, 8, ready=1).activity is Activity.INACTIVE


def test_without_scale_to_zero_one_stays() -> None:
    """enable-scale-to-zero false turns every 0 into 1."""
    autoscaler, scale = idle_since_40(enable_scale_to_zero=False)
    assert (scale.activity, scale.wanted, scale.replicas) == (Activity.ACTIVE, 1, 1)
    assert tick(autoscaler, 400, ready=1).replicas == 1


def test_from_zero_and_back() -> None:
    """Initial scale 0: inactive at once, activating on load, active when ready."""
    autoscaler = Autoscaler(spec(initial_scale=0, target_burst_capacity=0), now=0)
    scale = autoscaler.next_scale(0, ready=0)
    assert (scale.replicas, scale.wanted, scale.activity, scale.reason) == (0, None, Activity.INACTIVE, "NoTraffic")
    assert scale.proxied
    assert scale.initialised
    assert autoscaler.next_scale(1, ready=0) == replace(scale, again_at=None)  # still without any data
    scale = tick(autoscaler, 2, ready=0)
    assert (scale.replicas, scale.wanted, scale.activity) == (0, 0, Activity.INACTIVE)
    scale = tick(autoscaler, 4, ready=0, concurrency=0.5)
    assert (scale.replicas, scale.activity, scale.reason) == (1, Activity.ACTIVATING, "Queued")
    assert scale.proxied  # no replica is ready
    scale = autoscaler.next_scale(5, ready=1)
    assert (scale.replicas, scale.activity, scale.reason, scale.proxied) == (1, Activity.ACTIVE, "", False)


def test_initial_scale_is_a_minimum_until_it_was_reached() -> None:
    """3 at first whatever the load says; once 3 were ready the load alone counts."""
    autoscaler = Autoscaler(spec(initial_scale=3), now=0)
    scale = autoscaler.next_scale(0, ready=0)
    assert (scale.replicas, scale.wanted, scale.activity, scale.initialised) == (3, 3, Activity.ACTIVATING, False)
    scale = tick(autoscaler, 2, ready=2)
    assert (scale.replicas, scale.activity, scale.initialised) == (3, Activity.ACTIVATING, False)
    scale = tick(autoscaler, 4, ready=3)
    assert (scale.activity, scale.initialised) == (Activity.ACTIVE, True)
    assert tick(autoscaler, 6, ready=3).wanted == 1  # floor(3 / 2)
    # Ready for the window: at 10 it may end; less than 3 ready is no reason to be activating now.
    scale = tick(autoscaler, 10, ready=1)
    assert (scale.activity, scale.wanted) == (Activity.INACTIVE, 0)


def test_the_first_replica_of_a_new_revision_comes_without_load() -> None:
    """Initial scale 1, the default: it starts and is waited for, with no decision and with a decision of 0."""
    autoscaler = Autoscaler(spec(), now=0)
    scale = autoscaler.next_scale(0, ready=0)
    assert (scale.replicas, scale.wanted, scale.activity) == (1, None, Activity.ACTIVATING)
    scale = tick(autoscaler, 2, ready=0)
    assert (scale.replicas, scale.wanted, scale.activity) == (1, None, Activity.ACTIVATING)


def test_an_activation_that_never_gets_ready_is_given_up() -> None:
    """After the progress deadline of 600 s and 30 s more, once no load asks for it any longer."""
    autoscaler = Autoscaler(spec(), now=0)
    scale = tick(autoscaler, 2, ready=0)
    assert scale.again_at == 630
    assert tick(autoscaler, 630, ready=0).replicas == 1  # not longer than that yet
    scale = tick(autoscaler, 632, ready=0)
    assert (scale.replicas, scale.activity, scale.reason) == (0, Activity.INACTIVE, "TimedOut")
    wanted = tick(autoscaler, 700, ready=0, concurrency=0.5)
    assert (wanted.replicas, wanted.activity) == (1, Activity.ACTIVATING)
    assert tick(autoscaler, 1400, ready=0, concurrency=0.5).replicas == 1  # load keeps it trying


def test_the_progress_deadline_can_be_shorter() -> None:
    """Annotation serving.knative.dev/progress-deadline."""
    autoscaler = Autoscaler(spec(progress_deadline_s=10), now=0)
    assert tick(autoscaler, 2, ready=0).again_at == 40
    assert tick(autoscaler, 42, ready=0).replicas == 0


@pytest.mark.parametrize(
    ("changes", "concurrency", "replicas"),
    [
        ({"min_scale": 2}, 0, 2),
        ({"min_scale": 2}, 2, 3),  # 2 / 0.7 = 2.86
        ({"max_scale": 4}, 70, 4),
        ({"min_scale": 2, "max_scale": 4}, 2, 3),
        ({"min_scale": 2, "reachable": False}, 0, 1),  # no minimum; one remains for the rest of the window
        ({"max_scale": 4, "reachable": False}, 70, 4),
        ({"min_scale": 2, "initial_scale": 5}, 0, 5),  # the larger of the two at first
        ({"min_scale": 5, "initial_scale": 2}, 0, 5),
    ],
    ids=str,
)
def test_bounds(changes: dict[str, Any], concurrency: float, replicas: int) -> None:
    """min-scale and max-scale hold for what the load wants; min-scale only while a route names the revision."""
    autoscaler = Autoscaler(spec(**changes), now=0)
    tick(autoscaler, 2, ready=1, concurrency=concurrency)
    assert tick(autoscaler, 4, ready=1, concurrency=concurrency).replicas == replicas


def test_active_means_the_minimum_is_ready() -> None:
    """min-scale 2 with one ready is activating, at first and later."""
    autoscaler = Autoscaler(spec(min_scale=2), now=0)
    assert tick(autoscaler, 2, ready=1).activity is Activity.ACTIVATING
    assert tick(autoscaler, 4, ready=2).activity is Activity.ACTIVE
    assert tick(autoscaler, 6, ready=1).activity is Activity.ACTIVATING


def test_keeping_a_replica_by_annotation_and_releasing_it() -> None:
    """min-scale 1 on a revision at zero starts one without load; without it the replica goes as any other."""
    autoscaler = Autoscaler(spec(initial_scale=0, target_burst_capacity=-1), now=0)
    tick(autoscaler, 2, ready=0)
    autoscaler.reconfigure(replace(autoscaler.spec, min_scale=1), now=40)
    scale = autoscaler.next_scale(40, ready=0)
    assert (scale.replicas, scale.activity) == (1, Activity.ACTIVATING)
    assert tick(autoscaler, 42, ready=1).activity is Activity.ACTIVE
    assert tick(autoscaler, 100, ready=1).replicas == 1
    autoscaler.reconfigure(replace(autoscaler.spec, min_scale=0), now=101)
    assert tick(autoscaler, 102, ready=1).activity is Activity.INACTIVE
    assert autoscaler.next_scale(102, ready=1).replicas == 0


@pytest.mark.parametrize(("ready", "activity"), [(0, Activity.INACTIVE), (2, Activity.ACTIVE)])
def test_a_restart_takes_the_revision_as_it_is(ready: int, activity: Activity) -> None:
    """The initial scale was reached before: none ready is zero, two ready are two."""
    scale = Autoscaler(spec(), now=0, ready=ready, initialised=True).next_scale(0, ready=ready)
    assert (scale.replicas, scale.activity, scale.initialised, scale.proxied) == (ready, activity, True, not ready)


def test_the_activator_leaves_when_there_is_capacity_for_the_burst() -> None:
    """Target burst 2 over replicas of one request: in the path with 2 ready (2 - 2 - 1 < 0), out of it with 3."""
    autoscaler = Autoscaler(spec(target_burst_capacity=2), now=0)
    assert tick(autoscaler, 2, ready=2, concurrency=1).proxied
    assert not tick(autoscaler, 4, ready=3, concurrency=1).proxied
    assert tick(autoscaler, 6, ready=0, concurrency=1).proxied  # nothing ready forces it
