"""What the tests on a real Knative share: a namespace each, the project's manifests in it, and plain HTTP.

The namespaces enforce the Pod Security Standard `restricted`, so whatever starts here keeps to it.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from warmfront.kube.files import load_manifests

ROOT = Path(__file__).resolve().parents[2]
#: How an image is called on the cluster under test; `{}` stands for the last part of the name in the manifests.
IMAGES = os.environ.get("WARMFRONT_TEST_IMAGES", "dev.local/{}:v1")
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"

Object = dict[str, Any]


class Reply(NamedTuple):
    """An HTTP reply, whatever its status. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(url: str, body: bytes | None = None, headers: dict[str, str] | None = None, timeout_s: float = 90) -> Reply:
    """POST `body`, or GET without one."""
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        reply = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        reply = error
    with reply:
        return Reply(reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.read())


def until(what: str, found: Callable[[], Any], timeout_s: float = 60) -> Any:
    """Ask until the answer is true, and give it back."""
    deadline = time.monotonic() + timeout_s
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.1)
    return answer


@dataclass(frozen=True)
class Cluster:
    """One namespace of the cluster under test."""

    namespace: str

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace; what it printed."""
        command = ["kubectl", "-n", self.namespace, *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def apply(self, objects: Iterable[Object]) -> None:
        """Apply objects as they are, in this namespace and with the images of this cluster."""
        items = [self._here(json.loads(json.dumps(obj))) for obj in objects]
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def wait_ready(self, *names: str, timeout_s: int = 120) -> None:
        """Until `ksvc/NAME`, `brokers.eventing.knative.dev/NAME` and so on are Ready."""
        self.kubectl("wait", "--for=condition=Ready", f"--timeout={timeout_s}s", *names)

    def inside(self, service: str) -> str:
        """The Service's URL within the cluster."""
        return f"http://{service}.{self.namespace}.svc.cluster.local"

    def outside(self, service: str) -> str:
        """The Service's public URL, as Knative states it."""
        return self.kubectl("get", "ksvc", service, "-o", "jsonpath={.status.url}")

    def broker(self, name: str = "default") -> str:
        """Where events are posted to."""
        return self.kubectl("get", "brokers.eventing.knative.dev", name, "-o", "jsonpath={.status.address.url}")

    def logged(self, service: str) -> list[dict[str, str]]:
        """The events that an event-log has, oldest first; this wakes it."""
        return [json.loads(line) for line in ask(f"{self.inside(service)}/events").body.splitlines()]

    def _here(self, obj: Object) -> Object:
        obj["metadata"]["namespace"] = self.namespace
        for subject in obj.get("subjects", []):
            subject["namespace"] = self.namespace
        if obj["apiVersion"] == "serving.knative.dev/v1":
            for container in obj["spec"]["template"]["spec"]["containers"]:
                container["image"] = IMAGES.format(container["image"].rpartition("/")[2].partition(":")[0])
        return obj


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A namespace named after the test module, and new; deleted afterwards with all that is in it."""
    module = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    name = f"warmfront-{module}-{os.urandom(2).hex()}"
    subprocess.run(["kubectl", "create", "namespace", name], check=True, capture_output=True)
    try:
        subprocess.run(["kubectl", "label", "namespace", name, RESTRICTED], check=True, capture_output=True)
        yield Cluster(name)
    finally:
        subprocess.run(["kubectl", "delete", "namespace", name, "--wait=false"], check=True, capture_output=True)


def project(*variants: str) -> list[Object]:
    """The manifests of knative/ with these variants only, for not every image is built for this tier."""
    objects = load_manifests(ROOT / "knative")
    return [obj for obj in objects if "warmfront.dev/task" not in labels(obj) or obj["metadata"]["name"] in variants]


def labels(obj: Object) -> dict[str, str]:
    """The object's labels."""
    found: dict[str, str] = obj["metadata"].get("labels") or {}
    return found
