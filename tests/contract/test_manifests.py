"""The files in knative/ against the tree and against each other: what people apply must exist and fit together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from warmfront.cloudevents import CloudEvent
from warmfront.errors import SetupError
from warmfront.kube.files import load_manifests
from warmfront.kube.manifests import TASK_LABEL, variant_of
from warmfront.runtime.environments import command_of, find_folder
from warmfront.runtime.eventing.filters import attributes_of, compile_filter

ROOT = Path(__file__).parents[2]
KNATIVE = ROOT / "knative"
BASE = KNATIVE / "base"
FIVE_FILES = ("main.py", "requirements.txt", "Procfile", "Containerfile", "README.md")
OBJECTS = load_manifests(KNATIVE)
KEEP_WARM = load_manifests(KNATIVE / "components" / "keep-warm" / "role.yaml")
TRIGGER_DEFAULTS = load_manifests(KNATIVE / "components" / "trigger-defaults" / "role.yaml")
SERVICES = {obj["metadata"]["name"]: obj for obj in OBJECTS if obj["kind"] == "Service"}
VARIANTS = {name: obj for name, obj in SERVICES.items() if TASK_LABEL in obj["metadata"].get("labels", {})}


def of_kind(kind: str) -> list[dict[str, Any]]:
    """All objects of a kind."""
    return [obj for obj in OBJECTS if obj["kind"] == kind]


def test_base_names_every_file() -> None:
    """What people apply is what lies in base/, no more and no less, whether kubectl or `warmfront up` applies it."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    files = {str(file.relative_to(BASE)) for file in BASE.rglob("*.yaml")} - {"kustomization.yaml"}
    assert sorted(listed) == sorted(files)
    assert load_manifests(BASE) == OBJECTS


@pytest.mark.parametrize("kustomization", sorted(KNATIVE.rglob("kustomization.yaml")), ids=lambda f: f.parent.name)
def test_every_kustomization_names_what_is_there(kustomization: Path) -> None:
    """Resources and patches of base, component and overlays exist, and each file beside them is used."""
    content = yaml.safe_load(kustomization.read_text())
    folder = kustomization.parent
    patches = [patch["path"] for patch in content.get("patches", []) if "path" in patch]
    used = [*content.get("resources", []), *content.get("components", []), *patches]
    assert [name for name in used if not (folder / name).exists()] == []
    if folder != KNATIVE:
        files = {str(file.relative_to(folder)) for file in folder.rglob("*.yaml")} - {"kustomization.yaml"}
        assert files == {name for name in used if not (folder / name).is_dir()}


def test_every_file_is_read() -> None:
    """No file below knative/ is one that YAML or Kubernetes cannot read."""
    for file in KNATIVE.rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            assert isinstance(document, list) or document["kind"], file


@pytest.mark.parametrize("overlay", ["minimal", "production"])
def test_overlays_enforce_the_restricted_standard(overlay: str) -> None:
    """Both overlays make a namespace of their own, which admits no pod that asks for more than it needs."""
    content = yaml.safe_load((KNATIVE / "overlays" / overlay / "kustomization.yaml").read_text())
    (namespace,) = load_manifests(KNATIVE / "overlays" / overlay / "namespace.yaml")
    assert namespace["metadata"]["name"] == content["namespace"]
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}


def test_no_object_twice() -> None:
    """A kind and a name are one object."""
    names = [(obj["kind"], obj["metadata"]["name"]) for obj in OBJECTS]
    assert len(names) == len(set(names))


def test_what_there_is() -> None:
    """Four variants of one task, the selector in front of them, and the last stop of what nobody could take."""
    assert set(VARIANTS) == {"langid-cld2", "langid-fasttext", "langid-py3langid", "langid-lingua"}
    assert set(SERVICES) - set(VARIANTS) == {"selector", "event-log"}
    assert {obj["metadata"]["labels"][TASK_LABEL] for obj in VARIANTS.values()} == {"langid"}


@pytest.mark.parametrize("name", SERVICES)
def test_image_is_a_function_folder(name: str) -> None:
    """Each image names a folder with the five files, whose Procfile starts something."""
    image = SERVICES[name]["spec"]["template"]["spec"]["containers"][0]["image"]
    folder = find_folder(ROOT, image)
    assert [file for file in FIVE_FILES if not (folder / file).is_file()] == []
    assert command_of(folder)


