"""The YAML and images of a laptop on a real Knative: the same selector routes over HTTP, inside and from outside."""

import json

import pytest

from .conftest import Cluster, Reply, ask, project, until

pytestmark = pytest.mark.cluster

VARIANTS = ("langid-cld2", "langid-fasttext")


@pytest.fixture(scope="module")
def selector(cluster: Cluster) -> str:
    """The selector's address within the cluster, with two variants behind it."""
    cluster.apply(project(*VARIANTS))
    cluster.wait_ready(*(f"ksvc/{name}" for name in ("selector", *VARIANTS)))
    return cluster.inside("selector")


def test_raw_request_is_answered_by_a_sleeping_variant(selector: str) -> None:
    """A text posted to the selector wakes a variant, is answered with the right language, and says that it waited."""
    reply = ask(f"{selector}/tasks/langid", "Wo ist der nächste Bahnhof, bitte?".encode())
    assert (reply.status, json.loads(reply.body)["label"]) == (200, "de")
    assert reply.headers["warmfront-variant"] in VARIANTS
    assert reply.headers["warmfront-cold-start"] == "true"


def test_warmth_is_known_from_the_watches(selector: str) -> None:
    """Soon after an answer the catalogue reports a ready replica, read from the cluster's own objects."""
    first = ask(f"{selector}/tasks/langid", b"Where is the station?", {"Warmfront-Deadline-Ms": "20000"})
    assert first.headers["warmfront-variant"] in VARIANTS

    def warm() -> Reply | None:
        reply = ask(f"{selector}/tasks/langid", b"Where is the station?", {"Warmfront-Deadline-Ms": "1000"})
        assert json.loads(reply.body)["label"] == "en"
        return reply if reply.headers["warmfront-cold-start"] == "false" else None

    assert float(until("a warm answer", warm, 20).headers["warmfront-predicted-ms"]) < 1000


@pytest.mark.usefixtures("selector")
def test_direct_http_through_the_ingress(cluster: Cluster) -> None:
    """The same request answered at the selector's public address, and in Open Inference too."""
    address = cluster.outside("selector")
    assert "svc.cluster.local" not in address
    reply = ask(f"{address}/tasks/langid", "Où est la gare, s'il vous plaît ?".encode())
    assert (reply.status, json.loads(reply.body)["label"]) == (200, "fr")
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Dove si trova la stazione, per favore?"]}
    body = json.dumps({"inputs": [tensor]}).encode()
    reply = ask(f"{address}/v2/models/langid/infer", body, {"Content-Type": "application/json"})
    assert (reply.status, json.loads(reply.body)["outputs"][0]["data"]) == (200, ["it"])
