"""A namespace of its own with everything in knative/ deployed, and what is asked of it.

Runs where the cluster's own names resolve, with `kubectl` and `kn` at hand.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WINDOW = "autoscaling.knative.dev/window"

Object = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """One namespace."""

    namespace: str

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """What kubectl printed; raises CalledProcessError with its words in `stderr`."""
        command = ["kubectl", "-n", self.namespace, *args]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout

    def get(self, *args: str) -> Object:
        """One object, or a list of them."""
        found: Object = json.loads(self.kubectl("get", *args, "-o", "json"))
        return found

    def host(self, service: str) -> str:
        """The Service's name within the cluster."""
        return f"{service}.{self.namespace}.svc.cluster.local"

    def pods(self, service: str) -> list[Object]:
        """The Service's pods, those about to end too."""
        items: list[Object] = self.get("pods", "-l", f"serving.knative.dev/service={service}")["items"]
        return items

    def memory_mb(self, service: str) -> float:
        """The working set of the Service's own container, as its kubelet states it; the largest of its pods'."""
        pods = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in self.pods(service)}
        found = []
        for node in set(pods.values()):
            summary = json.loads(self.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
            for pod in summary["pods"]:
                if pod["podRef"]["name"] in pods and pod["podRef"]["namespace"] == self.namespace:
                    sets = {one["name"]: one["memory"]["workingSetBytes"] for one in pod["containers"]}
                    found.append(sets["user-container"] / 1e6)
        return max(found)

    def annotate(self, service: str, **annotations: str) -> None:
        """Set annotations of the Service's template, which makes a new revision, and wait until it is Ready."""
        template = {"metadata": {"annotations": {f"autoscaling.knative.dev/{k}": v for k, v in annotations.items()}}}
        patch = {"spec": {"template": template}}
        self.kubectl("patch", "ksvc", service, "--type", "merge", "-p", json.dumps(patch))
        generation = self.get("ksvc", service)["metadata"]["generation"]

        def settled() -> bool:
            status = self.get("ksvc", service)["status"]
            ready = [c["status"] for c in status["conditions"] if c["type"] == "Ready"]
            return status["observedGeneration"] == generation and ready == ["True"]

        until(f"{service} is Ready again", settled)


def until(what: str, true: Callable[[], object], timeout_s: float = 120.0) -> None:
    """Ask every half second. Raises TimeoutError that says what was waited for."""
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.5)


@contextmanager
def deployed(registry: str, tag: str) -> Iterator[Place]:
    """A new namespace with all of knative/ in it, Ready; deleted at the end."""
    place = Place(f"warmfront-bench-{os.urandom(2).hex()}")
    command = [
        str(Path(sys.executable).with_name("warmfront")), "deploy", "-n", place.namespace,
        "--registry", registry, "--tag", tag,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        print(done.stdout.splitlines()[-1], file=sys.stderr)
        yield place
    finally:
        subprocess.run(["kubectl", "delete", "namespace", place.namespace, "--wait=false"], check=False)
