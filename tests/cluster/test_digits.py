"""LiteRT and ONNX variants on a real Knative: images of digits, from zero, in three protocols."""

import json
import os

import pytest

from warmfront.experiments.profiling import labelled
from warmfront.kube.files import load_manifests

from .conftest import ROOT, Cluster, Object, ask, labels, project

pytestmark = pytest.mark.cluster

#: TensorFlow's image is large (2.4 GB), so it takes part only when asked for: make test-cluster-tensorflow
TENSORFLOW = ("digits-tfserving",) if os.environ.get("WARMFRONT_TEST_TENSORFLOW") else ()
VARIANTS = ("digits-linear", "digits-litert-small", "digits-onnx-small", "digits-onnx-large", *TENSORFLOW)
OCTETS = {"Content-Type": "application/octet-stream"}
IMAGES = 20


def digits() -> list[tuple[bytes, str]]:
    """Images that no model was trained on, and what they show."""
    return [(sample.body, sample.label or "") for sample in labelled.shipped("digits").samples[:IMAGES]]


def variants() -> list[Object]:
    """Those whose images are there."""
    objects = load_manifests(ROOT / "knative/overlays/digits")
    return [
        obj
        for obj in objects
        if labels(obj).get("warmfront.dev/task") == "digits" and obj["metadata"]["name"] in VARIANTS
    ]


@pytest.fixture(scope="module")
def selector(cluster: Cluster) -> str:
    """The selector's address within the cluster, with the variants behind it."""
    cluster.apply([*project(), *variants()])
    cluster.wait_ready(*(f"ksvc/{name}" for name in ("selector", *VARIANTS)))
    return cluster.inside("selector")


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_runtime_starts_and_reads_digits(cluster: Cluster, selector: str, variant: str) -> None:
    """Asked by its own Service, from zero: of twenty images at most four are read wrongly by the weakest model."""
    assert selector
    answers = [
        (json.loads(ask(f"{cluster.inside(variant)}/", image, OCTETS).body)["label"], label)
        for image, label in digits()
    ]
    assert sum(found == label for found, label in answers) >= IMAGES - 4, answers


def test_selector_reaches_the_accurate_one_in_every_protocol(selector: str) -> None:
    """With 20 s to spare the most accurate variant answers, asleep or not, in three protocols."""
    image, label = digits()[0]
    objective = {"Warmfront-Min-Accuracy": "0.99", "Warmfront-Deadline-Ms": "20000"}
    raw = ask(f"{selector}/tasks/digits", image, OCTETS | objective)
    assert (raw.status, json.loads(raw.body)["label"]) == (200, label)
    assert raw.headers["warmfront-variant"] in ("digits-onnx-large", *TENSORFLOW)
    rows = json.dumps({"instances": [{"image": [pixel / 255 for pixel in image]}]}).encode()
    served = ask(f"{selector}/v1/models/digits:predict", rows, {"Content-Type": "application/json"} | objective)
    assert served.status == 200, served.body
    (probabilities,) = json.loads(served.body)["predictions"]
    assert probabilities.index(max(probabilities)) == int(label)
    tensor = {"name": "image", "shape": [1, 784], "datatype": "UINT8", "data": list(image)}
    body = json.dumps({"inputs": [tensor]}).encode()
    inferred = ask(f"{selector}/v2/models/digits/infer", body, {"Content-Type": "application/json"} | objective)
    assert (inferred.status, json.loads(inferred.body)["outputs"][0]["data"]) == (200, [label])
    assert inferred.headers["warmfront-cold-start"] == "false"
