"""A setting as a patch, a command and a manifest."""

from warmfront.experiments.planning.advice import changes, kn, manifest, patch, setting_of
from warmfront.experiments.planning.candidates import Candidate, Setting

SETTING = Setting(min_scale=1, window_s=30, concurrency=4)
ANNOTATIONS = {"autoscaling.knative.dev/min-scale": "1", "autoscaling.knative.dev/window": "30s"}


def test_the_same_in_four_ways():
    """A manifest read back is the setting; the patch takes a Revision's own name away, or no new one could be made."""
    assert manifest("v", SETTING) == {
        "apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "v"},
        "spec": {"template": {"metadata": {"annotations": ANNOTATIONS}, "spec": {"containerConcurrency": 4}}},
    }  # fmt: skip
    assert setting_of(manifest("v", SETTING)) == SETTING
    assert patch(SETTING)["spec"]["template"]["metadata"] == {"name": None, "annotations": ANNOTATIONS}
    assert kn("v", SETTING, "my ns") == (
        "kn service update v -n 'my ns' --scale-min 1 --scale-window 30s --concurrency-limit 4"
    )


def test_a_service_that_says_nothing():
    """Knative's defaults."""
    assert setting_of({"spec": {"template": {}}}) == Setting(min_scale=0, window_s=60, concurrency=0)


def test_only_what_changes():
    """By name."""
    now = Candidate.of({"a": Setting(), "b": SETTING})
    assert changes(now, now) == {}
    assert changes(now, now.having("a", SETTING)) == {"a": SETTING}
