"""Knative objects become domain records, or an error that says what to correct."""

from typing import Any

import pytest

from warmfront.domain import Profile, Spread
from warmfront.errors import InvalidRequest
from warmfront.kube.manifests import availability, parse_profile, profile_json, variant_of


def _service(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "langid-cld2", "labels": {"warmfront.dev/task": "langid"}, "annotations": {}},
        "spec": {
            "template": {
                "metadata": {"annotations": {"autoscaling.knative.dev/max-scale": "2"}},
                "spec": {"containerConcurrency": 4},
            }
        },
        "status": {
            "latestCreatedRevisionName": "langid-cld2-00001",
            "latestReadyRevisionName": "langid-cld2-00001",
            "url": "http://outside.test",
            "address": {"url": "http://inside.test"},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        | status,
    }


def test_a_labelled_service_is_a_variant() -> None:
    """Task, revision, inside address, concurrency and scale bound are read from where Knative keeps them."""
    variant = variant_of(_service())
    assert (variant.name, variant.task, variant.revision) == ("langid-cld2", "langid", "langid-cld2-00001")
    assert (variant.url, variant.concurrency, variant.max_replicas) == ("http://inside.test", 4, 2)
    assert variant.protocols == ("cloudevents", "raw")
    assert variant.profile == Profile()


def test_a_bare_service_has_defaults() -> None:
    """A Service that Knative has not touched yet is read without a fault and has no revision."""
    bare = {"metadata": {"name": "v", "labels": {"warmfront.dev/task": "t"}}, "spec": {}}
    assert (variant_of(bare).revision, variant_of(bare).concurrency) == ("", 0)
    assert availability(bare) == (False, "not ready yet")


def test_profile_survives_the_annotation() -> None:
    """What is written as annotation is read back as the same profile."""
    profile = Profile(
        accuracy=0.72,
        accuracy_by_bytes=((24, 0.72), (200, 0.92)),
        latency_s=Spread(p50=0.001, p95=0.002),
        latency_per_kib_s=0.0005,
        cold_start_s=Spread(p50=0.22, p95=0.48),
        memory_mb=39,
    )
    assert parse_profile(profile_json(profile)) == profile
    assert parse_profile(profile_json(Profile())) == Profile()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is a list; wanted a JSON object"),
        ('{"acuracy": 1}', "unknown fields ['acuracy']"),
        ('{"accuracy": 1.2}', "accuracy is 1.2; it must lie in [0, 1]"),
        ('{"accuracy_by_bytes": [[200, 0.9], [24, 0.7]]}', "they must rise"),
        ('{"latency_s": {"p50": 2, "p95": 1}}', "p95 is 1.0, below p50 2.0"),
        ('{"latency_s": 3}', "wrong type"),
        ('{"memory_mb": 0}', "it must be above 0"),
    ],
)
def test_bad_profile_names_field_and_rule(text: str, said: str) -> None:
    """Each way to write a profile wrongly has an error that says what was found and wanted."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_profile(text)
    service = _service()
    service["metadata"]["annotations"]["warmfront.dev/profile"] = text
    with pytest.raises(InvalidRequest) as caught:
        variant_of(service)
    assert said in str(caught.value)
    assert "Service langid-cld2: annotation warmfront.dev/profile" in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "where", "value", "said"),
    [
        ("warmfront.dev/protocols", "service", "grpc", "names ['grpc']; known are cloudevents"),
        ("autoscaling.knative.dev/max-scale", "template", "two", "is 'two'; it must be a whole number"),
    ],
)
def test_bad_annotation_names_value_and_rule(annotation: str, where: str, value: str, said: str) -> None:
    """A protocol or bound that is not understood is refused by name."""
    service = _service()
    holder = service if where == "service" else service["spec"]["template"]
    holder["metadata"]["annotations"][annotation] = value
    with pytest.raises(InvalidRequest) as caught:
        variant_of(service)
    assert said in str(caught.value)


def test_protocols_keep_their_order() -> None:
    """The first protocol is the preferred one."""
    service = _service()
    service["metadata"]["annotations"]["warmfront.dev/protocols"] = "open-inference, raw"
    assert variant_of(service).protocols == ("open-inference", "raw")


def test_old_revision_serves_while_the_new_one_fails() -> None:
    """A failing new revision does not take the variant away; a failing only revision does, in Knative's words."""
    broken = [{"type": "Ready", "status": "False", "message": "image not found"}]
    assert availability(_service()) == (True, "")
    assert availability(_service(conditions=broken, latestCreatedRevisionName="langid-cld2-00002")) == (True, "")
    assert availability(_service(conditions=broken)) == (False, "image not found")
    assert availability(_service(conditions=broken, latestReadyRevisionName=None)) == (False, "image not found")
