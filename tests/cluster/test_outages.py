"""What breaks beneath the project: API server, activator, Broker ingress. No event that was accepted is lost."""

import json
import os
import subprocess
import time

import pytest

from .conftest import IMAGES, Cluster, ask, until
from .scenery import WARM, dummy, set_the_stage
from .streams import Callers, Stream

pytestmark = pytest.mark.cluster

TOOL = os.environ.get("WARMFRONT_TEST_CLUSTER", "")
DOWN_S = 20
RECONNECT_S = 10
"""A connection attempt that is under way when the API server's Service is back may take five seconds to give up."""
AS_PODS = "https://kubernetes.default.svc"
"""How pods reach the API server."""
SYSTEM = {"activator": "knative-serving", "broker-ingress": "knative-eventing"}


@pytest.fixture(scope="module")
def stage(cluster: Cluster) -> Cluster:
    """A warm variant, and one that takes four seconds to start."""
    steady = dummy("steady", scale=WARM, DUMMY_LATENCY_MS="50")
    set_the_stage(cluster, steady, dummy("sleepy", DUMMY_COLD_START_MS="4000"))
    return cluster


def kubectl(*args: str) -> subprocess.CompletedProcess[str]:
    """kubectl without a namespace of ours."""
    return subprocess.run(["kubectl", *args], capture_output=True, text=True, check=False)


def kill(component: str) -> None:
    """Delete the pods of a part of Knative at once. Skips where one may not."""
    namespace = SYSTEM[component]
    if kubectl("auth", "can-i", "delete", "pods", "-n", namespace).returncode:
        pytest.skip(f"this user may not delete pods in {namespace}")
    label = f"app.kubernetes.io/component={component}"
    deleted = kubectl("-n", namespace, "delete", "pods", "-l", label, "--grace-period=0", "--force")
    assert " deleted" in deleted.stdout, deleted.stderr


def wait_available(component: str) -> None:
    """Until that part of Knative is there again."""
    label = f"app.kubernetes.io/component={component}"
    done = kubectl("-n", SYSTEM[component], "wait", "deploy", "-l", label, "--for=condition=Available", "--timeout=90s")
    assert done.returncode == 0, done.stderr


def test_the_activator_is_deleted_while_requests_wait_for_a_start(stage: Cluster) -> None:
    """Events are held for a variant that is starting when the activator goes, and with it the way to the selector."""
    with Stream(stage, "sleepy", per_second=6) as stream:
        time.sleep(2.5)
        kill("activator")
        time.sleep(5)
    wait_available("activator")
    account = stream.account("the activator deleted")
    assert account.accepted == account.sent >= 30
    assert account.lost == 0


def test_the_broker_ingress_is_restarted_mid_stream(stage: Cluster) -> None:
    """The producer repeats what was not accepted; what was accepted is answered or a dead letter."""
    with Stream(stage, "steady", per_second=10) as stream:
        time.sleep(3)
        kill("broker-ingress")
        time.sleep(7)
    wait_available("broker-ingress")
    account = stream.account("the Broker ingress deleted")
    assert account.accepted == account.sent >= 80
    assert account.refused > 0
    assert account.lost == 0


@pytest.mark.skipif(not TOOL, reason="WARMFRONT_TEST_CLUSTER names no program that can stop this cluster's API server")
def test_twenty_seconds_without_an_api_server(stage: Cluster) -> None:
    """HTTP and events are answered all the time, from the last known state; then new variants are known.

    One is made as soon as the API server is back. Pods reach it by its Service, which kube-proxy restores later.
    """
    selector = stage.inside("selector")
    with Stream(stage, "steady", per_second=4) as stream, Callers(f"{selector}/tasks/steady", 2) as callers:
        time.sleep(1)
        subprocess.run([TOOL, "stop", "kube-apiserver"], check=True, capture_output=True)
        time.sleep(DOWN_S)
        said, answered = watching(stage), dict(callers.statuses)
        subprocess.run([TOOL, "start", "kube-apiserver"], check=True, capture_output=True)
        until("the API server", lambda: kubectl("get", "--raw", "/readyz").returncode == 0)
    create(stage, "early")
    until("the API server's Service", lambda: kubectl(f"--server={AS_PODS}", "get", "--raw", "/readyz").returncode == 0)
    early_s, late_s = known_after(stage, "early"), (create(stage, "late"), known_after(stage, "late"))[1]
    account = stream.account(f"no API server for {DOWN_S} s")
    print(f"callers: {answered} while it was down; known after {early_s:.2f} s (made before), {late_s:.2f} s (after)")
    assert said.startswith("connection lost")
    assert said.endswith("last known state is used")
    assert set(callers.statuses) == {200}
    assert answered[200] > DOWN_S
    assert account.accepted == account.sent >= 4 * DOWN_S * 0.9
    assert (account.refused, account.letters, account.lost) == (0, 0, 0)
    assert early_s < RECONNECT_S
    assert late_s < 2
    stage.wait_ready("ksvc/early", "ksvc/late", timeout_s=240)
    until("Knative to have caught up", lambda: answers(f"{selector}/tasks/late"), 180)


def answers(url: str) -> bool:
    """Whether it answers, soon; else what came instead is printed, to be shown when that lasts."""
    try:
        reply = ask(url, b"x", timeout_s=5)
    except OSError as error:
        print(error)
        return False
    if reply.status != 200:
        print(reply)
    return reply.status == 200


def watching(stage: Cluster) -> str:
    """How the selector says that its watch of Services stands."""
    said: str = json.loads(ask(f"{stage.inside('selector')}/readyz").body)["catalogue"]["services"]
    return said


def create(stage: Cluster, name: str) -> None:
    """Create a variant with kn, which is done when the API server has taken it.

    It is always awake and reached without the activator: those who start pods take long to find the API server again.
    """
    command = ["kn", "service", "create", name, "-n", stage.namespace, "--image", IMAGES.format("dummy-model-fn")]
    command += ["--label", f"warmfront.dev/task={name}", "--security-context", "strict", "--no-wait"]
    command += ["--scale", "1", "--annotation-revision", "autoscaling.knative.dev/target-burst-capacity=0"]
    until("kn", lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0)


def known_after(stage: Cluster, name: str) -> float:
    """Seconds until the selector tells of it."""
    began = time.monotonic()
    until("the new variant", lambda: ask(f"{stage.inside('selector')}/tasks/{name}").status == 200, 30)
    return time.monotonic() - began
