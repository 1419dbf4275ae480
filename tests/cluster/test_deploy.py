"""`warmfront deploy` on a real Knative: from nothing to everything Ready in one command, and back without a trace."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import IMAGES, ROOT, Cluster, until

pytestmark = pytest.mark.cluster

WARMFRONT = Path(sys.executable).with_name("warmfront")
KINDS = "ksvc,revisions,brokers.eventing,triggers,sa,roles,rolebindings,leases,cm,deployments,pods,networkpolicies,pdb"
REGISTRY, TAG = IMAGES.split("/{}:")
VARIANTS = ("langid-cld2", "langid-fasttext", "langid-py3langid", "langid-lingua")
IMAGE_OPTIONS = ("--registry", REGISTRY, "--tag", TAG)


def warmfront(cluster: Cluster, *args: str) -> subprocess.CompletedProcess[str]:
    """One command in the cluster's namespace, from the project's folder."""
    command = [str(WARMFRONT), args[0], "-n", cluster.namespace, *args[1:]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)


def names(cluster: Cluster) -> set[str]:
    """All that is in the namespace, as kind/name."""
    return set(cluster.kubectl("get", KINDS, "-o", "name").split())


def readiness(cluster: Cluster) -> dict[str, str]:
    """Of every Knative Service the status of its condition Ready."""
    items = json.loads(cluster.kubectl("get", "ksvc", "-o", "json"))["items"]
    return {
        item["metadata"]["name"]: condition["status"]
        for item in items
        for condition in item["status"]["conditions"]
        if condition["type"] == "Ready"
    }


def test_everything_ready_in_one_command_and_gone_in_another(cluster: Cluster) -> None:
    """All objects of knative/ are Ready within 90 s, again without a change, and undeploy leaves what was before."""
    before = names(cluster)
    began = time.monotonic()
    deployed = warmfront(cluster, "deploy", *IMAGE_OPTIONS)
    took_s = time.monotonic() - began
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    print(deployed.stdout.splitlines()[-1])
    assert took_s < 90
    assert readiness(cluster) == dict.fromkeys(("selector", "event-log", *VARIANTS), "True")
    assert names(cluster) >= {
        "service.serving.knative.dev/selector",
        "service.serving.knative.dev/langid-lingua",
        "broker.eventing.knative.dev/default",
        "trigger.eventing.knative.dev/inference-requests",
        "role.rbac.authorization.k8s.io/warmfront-selector",
    }
    checked = warmfront(cluster, "doctor", "-o", "json")
    findings = json.loads(checked.stdout)["findings"]
    assert not [finding for finding in findings if finding["status"] == "fail"]
    assert {f["check"]: f["status"] for f in findings}["the selector's permissions"] == "ok"
    explained = warmfront(cluster, "explain", "langid", "Guten Morgen", "-o", "json")
    assert len(json.loads(explained.stdout)["candidates"]) == 4

    revisions = {name for name in names(cluster) if name.startswith("revision.")}
    again = warmfront(cluster, "deploy", *IMAGE_OPTIONS)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {name for name in names(cluster) if name.startswith("revision.")} == revisions

    asked = warmfront(cluster, "undeploy")
    assert asked.returncode == 1
    assert "say --yes" in asked.stderr
    removed = warmfront(cluster, "undeploy", "--yes")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    until("pods end", lambda: names(cluster) == before, timeout_s=120)


def test_what_was_there_before_stays(cluster: Cluster) -> None:
    """A Broker that somebody made is given the delivery policy, and is still there after undeploy."""
    cluster.kubectl("create", "-f", "-", stdin=json.dumps({
        "apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "default"},
    }))  # fmt: skip
    assert warmfront(cluster, "deploy", *IMAGE_OPTIONS).returncode == 0
    broker = json.loads(cluster.kubectl("get", "brokers.eventing.knative.dev", "default", "-o", "json"))
    assert broker["spec"]["delivery"]["retry"] == 8
    removed = warmfront(cluster, "undeploy", "--yes")
    assert "broker/default" not in removed.stdout
    assert "broker.eventing.knative.dev/default" in names(cluster)
    assert "service.serving.knative.dev/selector" not in names(cluster)
    cluster.kubectl("delete", "brokers.eventing.knative.dev", "default")


def test_an_image_that_cannot_be_had_is_told_with_its_remedy(cluster: Cluster) -> None:
    """The Service is named, with the kubelet's words and what to do, long before the time is over; exit status 1."""
    failed = warmfront(cluster, "deploy", "--registry", REGISTRY, "--tag", "no-such-tag", "--wait-timeout", "110")
    assert failed.returncode == 1
    words = failed.stdout
    assert "service/selector: ErrImage" in words or "service/selector: ImagePull" in words
    assert "warmfront build --images" in words
    assert "objects ready after" in words
    found = json.loads(warmfront(cluster, "doctor", "-o", "json").stdout)["findings"]
    (selector,) = [finding for finding in found if finding["check"] == "service/selector"]
    assert selector["status"] == "fail"
    assert "warmfront build --images" in selector["remedy"]
    warmfront(cluster, "undeploy", "--yes")
