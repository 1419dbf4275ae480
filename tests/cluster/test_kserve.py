"""The Knative Service that KServe generates, on a real Knative, seen and asked as a variant. KServe is not needed."""

import json

import pytest

from warmfront.kube.files import load_manifests

from .conftest import ROOT, Cluster, ask, project, until

pytestmark = pytest.mark.cluster


def test_a_predictor_is_routed_to(cluster: Cluster) -> None:
    """The predictor is in /tasks under its InferenceService's name, cold, and answers Open Inference when asked."""
    (predictor,) = load_manifests(ROOT / "tests/contract/golden/kserve/predictor.yaml")
    del predictor["status"]
    for field in ("ownerReferences", "annotations"):
        del predictor["metadata"][field]  # of an object that is not here, and set by Knative alone
    (container,) = predictor["spec"]["template"]["spec"]["containers"]
    # a model server that answers to the InferenceService's name, as KServe's do
    container |= {"image": "dev.local/dummy-model-fn:v1", "env": [{"name": "DUMMY_TASK", "value": "sentiment-small"}]}
    del container["args"]
    cluster.apply([*project(), predictor])
    cluster.wait_ready("ksvc/selector", "ksvc/sentiment-small-predictor")
    selector = cluster.inside("selector")
    until("the variant", lambda: ask(f"{selector}/tasks/sentiment").status == 200)
    shown = ask(f"{selector}/tasks/sentiment").body.decode()
    assert '"sentiment-small"' in shown
    assert '"cold"' in shown
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["what a day"]}
    body = json.dumps({"inputs": [tensor]}).encode()
    reply = ask(f"{selector}/v2/models/sentiment/infer", body, {"Content-Type": "application/json"})
    assert reply.status == 200
    assert json.loads(reply.body)["outputs"][0]["data"][0].startswith("class-")
    assert reply.headers["warmfront-variant"] == "sentiment-small"
