"""Admission: Knative's defaults and rules, and a clear word on everything this runtime has not."""

from typing import Any

import pytest

from warmfront.errors import InvalidRequest
from warmfront.kube.resources import BROKERS, REVISIONS, SERVICES, TRIGGERS, Json
from warmfront.runtime.admission import Admission, admit

IMAGE = "dev.local/dummy-model-fn:v1"


def service(*, container: Json | None = None, spec: Json | None = None, **parts: Any) -> Json:
    """A Service with one container; `container` and `spec` add fields, `parts` the template's metadata and traffic."""
    template = {"spec": {"containers": [{"image": IMAGE, **(container or {})}], **(spec or {})}}
    if "template_metadata" in parts:
        template["metadata"] = parts["template_metadata"]
    metadata = {"name": "hello", "namespace": "default", **parts.get("metadata", {})}
    return {"metadata": metadata, "spec": {"template": template, **parts.get("service_spec", {})}}


def refused(obj: Json, old: Json | None = None) -> str:
    """Why the Service is not admitted."""
    with pytest.raises(InvalidRequest) as caught:
        admit(SERVICES, obj, old)
    return str(caught.value)


def admitted(obj: Json) -> Admission:
    return admit(SERVICES, obj, None)


def test_defaults_are_those_of_knative() -> None:
    """Concurrency 0, 300 s, a TCP probe, a container name, all traffic to the latest; the input stays as it was."""
    given = service()
    admission = admitted(given)
    assert given == service()
    assert admission.warnings_for(strict=True) == ()
    spec = admission.obj["spec"]
    assert spec["traffic"] == [{"latestRevision": True, "percent": 100}]
    assert spec["template"]["spec"] == {
        "containerConcurrency": 0,
        "timeoutSeconds": 300,
        "enableServiceLinks": False,
        "containers": [
            {
                "name": "user-container",
                "image": IMAGE,
                "resources": {},
                "readinessProbe": {"successThreshold": 1, "tcpSocket": {"port": 0}},
            }
        ],
    }


def test_admission_is_idempotent() -> None:
    """What was admitted once is admitted again unchanged, so applying it again makes no new revision."""
    probe = {"httpGet": {"path": "/readyz"}}
    once = admitted(service(container={"readinessProbe": probe, "name": ""})).obj
    assert admit(SERVICES, once, once).obj == once


def test_what_a_cluster_has_and_this_has_not_is_named_in_a_warning() -> None:
    """Fields without effect are accepted, each with a sentence that names it and says why."""
    container = {"resources": {"limits": {"memory": "1Gi"}}, "imagePullPolicy": "Never", "livenessProbe": {"x": 1}}
    annotations = {
        "autoscaling.knative.dev/min-scal": "1",
        "networking.knative.dev/x": "y",
        "client.knative.dev/x": "y",
        "example.com/mine": "y",
        "autoscaling.knative.dev/min-scale": "1",
    }
    obj = service(
        container=container,
        spec={"nodeSelector": {"a": "b"}},
        template_metadata={"annotations": annotations},
        metadata={"annotations": {"serving.knative.dev/rollout-duration": "10s"}},
    )
    warnings = admitted(obj).warnings_for(strict=True)
    named = sorted(warning.split(" has no effect")[0].rsplit(".", 1)[-1] for warning in warnings)
    assert named == sorted(
        ["resources", "imagePullPolicy", "livenessProbe", "nodeSelector", "dev/min-scal]", "dev/x]",
         "dev/rollout-duration]"]
    )  # fmt: skip
    assert "they are not enforced" in " ".join(warnings)


def test_what_the_restricted_standard_asks_for_is_taken_without_a_word() -> None:
    """Manifests for a cluster that enforces it apply here silently; a user id, which is a choice, is named."""
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    admission = admitted(service(container={"securityContext": restricted}))
    assert admission.warnings_for(strict=True) == ()
    assert admission.obj["spec"]["template"]["spec"]["containers"][0]["securityContext"] == restricted
    (warning,) = admitted(service(container={"securityContext": {"runAsUser": 1000}})).warnings_for(strict=True)
    assert "securityContext.runAsUser has no effect" in warning


def test_a_misspelt_field_is_a_warning_or_an_error_as_the_client_asks() -> None:
    """`fieldValidation=Strict`, kubectl's default, refuses an unknown field; otherwise it is named in a warning."""
    admission = admitted(service(spec={"containerConcurency": 4}))
    path = "spec.template.spec.containerConcurency"
    assert admission.warnings_for(strict=False) == (f'unknown field "{path}"',)
    with pytest.raises(InvalidRequest, match=path):
        admission.warnings_for(strict=True)


