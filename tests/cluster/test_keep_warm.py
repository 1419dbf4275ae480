"""Keeping warm and waking on a real Knative, with the objects of knative/: what a Revision's min-scale really does."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from warmfront.kube.files import load_manifests
from warmfront.kube.kept import MIN_SCALE, UNTIL

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("deployed")]

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = f"warmfront-keep-{secrets.token_hex(3)}"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:warmfront-selector"
SELECTOR = f"http://selector.{NAMESPACE}.svc.cluster.local"
TAG = os.environ.get("WARMFRONT_IMAGE_TAG", "v1")
KINDS = ("ServiceAccount", "Role", "RoleBinding", "Lease", "ConfigMap", "Service")
SERVICES = ("selector", "langid-cld2", "langid-fasttext")
WINDOW_S = 6


def kubectl(*args: str, stdin: str | None = None, allow_failure: bool = False) -> str:
    done = subprocess.run(["kubectl", "-n", NAMESPACE, *args], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or allow_failure, f"kubectl {' '.join(args)}: {done.stderr}"
    return done.stdout


def names(kind: str, variant: str) -> list[str]:
    """The objects of this kind that belong to the variant and are not on their way out."""
    found = json.loads(kubectl("get", kind, "-l", f"serving.knative.dev/service={variant}", "-o", "json"))["items"]
    return [obj["metadata"]["name"] for obj in found if "deletionTimestamp" not in obj["metadata"]]


def annotations(revision: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(kubectl("get", "revision", revision, "-o", "json"))["metadata"]["annotations"]
    return found


def warmfront(*args: str, refused: bool = False) -> str:
    """What the command says, or why it is refused; it finds the selector by itself."""
    command = [sys.executable, "-m", "warmfront.cli", *args, "-n", NAMESPACE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) is refused, done.stdout + done.stderr
    return done.stderr if refused else done.stdout


def until(condition: Callable[[], object], within_s: float = 60.0) -> float:
    """Wait for the condition; how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"not so after {within_s} s"
        time.sleep(0.1)
    return time.monotonic() - began


def get(path: str, body: bytes | None = None, **headers: str) -> Any:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(SELECTOR + path, body, fields), timeout=60) as reply:
        return reply.read().decode()


def ready(variant: str) -> int:
    """The variant's ready replicas as the selector knows them."""
    seen = json.loads(get("/tasks/langid"))["variants"]
    return next((one["ready"] for one in seen if one["variant"] == variant), 0)


def metric(line: str) -> float:
    return sum(float(row.rpartition(" ")[2]) for row in get("/metrics").splitlines() if row.startswith(line))


def adapted(obj: dict[str, Any]) -> dict[str, Any]:
    """In the test's namespace; keep-warm on; variants that sleep soon, one of them said to be the better one."""
    obj["metadata"]["namespace"] = NAMESPACE
    for subject in obj.get("subjects", []):
        subject["namespace"] = NAMESPACE
    if obj["kind"] == "Service":
        template = obj["spec"]["template"]
        container = template["spec"]["containers"][0]
        container["image"] = container["image"].replace(":v1", f":{TAG}")
        if obj["metadata"]["name"] == "selector":
            container["env"] = [{"name": "WARMFRONT_KEEP_WARM", "value": "on"}]
        else:
            template["metadata"]["annotations"]["autoscaling.knative.dev/window"] = f"{WINDOW_S}s"
        if obj["metadata"]["name"] == "langid-fasttext":
            obj["metadata"]["annotations"]["warmfront.dev/profile"] = '{"accuracy": 0.99, "memory_mb": 40}'
    return obj


@pytest.fixture(scope="module")
def deployed() -> Iterator[None]:
    objects = load_manifests(ROOT / "knative" / "base") + load_manifests(
        ROOT / "knative/components/keep-warm/role.yaml"
    )
    wanted = [
        adapted(obj)
        for obj in objects
        if obj["kind"] in KINDS and (obj["kind"] != "Service" or obj["metadata"]["name"] in SERVICES)
    ]
    subprocess.run(["kubectl", "create", "namespace", NAMESPACE], check=True, capture_output=True)
    try:
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted}))
        kubectl("wait", "--for=condition=Ready", "--timeout=120s", *(f"ksvc/{name}" for name in SERVICES))
        until(lambda: "leading" in get("/readyz"))
        yield
    finally:
        subprocess.run(["kubectl", "delete", "namespace", NAMESPACE, "--wait=false"], check=True, capture_output=True)


