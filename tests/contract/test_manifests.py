"""The files in knative/ against the tree and against each other: what people apply must exist and fit together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from warmfront.errors import SetupError
from warmfront.kube.files import load_manifests
from warmfront.kube.manifests import TASK_LABEL, variant_of
from warmfront.runtime.environments import command_of, find_folder

ROOT = Path(__file__).parents[2]
KNATIVE = ROOT / "knative"
FIVE_FILES = ("main.py", "requirements.txt", "Procfile", "Containerfile", "README.md")
OBJECTS = load_manifests(KNATIVE)
SERVICES = {obj["metadata"]["name"]: obj for obj in OBJECTS if obj["kind"] == "Service"}
VARIANTS = {name: obj for name, obj in SERVICES.items() if TASK_LABEL in obj["metadata"].get("labels", {})}


def of_kind(kind: str) -> list[dict[str, Any]]:
    """All objects of a kind."""
    return [obj for obj in OBJECTS if obj["kind"] == kind]


def test_kustomization_names_every_file() -> None:
    """`kubectl apply -k` applies what lies in the folder, no more and no less."""
    listed = yaml.safe_load((KNATIVE / "kustomization.yaml").read_text())["resources"]
    files = {str(file.relative_to(KNATIVE)) for file in KNATIVE.rglob("*.yaml")} - {"kustomization.yaml"}
    assert sorted(listed) == sorted(files)


def test_no_object_twice() -> None:
    """A kind and a name are one object."""
    names = [(obj["kind"], obj["metadata"]["name"]) for obj in OBJECTS]
    assert len(names) == len(set(names))


def test_what_there_is() -> None:
    """Four variants of one task and the selector in front of them."""
    assert set(VARIANTS) == {"langid-cld2", "langid-fasttext", "langid-py3langid", "langid-lingua"}
    assert set(SERVICES) - set(VARIANTS) == {"selector"}
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


def test_triggers_reach_the_selector() -> None:
    """Both kinds of events that the selector acts on are brought to it, from a Broker that is there."""
    brokers = {broker["metadata"]["name"] for broker in of_kind("Broker")}
    subscribed = {}
    for trigger in of_kind("Trigger"):
        assert trigger["spec"]["broker"] in brokers
        subscriber = trigger["spec"]["subscriber"]["ref"]
        assert subscriber["apiVersion"] == SERVICES[subscriber["name"]]["apiVersion"]
        subscribed[trigger["spec"]["filter"]["attributes"]["type"]] = subscriber["name"]
    assert subscribed == {"dev.warmfront.inference.request": "selector", "dev.warmfront.feedback": "selector"}


def test_delivery_backs_off() -> None:
    """Knative retries without any delay unless both backoff fields are there."""
    (broker,) = of_kind("Broker")
    delivery = broker["spec"]["delivery"]
    assert delivery["retry"] > 0
    assert {"backoffPolicy", "backoffDelay", "timeout"} <= set(delivery)


def test_selector_stays_up_with_its_account() -> None:
    """The selector never scales to zero and runs under the account that the Role is bound to."""
    template = SERVICES["selector"]["spec"]["template"]
    assert template["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"] == "1"
    (binding,) = of_kind("RoleBinding")
    (account,) = of_kind("ServiceAccount")
    (role,) = of_kind("Role")
    assert template["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == [account["metadata"]["name"]]
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", role["metadata"]["name"])


def test_least_privilege() -> None:
    """The selector may read four kinds of objects and nothing else; it may change nothing."""
    (role,) = of_kind("Role")
    allowed = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    kinds = {
        ("serving.knative.dev", "services"),
        ("serving.knative.dev", "revisions"),
        ("autoscaling.internal.knative.dev", "podautoscalers"),
        ("discovery.k8s.io", "endpointslices"),
    }
    assert allowed == {(*kind, verb) for kind in kinds for verb in ("get", "list", "watch")}


@pytest.mark.parametrize(
    "folder", [*sorted((ROOT / "functions").glob("*/")), ROOT / "dummy_model_fn"], ids=lambda f: f.name
)
def test_containerfile(folder: Path) -> None:
    """Images run as a numeric user, are byte-compiled, install before they copy code, and name no address."""
    text = (folder / "Containerfile").read_text()
    assert "FROM python:3.11-slim\n" in text
    assert "\nUSER 65532:65532\n" in text
    assert "compileall" in text
    assert text.index("RUN pip install") < text.index("main.py")
    for file in (folder / "Containerfile", folder / "requirements.txt"):
        assert "://" not in file.read_text()


def test_unknown_image_is_told(tmp_path: Path) -> None:
    """An image without a folder says where was looked."""
    with pytest.raises(SetupError, match="functions/no_such_thing"):
        find_folder(tmp_path, "dev.local/no-such-thing:v1")
