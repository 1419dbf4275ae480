"""Annotations become a spec within Knative's bounds, and the spec says what follows from them."""

import pytest

from warmfront.autoscaling import ScalingSpec
from warmfront.errors import InvalidRequest

PREFIX = "autoscaling.knative.dev/"


def annotated(container_concurrency: int = 0, **annotations: str) -> ScalingSpec:
    keys = {PREFIX + name.replace("_", "-"): value for name, value in annotations.items()}
    return ScalingSpec.from_annotations(keys, container_concurrency)


def test_without_annotations_knatives_defaults_hold() -> None:
    """Window 60 s, panic 10 % and 200 %, burst 211, up 1000, down 2, grace 30 s, first scale 1."""
    spec = annotated(others="1")
    assert spec == ScalingSpec()
    assert (spec.stable_window_s, spec.panic_window_s, spec.panic_threshold_percentage) == (60, 6, 200)
    assert (spec.target_burst_capacity, spec.max_scale_up_rate, spec.max_scale_down_rate) == (211, 1000, 2)
    assert (spec.scale_to_zero_grace_s, spec.pod_retention_s, spec.initial_scale) == (30, 0, 1)


def test_every_annotation_is_read() -> None:
    """Durations as Go writes them, percentages as shares where the spec holds shares."""
    spec = ScalingSpec.from_annotations(
        {
            f"{PREFIX}class": "kpa.autoscaling.knative.dev",
            f"{PREFIX}window": "1m30s",
            f"{PREFIX}panic-window-percentage": "20.0",
            f"{PREFIX}panic-threshold-percentage": "150",
            f"{PREFIX}target": "2.5",
            f"{PREFIX}target-utilization-percentage": "80",
            f"{PREFIX}target-burst-capacity": "-1",
            f"{PREFIX}min-scale": "1",
            f"{PREFIX}max-scale": "5",
            f"{PREFIX}initial-scale": "0",
            f"{PREFIX}activation-scale": "2",
            f"{PREFIX}scale-down-delay": "15m",
            f"{PREFIX}scale-to-zero-pod-retention-period": "1m5.5s",
            f"{PREFIX}metric": "rps",
            f"{PREFIX}metric-aggregation-algorithm": "weighted-exponential",
            "serving.knative.dev/progress-deadline": "0.5h",
        },
        3,
    )
    assert spec == ScalingSpec(
        stable_window_s=90,
        panic_window_percentage=20,
        panic_threshold_percentage=150,
        container_concurrency=3,
        target=2.5,
        target_utilization=0.8,
        target_burst_capacity=-1,
        min_scale=1,
        max_scale=5,
        initial_scale=0,
        activation_scale=2,
        scale_down_delay_s=900,
        pod_retention_s=65.5,
        metric="rps",
        aggregation="weighted-exponential",
        progress_deadline_s=1800,
    )


def test_the_old_names_are_read_and_the_new_ones_win() -> None:
    """Knative accepts minScale beside min-scale."""
    old = {
        f"{PREFIX}minScale": "2",
        f"{PREFIX}targetBurstCapacity": "0",
        f"{PREFIX}scaleToZeroPodRetentionPeriod": "5s",
    }
    spec = ScalingSpec.from_annotations(old, 0)
    assert (spec.min_scale, spec.target_burst_capacity, spec.pod_retention_s) == (2, 0, 5)
    assert ScalingSpec.from_annotations({**old, f"{PREFIX}min-scale": "3"}, 0).min_scale == 3
    with pytest.raises(InvalidRequest, match="minScale is 'x'"):
        ScalingSpec.from_annotations({f"{PREFIX}minScale": "x"}, 0)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("window", ["6s", "1h", "60m"], ["5s", "1h1s", "6.5s", "60", "", "1 m", "-6s", "1d"]),
        ("panic-window-percentage", ["1", "100"], ["0.9", "101", "x", "nan", "1_0"]),
        ("panic-threshold-percentage", ["110", "1000"], ["109", "1001", ""]),
        ("target", ["0.01", "1e3"], ["0.009", "-1", "inf", "ten"]),
        ("target-utilization-percentage", ["1", "100"], ["0.5", "101", "x"]),
        ("target-burst-capacity", ["-1", "0", "0.5", "1000"], ["-2", "-0.5", "inf", "x"]),
        ("min-scale", ["0", "+1", "2147483647"], ["-1", "1.0", "2147483648", "1" * 5000, " 1"]),
        ("max-scale", ["0", "1"], ["-1", "x"]),
        ("initial-scale", ["0", "1"], ["-1", "x"]),
        ("activation-scale", ["1", "2"], ["0", "-1", "x"]),
        ("scale-down-delay", ["0", "0s", "1h"], ["-1s", "0.5s", "3601s"]),
        ("scale-to-zero-pod-retention-period", ["0s", "1.5s", "500ms", "1h"], ["-1s", "61m"]),
        ("metric", ["concurrency", "rps"], ["cpu", "memory", ""]),
        ("metric-aggregation-algorithm", ["linear", "weighted-exponential"], ["median"]),
        ("class", ["kpa.autoscaling.knative.dev"], ["hpa.autoscaling.knative.dev", "keda"]),
    ],
)
def test_a_value_outside_its_bounds_is_refused_by_name(name: str, good: list[str], bad: list[str]) -> None:
    """Bounds are inclusive; the message names annotation, value and rule."""
    for value in good:
        ScalingSpec.from_annotations({PREFIX + name: value}, 0)
    for value in bad:
        with pytest.raises(InvalidRequest) as caught:
            ScalingSpec.from_annotations({PREFIX + name: value}, 0)
        assert f"{PREFIX}{name} is {value!r}; " in str(caught.value)


