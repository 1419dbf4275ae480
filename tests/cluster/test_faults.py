"""What breaks within the project's own namespace: no event that was accepted is lost, and who can answer does."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import Cluster, Object, Reply, ask, until
from .scenery import WARM, dummy, measured, set_the_stage
from .streams import Callers, Stream

pytestmark = pytest.mark.cluster

PATIENCE_S = 20
"""How long the first request may take that meets a variant which never starts: five seconds and another's start."""


def missing_image() -> Object:
    """A variant whose image nobody has."""
    obj = dummy("missing-image-bad", "missing-image")
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = "dev.local/none:v1"
    return obj


def never_ready() -> Object:
    """A variant whose readiness is asked for where there is nothing."""
    obj = dummy("never-ready-bad", "never-ready")
    container = obj["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"path": "/nothing-here"}}
    return obj


def crash_loop() -> Object:
    """A variant whose process ends at once, for a setting is misspelt."""
    return dummy("crash-loop-bad", "crash-loop", DUMMY_NONSENSE="1")


BROKEN = {"missing-image": missing_image, "never-ready": never_ready, "crash-loop": crash_loop}


def better(obj: Object) -> Object:
    """Say that it is quick to start and nearly always right, so that it is asked first."""
    profile = '{"accuracy": 0.99, "cold_start_s": {"p50": 0.1, "p95": 0.2}, "latency_s": {"p50": 0.001, "p95": 0.002}}'
    obj["metadata"]["annotations"]["warmfront.dev/profile"] = profile
    return obj


@pytest.fixture(scope="module")
def stage(cluster: Cluster) -> Cluster:
    """A warm variant; two slow ones of one task, the better one warm; and of each kind that never starts one."""
    set_the_stage(
        cluster,
        dummy("steady", scale=WARM, DUMMY_LATENCY_MS="50"),
        better(dummy("fragile-a", "fragile", WARM, DUMMY_LATENCY_MS="3000")),
        dummy("fragile-b", "fragile", DUMMY_LATENCY_MS="500"),
        *(better(broken()) for broken in BROKEN.values()),
        *(dummy(f"{task}-good", task) for task in BROKEN),
    )
    return cluster


def kill(cluster: Cluster, service: str) -> None:
    """Delete a Service's pods at once, without a chance to finish anything."""
    pods = f"serving.knative.dev/service={service}"
    cluster.kubectl("delete", "pods", "-l", pods, "--grace-period=0", "--force")


def test_a_variants_pods_are_deleted_mid_request(stage: Cluster) -> None:
    """Twelve events and six callers wait for a slow variant when its pods go: all are answered, by another try."""
    url = f"{stage.inside('selector')}/tasks/fragile"
    before = measured(stage, "warmfront_retries_total", variant="fragile-a")
    with ThreadPoolExecutor(6) as callers:
        with Stream(stage, "fragile", per_second=12) as stream:
            asked = [callers.submit(ask, url, b"%d" % n) for n in range(6)]
            time.sleep(1.2)
            kill(stage, "fragile-a")
        statuses = [one.result().status for one in asked]
    account = stream.account("a variant's pods deleted")
    retries = measured(stage, "warmfront_retries_total", variant="fragile-a") - before
    print(f"callers: {statuses}, retries {retries:.0f}")
    assert retries >= 1
    assert statuses == [200] * 6
    assert account.accepted == account.sent >= 10
    assert account.lost == 0


def test_the_selectors_pod_is_deleted_mid_stream(stage: Cluster) -> None:
    """Ten events a second while the only selector is killed: the Broker's retries reach its successor."""
    with Stream(stage, "steady", per_second=10) as stream:
        time.sleep(3)
        kill(stage, "selector")
        time.sleep(7)
    account = stream.account("the selector's pod deleted")
    assert account.accepted == account.sent >= 80
    assert account.lost == 0


@pytest.mark.parametrize("task", BROKEN)
def test_a_variant_that_never_starts_is_avoided(stage: Cluster, task: str) -> None:
    """It promises more than its neighbour, so the first request goes to it, and is not left there; then events flow."""
    url = f"{stage.inside('selector')}/tasks/{task}"
    began = time.monotonic()
    first = ask(url, b"first")
    took_s = time.monotonic() - began
    with Stream(stage, task, per_second=4) as stream:
        time.sleep(10)
    account = stream.account(f"{task}: first answer after {took_s:.1f} s")
    assert (first.status, first.headers.get("warmfront-variant")) == (200, f"{task}-good"), first
    assert measured(stage, "warmfront_retries_total", variant=f"{task}-bad") >= 1
    assert took_s < PATIENCE_S
    assert account.accepted == account.sent >= 30
    assert (account.letters, account.lost) == (0, 0)
    assert account.refused == 0


def test_what_never_started_is_tried_again_when_it_is_mended(stage: Cluster) -> None:
    """A revision with an image that exists takes over, and its promise is believed again."""
    mended = better(dummy("missing-image-bad", "missing-image"))
    stage.apply([mended])
    url = f"{stage.inside('selector')}/tasks/missing-image"

    def answered() -> Reply | None:
        reply = ask(url, b"x")
        return reply if reply.headers["warmfront-variant"] == "missing-image-bad" else None

    reply = until("an answer by the mended variant", answered, 60)
    assert reply.status == 200


def test_callers_notice_nothing_of_all_this(stage: Cluster) -> None:
    """After all that the selector answers as before."""
    with Callers(f"{stage.inside('selector')}/tasks/steady", 2) as callers:
        time.sleep(2)
    assert set(callers.statuses) == {200}