@pytest.mark.parametrize("name", VARIANTS)
def test_variant(name: str) -> None:
    """A variant sleeps until needed, is ready when loaded, and declares a whole profile that parses."""
    service = VARIANTS[name]
    variant = variant_of(service)
    template = service["spec"]["template"]
    assert service["spec"]["template"]["spec"]["containers"][0]["image"] == f"dev.local/{name}:v1"
    assert template["metadata"]["annotations"]["autoscaling.knative.dev/initial-scale"] == "0"
    assert template["metadata"]["annotations"]["autoscaling.knative.dev/target-burst-capacity"] == "0"
    assert template["spec"]["containers"][0]["readinessProbe"] == {"httpGet": {"path": "/readyz"}}
    assert variant.concurrency == 4
    assert variant.protocols == ("cloudevents", "raw", "open-inference")
    profile = variant.profile
    assert profile.accuracy is not None
    assert profile.memory_mb is not None
    assert profile.latency_s is not None
    assert profile.cold_start_s is not None
    assert len(profile.accuracy_by_bytes) >= 3


def test_profiles_span_a_frontier() -> None:
    """No variant is better at everything: the more accurate one is slower to start, all the way."""
    profiles = sorted((variant_of(obj).profile for obj in VARIANTS.values()), key=lambda p: p.accuracy or 0.0)
    starts = [profile.cold_start_s.p50 for profile in profiles if profile.cold_start_s]
    assert len(starts) == 4
    assert starts == sorted(starts)