def test_all_faults_are_reported_at_once() -> None:
    """Three wrong annotations, three sentences."""
    with pytest.raises(InvalidRequest) as caught:
        annotated(window="1s", target="no", min_scale="-1")
    assert str(caught.value).count("; wanted ") == 3


def test_a_maximum_below_the_minimum_is_refused() -> None:
    """0 is no maximum and fits any minimum."""
    assert annotated(min_scale="3", max_scale="0").max_scale == 0
    with pytest.raises(InvalidRequest, match="max_scale 1 is below min_scale 2"):
        annotated(min_scale="2", max_scale="1")


@pytest.mark.parametrize(
    "fault",
    [
        {"max_scale_up_rate": 1.0},
        {"max_scale_down_rate": 1.0},
        {"scale_to_zero_grace_s": 0.0},
        {"stable_window_s": 5.0},
        {"container_concurrency": -1},
        {"progress_deadline_s": 0.0},
        {"target_utilization": 1.1},
    ],
    ids=str,
)
def test_a_spec_built_by_hand_obeys_the_same_rules(fault: dict[str, float]) -> None:
    """The field is named, as there is no annotation."""
    with pytest.raises(ValueError, match=next(iter(fault))):
        ScalingSpec(**fault)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("concurrency", "annotations", "total", "target"),
    [
        (0, {}, 100, 70),  # container-concurrency-target-default 100, 70 %
        (10, {}, 10, 7),  # containerConcurrency replaces the 100
        (0, {"target": "10"}, 10, 7),  # the target annotation replaces both
        (10, {"target": "20"}, 10, 7),  # but is capped by containerConcurrency
        (10, {"target": "5"}, 5, 3.5),
        (10, {"target_utilization_percentage": "50"}, 10, 5),
        (0, {"target": "0.01", "target_utilization_percentage": "1"}, 0.01, 0.01),  # never below 0.01
        (10, {"metric": "rps"}, 200, 140),  # rps uses 200 * 0.7
        (10, {"metric": "rps", "target": "50"}, 50, 35),  # containerConcurrency is no cap for requests per second
    ],
)
def test_what_one_replica_carries(concurrency: int, annotations: dict[str, str], total: float, target: float) -> None:
    """Total is containerConcurrency or a default, replaced by the target; target is that times the utilisation."""
    spec = annotated(concurrency, **annotations)
    assert (spec.total, spec.target_value) == (total, pytest.approx(target))


@pytest.mark.parametrize(
    ("window", "percentage", "panic"),
    [("60s", "10", 6), ("6s", "10", 1), ("25s", "10", 3), ("24s", "10", 2), ("6s", "1", 1)],
)
def test_the_panic_window_is_rounded_to_whole_seconds(window: str, percentage: str, panic: float) -> None:
    """stable * percentage / 100, half up, never below one second: 2.5 s is 3, 0.6 s is 1, 0.06 s is 1."""
    assert panic == annotated(window=window, panic_window_percentage=percentage).panic_window_s


def test_an_unreachable_revision_keeps_nothing() -> None:
    """Minimum, delay and retention are for revisions that a route names."""
    kept = {"min_scale": 2, "scale_down_delay_s": 10.0, "pod_retention_s": 20.0}
    here = ScalingSpec(**kept)  # type: ignore[arg-type]
    gone = ScalingSpec(**kept, reachable=False)  # type: ignore[arg-type]
    assert (here.minimum, here.delay_s, here.retention_s) == (2, 10, 20)
    assert (gone.minimum, gone.delay_s, gone.retention_s) == (0, 0, 0)