@pytest.mark.parametrize(
    ("obj", "fault"),
    [
        (service(spec={"volumes": [{"name": "v"}]}), "spec.template.spec.volumes is not available in the embedded"),
        (service(spec={"initContainers": [{}]}), "initContainers is not available"),
        (service(spec={"containers": [{"image": "a"}, {"image": "b"}]}), "containers is not available in the embedded"),
        (service(container={"command": ["sh"]}), "the Procfile in the function's folder says what runs"),
        (service(container={"env": [{"name": "A", "valueFrom": {"x": 1}}]}), "env[0].valueFrom is not available"),
        (service(container={"envFrom": [{"x": 1}]}), "envFrom is not available"),
        (service(container={"readinessProbe": {"exec": {"command": ["x"]}}}), "readinessProbe.exec is not available"),
        (service(template_metadata={"annotations": {"autoscaling.knative.dev/class": "hpa.autoscaling.knative.dev"}}),
         "only kpa.autoscaling.knative.dev scales here"),
        (service(service_spec={"traffic": [{"revisionName": "hello-00001", "percent": 50}, {"percent": 50}]}),
         "a split of [50, 50] percent; give one revision 100"),
    ],
)  # fmt: skip
def test_what_would_change_the_outcome_is_refused(obj: Json, fault: str) -> None:
    """Nothing that a user could rely on is dropped: the message names the field and what to do instead."""
    assert fault in refused(obj)


@pytest.mark.parametrize(
    ("obj", "fault"),
    [
        (service(metadata={"name": "Hello_1"}), "metadata.name is 'Hello_1'"),
        (service(metadata={"name": "x" * 64}), "at most 63"),
        (service(metadata={"namespace": "a/b"}), "metadata.namespace is 'a/b'"),
        (service(metadata={"labels": {"a": "b c"}}), "metadata.labels[a] is 'b c'"),
        (service(metadata={"annotations": {"a": 1}}), "metadata.annotations[a] is 1; it must be a string"),
        (service(metadata={"annotations": {"autoscaling.knative.dev/min-scale": "1"}}),
         "must be put under spec.template.metadata.annotations"),
        ({"metadata": {"name": "hello", "namespace": "default"}}, "spec.template is missing"),
        ({"metadata": {"name": "hello", "namespace": "default"}, "spec": []}, "spec is []; it must be an object"),
        (service(spec={"containers": []}), "containers is missing"),
        (service(spec={"containers": {}}), "it must be a list of objects"),
        (service(container={"image": ""}), "containers[0].image is ''"),
        (service(spec={"containerConcurrency": -1}), "containerConcurrency is -1"),
        (service(spec={"containerConcurrency": True}), "containerConcurrency is True"),
        (service(spec={"timeoutSeconds": 601}), "timeoutSeconds is 601; it must be a whole number from 1 to 600"),
        (service(spec={"timeoutSeconds": 5, "responseStartTimeoutSeconds": 6}), "responseStartTimeoutSeconds is 6"),
        (service(container={"ports": [{"containerPort": 1}, {"containerPort": 2}]}), "a revision has one port"),
        (service(container={"ports": [{"containerPort": 70000}]}), "containerPort is 70000"),
        (service(container={"ports": [{"name": "web"}]}), "it must be http1 or h2c"),
        (service(container={"ports": [{"protocol": "UDP"}]}), "it must be TCP"),
        (service(container={"env": [{"name": "PORT", "value": "1"}]}), "which the platform sets itself"),
        (service(container={"env": [{"value": "1"}]}), "env[0].name is None"),
        (service(container={"env": [{"name": "A", "value": 1}]}), "put it in quotes"),
        (service(container={"readinessProbe": "x"}), "readinessProbe is 'x'; it must be an object"),
        (service(template_metadata={"annotations": {"autoscaling.knative.dev/window": "1s"}}), "window is '1s'"),
        (service(template_metadata={"name": "other-1"}), "must begin with 'hello-'"),
        (service(service_spec={"traffic": [{"percent": 100, "latestRevision": True, "revisionName": "hello-1"}]}),
         "either latestRevision: true or a revisionName"),
        (service(service_spec={"traffic": [{"percent": 100}, {"tag": "a"}, {"tag": "a"}]}), "tags are unique"),
        (service(service_spec={"traffic": [{"percent": 101}]}), "traffic[0].percent is 101"),
    ],
)  # fmt: skip
def test_rules_are_those_of_knative(obj: Json, fault: str) -> None:
    """A broken rule is refused with place, value and rule."""
    assert fault in refused(obj)


def test_all_faults_are_told_at_once() -> None:
    """Three mistakes need one try, not three."""
    message = refused(service(metadata={"name": "X"}, container={"image": None}, spec={"timeoutSeconds": "5"}))
    assert all(part in message for part in ("metadata.name", "containers[0].image", "timeoutSeconds is '5'"))