def test_a_kept_variant_comes_stays_and_goes_without_a_new_revision(report: Callable[[str], None]) -> None:
    """Ready within seconds, there for longer than its window, annotations gone 2 s after the end, then no pod."""
    (revision,) = names("revision", "langid-cld2")
    deployment = f"deployment/{revision}-deployment"
    generation = kubectl("get", deployment, "-o", "jsonpath={.spec.template}")
    asked = time.time()
    said = warmfront("warm", "langid-cld2", "--for", "25s")
    until(lambda: ready("langid-cld2") == 1)
    came_s = time.time() - asked
    end = datetime.fromisoformat(annotations(revision)[UNTIL]).timestamp()
    assert end - asked > 3 * WINDOW_S
    time.sleep(max(end - time.time() - 1.0, 0))
    assert (ready("langid-cld2"), len(names("pod", "langid-cld2"))) == (1, 1)
    until(lambda: UNTIL not in annotations(revision), within_s=1.0 + 4.0)
    late_s = time.time() - end
    assert MIN_SCALE not in annotations(revision)
    until(lambda: not names("pod", "langid-cld2"))
    report(f"{said.strip()}; ready {came_s:.1f} s after the command, let go {late_s:.1f} s after the end")
    report(f"no pod {time.time() - end:.1f} s after the end")
    assert names("revision", "langid-cld2") == [revision]
    assert kubectl("get", deployment, "-o", "jsonpath={.spec.template}") == generation


def test_release_ends_it_at_once_and_gives_back_what_was(report: Callable[[str], None]) -> None:
    """The min-scale that somebody else had set is there again. In between a second replica runs beside the first."""
    (revision,) = names("revision", "langid-cld2")
    urllib.request.urlopen(f"http://langid-cld2.{NAMESPACE}.svc.cluster.local/readyz", timeout=60).close()
    kubectl("annotate", "revision", revision, f"{MIN_SCALE}=1")
    until(lambda: ready("langid-cld2") == 1)
    (first,) = names("pod", "langid-cld2")
    warmfront("warm", "langid-cld2", "--for", "10m", "--replicas", "2")
    report(f"two replicas {until(lambda: ready('langid-cld2') == 2):.1f} s after the command")
    assert first in names("pod", "langid-cld2")  # no pod was replaced
    assert warmfront("release", "langid-cld2") == "langid-cld2 is released\n"
    assert annotations(revision)[MIN_SCALE] == "1"
    assert UNTIL not in annotations(revision)
    kubectl("annotate", "revision", revision, f"{MIN_SCALE}-")
    assert names("revision", "langid-cld2") == [revision]


def test_a_sleeping_better_variant_is_woken_by_a_request_that_is_no_inference(report: Callable[[str], None]) -> None:
    """While the warm one answers within 500 ms; afterwards as many inferences are counted as texts were sent."""
    warmfront("warm", "langid-cld2", "--for", "2m")
    until(lambda: ready("langid-cld2") >= 1)
    until(lambda: not names("pod", "langid-fasttext"))
    before, sent = metric("warmfront_requests_total"), 0
    wakes = 'warmfront_wakes_total{variant="langid-fasttext",result="ready"}'
    began = time.monotonic()
    while ready("langid-fasttext") == 0:
        assert time.monotonic() - began < 60
        get("/tasks/langid", b"Where is the station?", Warmfront_Deadline_Ms="500")
        sent += 1
        time.sleep(0.2)
    until(lambda: metric(wakes) == 1)
    report(f"woken after {sent} requests, ready {time.monotonic() - began:.1f} s after the first")
    assert metric("warmfront_requests_total") - before == sent
    assert metric('warmfront_requests_total{task="langid",variant="langid-fasttext"') == 0


def test_a_keep_ends_though_the_selector_that_placed_it_is_gone(report: Callable[[str], None]) -> None:
    """Its pod is deleted; the next one takes the Lease over at once, for it was given back, and ends what is over."""
    (revision,) = names("revision", "langid-cld2")
    (pod,) = names("pod", "selector")
    warmfront("warm", "langid-cld2", "--for", "20s")
    end = datetime.fromisoformat(annotations(revision)[UNTIL]).timestamp()
    kubectl("delete", "pod", pod, "--wait=false")
    until(lambda: names("pod", "selector") not in ([], [pod]))
    until(lambda: UNTIL not in annotations(revision))
    report(f"let go {time.time() - end:.1f} s after the end by another pod")
    assert time.time() - end < 5.0


def test_without_the_permission_it_says_so(report: Callable[[str], None]) -> None:
    """The binding of components/keep-warm taken away: refused with what to apply, and /readyz says the same."""
    (revision,) = names("revision", "langid-cld2")
    kubectl("delete", "rolebinding", "warmfront-keep-warm")
    until(lambda: kubectl("auth", "can-i", "patch", "revisions", "--as", ACCOUNT, allow_failure=True).strip() == "no")
    refused = warmfront("warm", "langid-cld2", "--for", "1m", refused=True)
    report(refused.strip())
    assert "apply knative/components/keep-warm" in refused
    assert "no permission to patch Revisions" in get("/readyz")
    assert UNTIL not in annotations(revision)


@pytest.fixture
def report(record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a figure past pytest's capture."""

    def say(line: str) -> None:
        record_property("figure", line)
        with capsys.disabled():
            print(f"\n  {line}", flush=True)

    return say
