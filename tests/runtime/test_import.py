"""`warmfront import`, then `up`: model files that nobody tuned for, asked through the selector; and broken ones."""

import json
import shutil
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import yaml
from tests.runtime.terminal import ROOT, Up, eventually, run_in, start, stop
from tests.unit.function.imported.models import Models, make

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Estimators trained now, and their files."""
    return make(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def up(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A project of the selector and five imported variants, running. Of `broken`, one model was cut off afterwards."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "selector_fn", root / "selector_fn")
    (root / "knative").mkdir()
    shutil.copy(ROOT / "knative" / "base" / "selector.yaml", root / "knative")
    (root / "labels.txt").write_text("left\nright\nboth\n")
    for arguments in (
        ["iris.onnx", "--task", "iris"],
        ["diabetes.joblib", "--task", "diabetes", "--trust"],
        ["sentiment.joblib", "--task", "sentiment", "--trust"],
        ["dense.tflite", "--task", "lever", "--labels", "labels.txt"],
        ["iris_maps.onnx", "--task", "broken", "--name", "whole"],
        ["iris.onnx", "--task", "broken", "--name", "cut"],
    ):
        done = run_in(root, "import", str(models.folder / arguments[0]), *arguments[1:])
        assert done.returncode == 0, done.stderr
    cut = root / "functions" / "cut" / "iris.onnx"
    cut.write_bytes(cut.read_bytes()[:1000])
    better = yaml.safe_load((root / "knative" / "cut.yaml").read_text())
    better["metadata"]["annotations"]["warmfront.dev/profile"] = '{"accuracy": 0.99}'  # so that it is tried first
    (root / "knative" / "cut.yaml").write_text(yaml.safe_dump(better))
    running = start(root)
    try:
        yield running
    finally:
        assert stop(running) == 0


def port_of(up: Up) -> int:
    """The ingress port."""
    return int(up.printed().partition("ingress   http://NAME.NAMESPACE.localhost:")[2].split()[0])


def ask(up: Up, path: str, value: Any) -> tuple[int, dict[str, str], Any]:
    """POST JSON to the selector."""
    port = port_of(up)
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, json.dumps(value).encode(), {**JSON, "Host": f"selector.default.localhost:{port}"})
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, {name.lower(): text for name, text in reply.getheaders()}, json.loads(body)


def test_an_onnx_classifier_gives_its_own_answer(up: Up, models: Models) -> None:
    """Through the selector: raw JSON, Open Inference, rows of TensorFlow Serving and KServe v1, all alike."""
    rows = models.flowers[[10, 77, 120]]
    labels, shares = models.iris.predict(rows).tolist(), models.iris.predict_proba(rows)
    status, headers, answer = ask(up, "/tasks/iris", rows[1].tolist())
    assert (status, answer["label"], headers["warmfront-variant"]) == (200, labels[1], "iris-onnx")
    assert answer["score"] == pytest.approx(shares[1].max(), abs=1e-6)
    tensor = {"name": "X", "shape": [3, 4], "datatype": "FP32", "data": rows.ravel().tolist()}
    status, _, reply = ask(up, "/v2/models/iris/infer", {"id": "a", "inputs": [tensor]})
    outputs = {output["name"]: output["data"] for output in reply["outputs"]}
    assert (status, reply["id"], outputs["label"]) == (200, "a", labels)
    assert np.allclose(np.reshape(outputs["probabilities"], (3, 3)), shares, atol=1e-6)
    status, _, reply = ask(up, "/v1/models/iris:predict", {"instances": rows.tolist()})
    assert (status, [row["label"] for row in reply["predictions"]]) == (200, labels)


def test_tritons_client_asks_an_imported_model(up: Up, models: Models) -> None:
    """The official client of Open Inference, through the selector, with binary tensors, as it sends them by itself."""
    rows = models.flowers[[10, 77, 120]].astype(np.float32)
    host = f"selector.default.localhost:{port_of(up)}"
    with triton.InferenceServerClient(f"127.0.0.1:{port_of(up)}") as client:
        tensor = triton.InferInput("X", rows.shape, "FP32")
        tensor.set_data_from_numpy(rows)
        reply = client.infer("iris", [tensor], headers={"Host": host})
    assert reply.as_numpy("label").tolist() == models.iris.predict(rows).tolist()
    assert np.allclose(reply.as_numpy("probabilities"), models.iris.predict_proba(rows), atol=1e-6)


def test_a_regressor_gives_its_number(up: Up, models: Models) -> None:
    """A number in a protocol's own place."""
    row = models.patients[5].tolist()
    own = models.diabetes.predict([row])[0]
    assert ask(up, "/tasks/diabetes", row)[2] == {"prediction": own}
    assert ask(up, "/v1/models/diabetes:predict", {"instances": [row]})[2] == {"predictions": [own]}


def test_infer_asks_an_imported_model(up: Up) -> None:
    """As `import` says how: a text to a model of texts, numbers as JSON; the label is what is printed first."""
    assert up.run("infer", "sentiment", "what a bad film").stdout.splitlines()[0] == "bad"
    assert up.run("infer", "lever", "[9, 0, 0, 0]").stdout.splitlines()[0] == "left"
    assert up.run("infer", "lever", "[0, 0, 9, 9]", "--event").stdout.splitlines()[0] == "both"
    wrong = up.run("infer", "lever", "[1, 2]")
    assert wrong.returncode == 1
    assert "has shape [1, 2]; the model takes FP32 [1, 4]" in wrong.stderr


def test_a_broken_model_leaves_the_others_serving(up: Up, models: Models) -> None:
    """Its start fails, the request goes to the other variant, and the Service says which file and what to do."""
    row = models.flowers[0].tolist()
    status, headers, answer = ask(up, "/tasks/broken", row)
    assert (status, answer["label"], headers["warmfront-variant"]) == (200, "setosa", "whole")
    said = "is the file whole, and made for this version? Copy or export it again"
    assert eventually(lambda: "not ready" in up.run("tasks", "broken").stdout or said in up.printed())
    assert "cut/iris.onnx: not an ONNX model that onnxruntime can read" in up.printed()
    assert eventually(lambda: 'Revision "cut-00001" failed' in up.printed())
    assert ask(up, "/tasks/broken", row)[1]["warmfront-variant"] == "whole"
    assert ask(up, "/tasks/iris", row)[0] == 200