def test_traffic_to_one_revision_and_tags_is_had() -> None:
    """All to a named revision, any number of tags at 0 percent."""
    traffic = [{"revisionName": "hello-00001", "percent": 100}, {"tag": "next", "percent": 0}, {"tag": "also"}]
    admitted_traffic = admitted(service(service_spec={"traffic": traffic})).obj["spec"]["traffic"]
    assert admitted_traffic == [
        traffic[0],
        {"tag": "next", "percent": 0, "latestRevision": True},
        {"tag": "also", "latestRevision": True},
    ]


def test_a_named_template_changes_its_name_with_its_content() -> None:
    """The same name for another content is refused; for the same content it is fine."""
    old = admitted(service(template_metadata={"name": "hello-one"})).obj
    assert admit(SERVICES, old, old).obj == old
    changed = service(template_metadata={"name": "hello-one"}, spec={"containerConcurrency": 1})
    assert "give the new Revision a new name" in refused(changed, old)


def revision(**annotations: str) -> Json:
    metadata = {
        "name": "hello-00001",
        "namespace": "default",
        "labels": {"serving.knative.dev/routingState": "active"},
        "annotations": {"serving.knative.dev/routes": "hello", **annotations},
    }
    return {"metadata": metadata, "spec": {"containers": [{"image": IMAGE}]}}


def test_of_a_revision_only_annotations_change() -> None:
    """min-scale may be set on a Revision; a bad value, another spec, or another routing state may not."""
    old = revision()
    warmed = revision(**{"autoscaling.knative.dev/min-scale": "1"})
    assert admit(REVISIONS, warmed, old).obj == warmed
    wrong = revision(**{"autoscaling.knative.dev/min-scale": "-1"})
    respecified = {**revision(), "spec": {}}
    moved = revision()
    moved["metadata"]["labels"] = {}
    for obj, fault in ((wrong, "min-scale is '-1'"), (respecified, "spec is immutable"), (moved, "the platform's")):
        with pytest.raises(InvalidRequest, match=fault):
            admit(REVISIONS, obj, old)


def trigger(**spec: Any) -> Json:
    subscriber = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "selector"}}
    metadata = {"name": "requests", "namespace": "default"}
    return {"metadata": metadata, "spec": {"subscriber": subscriber, **spec}}


def test_a_trigger_gets_broker_label_and_namespace() -> None:
    """The default Broker, the label that names it, and the subscriber's namespace are filled in."""
    obj = admit(TRIGGERS, trigger(), None).obj
    assert obj["metadata"]["labels"] == {"eventing.knative.dev/broker": "default"}
    assert obj["spec"]["broker"] == "default"
    assert obj["spec"]["subscriber"]["ref"]["namespace"] == "default"


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"broker": "other"}, "spec.broker is immutable"),
        ({"subscriber": {}}, "spec.subscriber is missing"),
        ({"subscriber": {"ref": {"kind": "Service"}}}, "lacks apiVersion, name"),
        ({"filters": [{"cesql": "type = "}]}, "cesql"),
        ({"filter": {"attributes": {"type": 1}}}, "wanted attribute names with strings"),
        ({"delivery": {"backoffDelay": "5 s"}}, "ISO 8601 duration"),
    ],
)
def test_a_trigger_that_cannot_work_is_refused(spec: Json, fault: str) -> None:
    """Filters and delivery are read as the Broker will read them."""
    old = admit(TRIGGERS, trigger(), None).obj
    with pytest.raises(InvalidRequest, match=fault):
        admit(TRIGGERS, trigger(**spec), old)


def test_a_broker_gets_its_class_and_keeps_it() -> None:
    """The class is filled in and immutable; a config, which is not needed here, is a warning."""
    config = {"kind": "ConfigMap", "name": "config-br-default-channel", "namespace": "knative-eventing"}
    obj = {"metadata": {"name": "default", "namespace": "default"}, "spec": {"config": config}}
    admission = admit(BROKERS, obj, None)
    assert admission.obj["metadata"]["annotations"] == {"eventing.knative.dev/broker.class": "MTChannelBasedBroker"}
    assert "spec.config has no effect" in admission.warnings_for(strict=True)[0]
    other = {**obj, "metadata": {**obj["metadata"], "annotations": {"eventing.knative.dev/broker.class": "Kafka"}}}
    with pytest.raises(InvalidRequest, match="immutable"):
        admit(BROKERS, other, admission.obj)
    with pytest.raises(InvalidRequest, match="retry"):
        admit(BROKERS, {**obj, "spec": {"delivery": {"retry": -1}}}, None)
