"""The laptop's YAML and images on a real Knative: the same selector routes over HTTP and over events."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from warmfront.kube.files import load_manifests

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "warmfront-smoke"
SELECTOR = f"http://selector.{NAMESPACE}.svc.cluster.local"
BROKER = f"http://broker-ingress.knative-eventing.svc.cluster.local/{NAMESPACE}/default"
SERVICES = ("selector", "langid-cld2", "langid-fasttext")


def _kubectl(*args: str, stdin: str | None = None) -> str:
    done = subprocess.run(["kubectl", "-n", NAMESPACE, *args], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
    return done.stdout


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[dict[str, str], bytes]:
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=60) as reply:
        return {name.lower(): value for name, value in reply.headers.items()}, reply.read()


def _in_namespace(obj: dict[str, Any]) -> dict[str, Any]:
    obj["metadata"]["namespace"] = NAMESPACE
    for subject in obj.get("subjects", []):
        subject["namespace"] = NAMESPACE
    return obj


@pytest.fixture(scope="module")
def deployed() -> Iterator[None]:
    """The manifests of knative/, less the variants whose images are not built for this tier."""
    objects = [_in_namespace(obj) for obj in load_manifests(ROOT / "knative")]
    wanted = [o for o in objects if o["kind"] != "Service" or o["metadata"]["name"] in SERVICES]
    subprocess.run(["kubectl", "create", "namespace", NAMESPACE], check=True, capture_output=True)
    try:
        _kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted}))
        ready = [f"ksvc/{name}" for name in SERVICES] + ["broker/default"]
        _kubectl("wait", "--for=condition=Ready", "--timeout=120s", *ready)
        yield
    finally:
        subprocess.run(["kubectl", "delete", "namespace", NAMESPACE, "--wait=false"], check=True, capture_output=True)


@pytest.mark.usefixtures("deployed")
def test_raw_request_is_answered_by_a_sleeping_variant() -> None:
    """A text posted to the selector wakes a variant, is answered with the right language, and says that it waited."""
    headers, body = _post(f"{SELECTOR}/tasks/langid", "Wo ist der nächste Bahnhof, bitte?".encode(), {})
    assert json.loads(body)["label"] == "de"
    assert headers["warmfront-variant"] in SERVICES
    assert headers["warmfront-cold-start"] == "true"


@pytest.mark.usefixtures("deployed")
def test_warmth_is_known_from_the_watches() -> None:
    """After an answer the catalogue reports a ready replica, read from the cluster's own objects."""
    headers, _ = _post(f"{SELECTOR}/tasks/langid", b"Where is the station?", {"Warmfront-Deadline-Ms": "20000"})
    again, body = _post(f"{SELECTOR}/tasks/langid", b"Where is the station?", {"Warmfront-Deadline-Ms": "1000"})
    assert json.loads(body)["label"] == "en"
    assert again["warmfront-cold-start"] == "false"
    assert float(again["warmfront-predicted-ms"]) < 1000
    assert headers["warmfront-variant"] in SERVICES


@pytest.mark.usefixtures("deployed")
def test_event_through_the_broker_is_delivered_to_the_selector() -> None:
    """An event posted to Knative's Broker passes its Trigger and is counted by the selector as answered."""
    before = _answered()
    event = {
        "Ce-Specversion": "1.0",
        "Ce-Id": f"smoke-{time.time_ns()}",
        "Ce-Source": "/smoke",
        "Ce-Type": "dev.warmfront.inference.request",
        "Ce-Subject": "langid",
        "Ce-Deadlinems": "20000",
        "Content-Type": "text/plain",
    }
    _post(BROKER, "¿Dónde está la estación?".encode(), event)
    deadline = time.monotonic() + 60
    while _answered() == before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _answered() == before + 1


def _answered() -> float:
    """Requests that the selector answered in time or late, over all variants."""
    with urllib.request.urlopen(f"{SELECTOR}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("warmfront_requests_total"))
