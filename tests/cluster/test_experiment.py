"""A scenario played on the real Knative: every request has its row, pods are followed, nothing is left behind."""

import asyncio
import subprocess
import uuid

import pytest

from warmfront.experiments.contenders import contender
from warmfront.experiments.live import cluster, fidelity
from warmfront.experiments.live.dummies import Planned
from warmfront.experiments.scenarios import load
from warmfront.gateway.app import PLATFORM_START_S

from .conftest import IMAGES, ROOT, until

pytestmark = pytest.mark.cluster

SECONDS = 40


def test_a_scenario_runs_and_its_simulation_is_near() -> None:
    """Right and on time within 10 points in 40 s of 5 requests per second: with 200 requests 2 points are one sd."""
    registry, _, image = IMAGES.rpartition("/")
    namespace = f"warmfront-exp-{uuid.uuid4().hex[:6]}"
    target = cluster.Target(namespace=namespace, registry=registry, tag=image.partition(":")[2])
    scenario = load("live-steady", overrides=[f"duration_s={SECONDS}"])
    planned = Planned(scenario=scenario, contender=contender("effective"), seed=1, root=ROOT)
    live = asyncio.run(cluster.run(planned, target, lambda _sent, _answered: None))
    assert sorted(row.request_id for row in live.requests) == sorted(case.request.id for case, _ in planned.inputs())
    assert sum(row.status in {"ok", "late"} for row in live.requests) / len(live.requests) > 0.98
    assert live.end_s >= SECONDS
    assert {one.variant for one in live.replicas} <= set(scenario.order)
    assert all(0 <= one.requested_s <= one.ready_s <= one.stopped_s <= live.end_s for one in live.replicas)
    starts = fidelity.starts(live.replicas)
    assert starts
    assert all(took > 0.4 for each in starts.values() for took in each)
    twin = fidelity.twin(planned, live, PLATFORM_START_S["cluster"])
    figures = {gap.figure: gap for gap in fidelity.gaps(live, twin)}
    assert abs(figures["right and on time"].gap) < 0.1
    until("the namespace is going or gone", lambda: _phase(namespace) in {"Terminating", ""}, 30)
    until("no pod is left in it", lambda: not _pods(namespace), 120)


def _phase(namespace: str) -> str:
    """Empty when there is none. Kubernetes may take minutes to end a namespace and the objects in it."""
    return _kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "jsonpath={.status.phase}")


def _pods(namespace: str) -> str:
    return _kubectl("-n", namespace, "get", "pods", "--ignore-not-found", "-o", "name")


def _kubectl(*args: str) -> str:
    return subprocess.run(["kubectl", *args], capture_output=True, text=True, check=True).stdout
