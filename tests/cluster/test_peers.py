"""Two replicas of the selector on a real Knative: they find each other, an update loses nothing, knowledge is kept."""

import json
import threading
import time
from collections import Counter
from typing import Any

import pytest

from .conftest import Cluster, ask, project, until

pytestmark = pytest.mark.cluster

TEXT = "Wo ist der nächste Bahnhof, bitte?".encode()
FAST = {"autoscaling.knative.dev/min-scale": "1"}


def selectors(round_: str):
    """The project's objects: one variant, kept warm, and two selectors that go soon after nobody wants them."""
    objects = project("langid-cld2")
    for obj in objects:
        if obj["metadata"]["name"] == "selector" and obj["kind"] == "Service":
            scale = {"autoscaling.knative.dev/min-scale": "2", "autoscaling.knative.dev/window": "6s"}
            obj["spec"]["template"]["metadata"]["annotations"] = scale | {"example.com/round": round_}
        if obj["metadata"]["name"] == "langid-cld2":
            obj["spec"]["template"]["metadata"]["annotations"].update(FAST)
    return [obj for obj in objects if obj["kind"] not in {"Broker", "Trigger"}]


@pytest.fixture(scope="module")
def deployed(cluster: Cluster) -> Cluster:
    """Both selectors and the variant, ready."""
    cluster.apply(selectors("1"))
    cluster.wait_ready("ksvc/selector", "ksvc/langid-cld2")
    until("two selectors", lambda: len(pods(cluster)) == 2)
    return cluster


def pods(cluster: Cluster, revision: str = "selector-00001") -> list[str]:
    """The addresses of the ready pods of a revision."""
    found = json.loads(cluster.kubectl("get", "pods", "-l", f"serving.knative.dev/revision={revision}", "-o", "json"))
    return [
        pod["status"]["podIP"]
        for pod in found["items"]
        if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    ]


def shown(cluster: Cluster) -> dict[str, Any]:
    """What one of the replicas, whichever is asked, shows of its peers."""
    return json.loads(ask(f"{cluster.inside('selector')}/peers").body)


def test_replicas_find_each_other(deployed: Cluster) -> None:
    """Each reaches the other at its pod's own address and has heard of it within the last two seconds."""
    addresses = {f"{address}:8080" for address in pods(deployed)}
    met: dict[str, str] = {}

    def both() -> bool:
        view = shown(deployed)
        peers = [peer for peer in view["peers"] if peer["reached_ms_ago"] is not None]
        heard = [peer for peer in view["heard"] if peer["heard_ms_ago"] < 2000]
        if len(view["peers"]) == len(peers) == len(heard) == 1:
            met[view["name"]] = peers[0]["address"]
        return len(met) == 2

    until("two replicas that know each other", both)
    assert set(met.values()) == addresses
    said = json.loads(ask(f"{deployed.inside('selector')}/readyz").body)["catalogue"]
    assert (said["peers"], said["learned"]) == ("1 of 1 reached", "configmap warmfront-learned")


def test_strangers_cannot_pose_as_peers(deployed: Cluster) -> None:
    """A report through Knative's ingress is refused; so is one sent to the pod from an address that is no replica's."""
    report = json.dumps({"peer": "stranger", "in_flight": {"langid-cld2": 1000}}).encode()
    assert ask(f"{deployed.inside('selector')}/peers", report).status == 401
    assert ask(f"http://{pods(deployed)[0]}:8080/peers", report).status == 401
    assert "stranger" not in {peer["name"] for peer in shown(deployed)["heard"]}


def test_an_update_under_a_steady_stream_loses_no_request(deployed: Cluster) -> None:
    """Forty requests a second while a new revision takes over and the old pods go: every answer is a 200. What the old
    ones learned is in the ConfigMap.
    """
    statuses: Counter[int] = Counter()
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            try:
                statuses[ask(f"{deployed.inside('selector')}/tasks/langid", TEXT).status] += 1
            except OSError:
                statuses[0] += 1
            time.sleep(0.1)

    clients = [threading.Thread(target=client) for _ in range(4)]
    for one in clients:
        one.start()
    try:
        time.sleep(2)
        deployed.apply(selectors("2"))
        until("the new revision's pods", lambda: len(pods(deployed, "selector-00002")) == 2, 120)
        until("the end of the old one's", lambda: not pods(deployed, "selector-00001"), 180)
        time.sleep(2)
    finally:
        over.set()
        for one in clients:
            one.join()
    print(dict(statuses))
    assert set(statuses) == {200}
    assert statuses[200] > 100
    data = json.loads(deployed.kubectl("get", "configmap", "warmfront-learned", "-o", "json")).get("data", {})
    assert list(json.loads(data["learned.json"])["learned"]["variants"]) == ["langid-cld2"]