@pytest.mark.parametrize("name", SERVICES)
def test_pods_keep_to_the_restricted_standard(name: str) -> None:
    """Every container gives up what the Pod Security Standard `restricted` wants given up, and the right to write."""
    (container,) = SERVICES[name]["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_triggers_share_the_events_out() -> None:
    """Each event for a selector reaches exactly one subscriber, by filters both runtimes read; others reach none."""
    brokers = {broker["metadata"]["name"] for broker in of_kind("Broker")}
    for trigger in of_kind("Trigger"):
        assert trigger["spec"]["broker"] in brokers
        subscriber = trigger["spec"]["subscriber"]["ref"]
        assert subscriber["apiVersion"] == SERVICES[subscriber["name"]]["apiVersion"]
    filters = [(trigger["spec"]["subscriber"]["ref"]["name"], trigger["spec"]) for trigger in of_kind("Trigger")]

    def takers(kind: str, subject: str | None) -> list[str]:
        event = CloudEvent(id="1", source="/test", type=kind, subject=subject)
        return [name for name, spec in filters if compile_filter(spec)(attributes_of(event))]

    assert takers("dev.warmfront.inference.request", "langid") == ["selector"]
    assert takers("dev.warmfront.inference.request", None) == ["event-log"]
    assert takers("dev.warmfront.feedback", "langid") == ["selector"]
    assert takers("dev.warmfront.inference.response", "langid") == []
    assert takers("com.example.other", None) == []


def test_filter_repeats_what_kn_can_say() -> None:
    """Where a Trigger states `filter` beside `filters`, it is the part of the expression that is about the type."""
    for trigger in of_kind("Trigger"):
        (expression,) = trigger["spec"]["filters"]
        for kind in trigger["spec"].get("filter", {}).get("attributes", {}).values():
            assert expression["cesql"].startswith(f"type = '{kind}'")


def test_delivery_backs_off() -> None:
    """Knative retries without any delay unless both backoff fields are there."""
    (broker,) = of_kind("Broker")
    delivery = broker["spec"]["delivery"]
    assert delivery["retry"] > 0
    assert {"backoffPolicy", "backoffDelay", "timeout"} <= set(delivery)
    assert delivery["deadLetterSink"]["ref"]["name"] in SERVICES


def test_selector_stays_up_with_its_account() -> None:
    """The selector never scales to zero and runs under the account that the Role is bound to."""
    template = SERVICES["selector"]["spec"]["template"]
    assert template["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"] == "1"
    (account,) = of_kind("ServiceAccount")
    assert template["spec"]["serviceAccountName"] == account["metadata"]["name"]
    for objects in (OBJECTS, KEEP_WARM, TRIGGER_DEFAULTS):
        (binding,) = (obj for obj in objects if obj["kind"] == "RoleBinding")
        (role,) = (obj for obj in objects if obj["kind"] == "Role")
        assert [subject["name"] for subject in binding["subjects"]] == [account["metadata"]["name"]]
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", role["metadata"]["name"])


def allowed(objects: list[dict[str, Any]]) -> set[tuple[str, str, str, str]]:
    """What the one Role among the objects grants: group, resource, name (empty: all), verb."""
    (role,) = (obj for obj in objects if obj["kind"] == "Role")
    return {
        (group, resource, name, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


def test_least_privilege() -> None:
    """The selector reads four kinds of objects, keeps one Lease and one ConfigMap that exist, and nothing else."""
    seen = {
        ("serving.knative.dev", "services"),
        ("serving.knative.dev", "revisions"),
        ("autoscaling.internal.knative.dev", "podautoscalers"),
        ("discovery.k8s.io", "endpointslices"),
    }
    kept = {("coordination.k8s.io", "leases", "warmfront-selector"), ("", "configmaps", "warmfront-learned")}
    assert allowed(OBJECTS) == (
        {(*kind, "", verb) for kind in seen for verb in ("get", "list", "watch")}
        | {(*one, verb) for one in kept for verb in ("get", "patch", "update")}
    )
    shipped = {(obj["kind"], obj["metadata"]["name"]) for obj in OBJECTS}
    assert {("Lease", "warmfront-selector"), ("ConfigMap", "warmfront-learned")} <= shipped


def test_keeping_warm_is_a_right_of_its_own() -> None:
    """Only the component lets the selector change anything of Knative's: annotations of Revisions."""
    assert allowed(KEEP_WARM) == {("serving.knative.dev", "revisions", "", "patch")}


def test_reading_triggers_is_a_right_of_its_own() -> None:
    """Only who states tasks' defaults on Triggers lets the selector list them."""
    assert allowed(TRIGGER_DEFAULTS) == {("eventing.knative.dev", "triggers", "", "list")}


def test_unknown_image_is_told(tmp_path: Path) -> None:
    """An image without a folder says where was looked."""
    with pytest.raises(SetupError, match="functions/no_such_thing"):
        find_folder(tmp_path, "dev.local/no-such-thing:v1")


DIGITS = {
    obj["metadata"]["name"]: obj
    for name in ("digits", "digits-grpc", "digits-tensorflow-serving")
    for obj in load_manifests(KNATIVE / "components" / name)
}


@pytest.mark.parametrize("name", DIGITS)
def test_digits_variant(name: str) -> None:
    """A second task's variants sleep until needed, give up what `restricted` wants, and declare profiles that parse."""
    service = DIGITS[name]
    variant = variant_of(service)
    template = service["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert variant.task == "digits"
    assert variant.profile.accuracy is not None
    assert template["metadata"]["annotations"]["autoscaling.knative.dev/initial-scale"] == "0"
    (other,) = SERVICES["langid-cld2"]["spec"]["template"]["spec"]["containers"]
    assert other["securityContext"].items() <= container["securityContext"].items()
    assert set(container["securityContext"]) - set(other["securityContext"]) <= {"runAsUser"}


@pytest.mark.parametrize("name", sorted(DIGITS.keys() - {"digits-tensorflow-serving"}))
def test_digits_image_is_a_function_folder(name: str) -> None:
    """Each of our own images names a folder with the five files; the model that it is told to load is kept."""
    (container,) = DIGITS[name]["spec"]["template"]["spec"]["containers"]
    folder = find_folder(ROOT, container["image"])
    assert [file for file in FIVE_FILES if not (folder / file).is_file()] == []
    env = {entry["name"]: entry["value"] for entry in container.get("env", [])}
    assert list((ROOT / "functions" / "digits_models").glob(f"{env.get('DIGITS_MODEL', 'linear')}*"))


def test_digits_component_is_measured_whole() -> None:
    """The five of the demo declare all of a profile; the better models take longer to start."""
    five = {
        obj["metadata"]["name"]: variant_of(obj).profile for obj in load_manifests(KNATIVE / "components" / "digits")
    }
    assert len(five) == 5
    assert all(p.accuracy and p.memory_mb and p.latency_s and p.cold_start_s for p in five.values())
    starts = {name: profile.cold_start_s.p50 for name, profile in five.items() if profile.cold_start_s}
    assert starts["digits-linear"] < starts["digits-onnx-large"] < starts["digits-tfserving"]


def test_ports_of_grpc_variants_are_named_for_it() -> None:
    """What speaks gRPC has a port named h2c, and nothing else has."""
    for service in [*SERVICES.values(), *DIGITS.values()]:
        ports = service["spec"]["template"]["spec"]["containers"][0]["ports"]
        speaks = service["metadata"].get("annotations", {}).get("warmfront.dev/protocols", "")
        assert (ports[0].get("name") == "h2c") == speaks.endswith("-grpc"), service["metadata"]["name"]
