"""An imported model behind its routes: raw JSON, events, Open Inference, TensorFlow Serving's rows and columns."""

import json

import numpy as np
import pytest

from warmfront.cloudevents import CloudEvent, Mode, decode, encode
from warmfront.errors import SetupError
from warmfront.function.imported import imported_function
from warmfront.function.imported.answers import reading_of
from warmfront.function.imported.kinds import open_model
from warmfront.function.imported.service import ImportedModel
from warmfront.function.imported.signature import Signature

JSON = [(b"content-type", b"application/json")]


@pytest.fixture
def serve(models):
    """The model of a file as the task `t`, by the service name `variant`."""

    def serve(kind, file, labels=()):
        runner = open_model(kind, models.folder / file)
        environment = {"K_SERVICE": "variant", "K_REVISION": "variant-00001"}
        model = ImportedModel("t", lambda: (runner, reading_of(runner.signature, labels)), environment=environment)
        model.load()
        return model

    return serve


def ask(model, path, value, headers=JSON):
    """POST a JSON value; status, headers, the JSON that came."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    reply = model.answer("POST", path, list(headers), body)
    return reply.status, dict(reply.headers), json.loads(reply.body)


@pytest.mark.parametrize(
    ("kind", "file"), [("onnx", "iris.onnx"), ("onnx", "iris_maps.onnx"), ("sklearn", "iris.joblib")]
)
def test_raw_json_is_an_example(serve, models, kind, file):
    """A classifier answers label and score, told in the header too; the input's name may be left out or be another."""
    model = serve(kind, file)
    row = models.flowers[80].tolist()
    wanted = models.iris.predict([row])[0]
    for value in (row, [row], {"X": row}, {"features": row}):
        status, headers, answer = ask(model, "/", value, headers=[])
        assert (status, answer["label"], headers[b"warmfront-label"]) == (200, wanted, wanted.encode())
        assert answer["score"] == pytest.approx(models.iris.predict_proba([row]).max(), abs=1e-6)


def test_a_regressor_answers_its_number(serve, models):
    """By the output's name, and there is no label."""
    row = models.patients[3].tolist()
    status, headers, answer = ask(serve("sklearn", "diabetes.joblib"), "/", row)
    assert (status, answer) == (200, {"prediction": models.diabetes.predict([row])[0]})
    assert b"warmfront-label" not in headers


def test_a_model_of_texts_takes_text(serve):
    """Plain, as a JSON string, and as a tensor."""
    model = serve("sklearn", "sentiment.joblib")
    assert ask(model, "/", b"a good film", [(b"content-type", b"text/plain")])[2]["label"] == "good"
    assert ask(model, "/", "a bad film")[2]["label"] == "bad"
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["good", "bad"]}
    outputs = ask(model, "/v2/models/t/infer", {"inputs": [tensor]})[2]["outputs"]
    assert outputs[0] == {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["good", "bad"]}


def test_an_event_is_answered_by_an_event(serve, models):
    """With the same data as the raw answer."""
    row = models.flowers[0].tolist()
    event = CloudEvent(
        id="1",
        source="/test",
        type="dev.warmfront.inference.request",
        datacontenttype="application/json",
        data=json.dumps(row).encode(),
    )
    headers, body = encode(event, Mode.BINARY)
    reply = serve("onnx", "iris.onnx").answer("POST", "/", headers, body)
    answer = decode(reply.headers, reply.body)
    assert (answer.type, answer.extensions["variant"]) == ("dev.warmfront.inference.response", "variant")
    assert json.loads(answer.data)["label"] == "setosa"


def test_open_inference(serve, models):
    """The model's own outputs as tensors, `id` echoed; a score beside them; outputs by wish; another datatype."""
    model = serve("onnx", "iris.onnx")
    rows = models.flowers[[0, 80, 140]]
    tensor = {"name": "X", "shape": [3, 4], "datatype": "FP64", "data": rows.ravel().tolist()}
    status, _, reply = ask(model, "/v2/models/variant/infer", {"id": "7", "inputs": [tensor]})
    assert (status, reply["model_name"], reply["model_version"], reply["id"]) == (200, "variant", "variant-00001", "7")
    label, shares, score = reply["outputs"]
    assert (label["name"], label["data"]) == ("label", models.iris.predict(rows).tolist())
    assert (shares["name"], shares["shape"], shares["datatype"]) == ("probabilities", [3, 3], "FP32")
    assert np.allclose(np.reshape(shares["data"], [3, 3]), models.iris.predict_proba(rows), atol=1e-6)
    assert (score["name"], score["data"]) == (
        "score",
        pytest.approx(models.iris.predict_proba(rows).max(axis=1), abs=1e-6),
    )
    wish = {"inputs": [tensor], "outputs": [{"name": "label"}]}
    assert [output["name"] for output in ask(model, "/v2/models/t/infer", wish)[2]["outputs"]] == ["label"]


def test_metadata_tells_the_tensors(serve):
    """Of Open Inference and of TensorFlow Serving, which may ask for a version."""
    model = serve("onnx", "iris.onnx")
    shown = json.loads(model.answer("GET", "/v2/models/t", [], b"").body)
    assert shown["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]
    assert [output["name"] for output in shown["outputs"]] == ["label", "probabilities", "score"]
    shown = json.loads(model.answer("GET", "/v1/models/t/versions/1/metadata", [], b"").body)
    signature = shown["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["X"]["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in signature["inputs"]["X"]["tensor_shape"]["dim"]] == ["-1", "4"]
    status = json.loads(model.answer("GET", "/v1/models/t", [], b"").body)
    assert (status["ready"], status["model_version_status"][0]["state"]) == (True, "AVAILABLE")


@pytest.mark.parametrize("path", ["/v1/models/t:predict", "/v1/models/variant/versions/3:predict"])
def test_rows_and_columns(serve, models, path):
    """`instances` to `predictions`, `inputs` to `outputs`; a single output goes without its name, several with."""
    rows = models.patients[:3].astype(np.float32)
    own = models.diabetes.predict(rows)
    model = serve("onnx", "diabetes.onnx")
    for instances in (rows.tolist(), [{"X": row} for row in rows.tolist()]):
        assert np.allclose(np.ravel(ask(model, path, {"instances": instances})[2]["predictions"]), own, rtol=1e-4)
    for inputs in (rows.tolist(), {"X": rows.tolist()}):
        assert np.allclose(np.ravel(ask(model, path, {"inputs": inputs})[2]["outputs"]), own, rtol=1e-4)
    (first, _) = ask(serve("onnx", "iris.onnx"), path, {"instances": models.flowers[:2].tolist()})[2]["predictions"]
    assert (first["label"], len(first["probabilities"])) == ("setosa", 3)
    columns = ask(serve("onnx", "iris.onnx"), path, {"inputs": models.flowers[:2].tolist()})[2]["outputs"]
    assert columns["label"] == ["setosa", "setosa"]


def test_a_model_of_one_row_takes_several(serve):
    """Asked row by row, answered together."""
    model = serve("litert", "dense.tflite", ("a", "b", "c"))
    rows = [[1, 2, 3, 4], [9, 0, 0, 0]]
    assert ask(model, "/v1/models/t:predict", {"instances": rows})[2] == {"predictions": [[1, 2, 7], [9, 0, 0]]}
    tensor = {"name": "features", "shape": [2, 4], "datatype": "FP32", "data": rows}
    outputs = {
        output["name"]: output["data"]
        for output in ask(model, "/v2/models/t/infer", {"inputs": [tensor]})[2]["outputs"]
    }
    assert (outputs["label"], outputs["scores"]) == (["c", "a"], [1, 2, 7, 9, 0, 0])


def test_several_inputs_by_name(serve, models):
    """A column each: as a raw example, by rows, by columns, as tensors; one missing is named."""
    model = serve("onnx", "houses.onnx")
    row = {"kind": "house", "area": 150, "floor": 0}
    price = pytest.approx(models.houses.predict(np.array([["house", 150.0, 0.0]], dtype=object))[0], rel=1e-5)
    assert ask(model, "/", row)[2] == {"variable": [price]}
    assert ask(model, "/v1/models/t:predict", {"instances": [row, row]})[2] == {"predictions": [[price], [price]]}
    columns = {name: [value] for name, value in row.items()}
    assert ask(model, "/v1/models/t:predict", {"inputs": columns})[2] == {"outputs": [[price]]}
    kinds = {"kind": "BYTES", "area": "INT64", "floor": "FP32"}
    tensors = [{"name": n, "shape": [1, 1], "datatype": kinds[n], "data": [value]} for n, value in row.items()]
    assert ask(model, "/v2/models/t/infer", {"inputs": tensors})[2]["outputs"][0]["data"] == [price]
    status, _, answer = ask(model, "/v2/models/t/infer", {"inputs": tensors[:2]})
    assert (status, "found inputs ['area', 'kind']; this model takes kind: BYTES" in answer["error"]) == (400, True)


def binary(tensors, tail):
    """A request of Open Inference's binary extension: headers and body."""
    head = json.dumps({"inputs": tensors}).encode()
    return [(b"inference-header-content-length", b"%d" % len(head))], head + tail


def test_binary_tensors(serve, models):
    """Numbers and strings behind the JSON, one after the other in the order of the inputs."""
    word = b"\x05\0\0\0house"
    tensors = [
        {"name": "floor", "shape": [1, 1], "datatype": "FP32", "parameters": {"binary_data_size": 4}},
        {"name": "area", "shape": [1, 1], "datatype": "FP64", "data": [150.0]},
        {"name": "kind", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(word)}},
    ]
    model = serve("onnx", "houses.onnx")
    headers, body = binary(tensors, bytes(4) + word)
    status, _, answer = ask(model, "/v2/models/t/infer", body, headers)
    wanted = models.houses.predict(np.array([["house", 150.0, 0.0]], dtype=object))
    assert (status, answer["outputs"][0]["data"]) == (200, [pytest.approx(wanted[0], rel=1e-5)])


def test_bytes_that_are_no_text_are_no_string_for_onnx(serve):
    """They are refused: ONNX Runtime would take their Python spelling for a text. Text in base64 is text."""
    model = serve("onnx", "houses.onnx")
    row = {"kind": {"b64": "/w=="}, "area": 150, "floor": 0}
    status, _, answer = ask(model, "/v1/models/t:predict", {"instances": [row]})
    assert (status, "has bytes that are not UTF-8" in answer["error"]) == (400, True)
    assert ask(model, "/v1/models/t:predict", {"instances": [row | {"kind": {"b64": "aG91c2U="}}]})[0] == 200


@pytest.mark.parametrize(
    ("size", "tail", "said"),
    [
        (8, bytes(16), "8 bytes follow the last input"),
        (15, bytes(15), "has 15 bytes; wanted a multiple of 4 for FP32"),
        (20, bytes(16), "its binary_data_size is 20, with 16 bytes left"),
        (None, bytes(16), "its binary_data_size is None"),
        (12, bytes(12), "has shape [1, 4] and 3 elements"),
    ],
)
def test_binary_data_that_does_not_add_up(serve, size, tail, said):
    """Found and wanted, in bytes."""
    tensor = {
        "name": "X",
        "shape": [1, 4],
        "datatype": "FP32",
        "parameters": {} if size is None else {"binary_data_size": size},
    }
    headers, body = binary([tensor], tail)
    status, _, answer = ask(serve("onnx", "iris.onnx"), "/v2/models/t/infer", body, headers)
    assert status == 400
    assert said in answer["error"]
    headers = [(b"inference-header-content-length", b"9999")]
    assert (
        "must be the length of the body's JSON part"
        in ask(serve("onnx", "iris.onnx"), "/v2/models/t/infer", body, headers)[2]["error"]
    )


def test_bytes_as_they_lie_in_memory(serve, models):
    """`application/octet-stream` is an example's own bytes."""
    row = models.flowers[0].astype("<f4")
    answer = ask(serve("onnx", "iris.onnx"), "/", row.tobytes(), [(b"content-type", b"application/octet-stream")])
    assert answer[2]["label"] == "setosa"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("/", [1, 2, 3], "input 'X' has shape [1, 3]; the model takes FP32 [-1, 4]"),
        ("/", b"5,1", "the body is not JSON"),
        ("/", {"a": [1, 2, 3, 4], "b": 1}, "found inputs ['a', 'b']; this model takes X: FP32 [-1, 4]"),
        ("/v1/models/t:predict", {}, 'wanted {"instances": [...]} or {"inputs": ...}'),
        ("/v1/models/t:predict", {"instances": [[1, 2, 3, 4]], "inputs": [[1, 2, 3, 4]]}, "and not both"),
        ("/v1/models/t:predict", {"instances": []}, "one or more examples"),
        ("/v1/models/t:predict", {"instances": [[1, 2]]}, "the model takes FP32 [-1, 4]"),
        ("/v1/models/t:predict", {"instances": [[1, 2, 3, 4]], "signature_name": "x"}, "no signature 'x' here"),
        ("/v2/models/t/infer", b"", "not an Open Inference request"),
        ("/v2/models/t/infer", {"inputs": []}, "found inputs []; this model takes X: FP32 [-1, 4]"),
        ("/v2/models/t/infer", {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "BYTES", "data": ["a"]}]},
         "has datatype 'BYTES'; wanted FP32 [-1, 4]"),
        ("/v2/models/t/infer", {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}],
                                "outputs": [{"name": "no"}]}, "outputs ['no'] do not exist"),
    ],
)  # fmt: skip
def test_what_the_model_does_not_take_is_a_400(serve, path, value, said):
    """Found and wanted in every protocol."""
    status, _, answer = ask(serve("onnx", "iris.onnx"), path, value)
    assert status == 400
    assert said in answer["error"]


def test_infinite_numbers_pass(serve):
    """NaN and Infinity in TensorFlow Serving's JSON are numbers, in and out."""
    reply = serve("onnx", "diabetes.onnx").answer(
        "POST", "/v1/models/t:predict", [], b'{"instances": [[NaN,0,0,0,0,0,0,0,0,0]]}'
    )
    assert (reply.status, reply.body) == (200, b'{"predictions": [[NaN]]}')


def test_a_model_that_became_another_one_is_refused(models, tmp_path):
    """The signature in main.py is checked at start: found, wanted, what to do."""
    file = models.folder / "iris.onnx"
    stated = {"inputs": {"X": "FP32 [-1, 5]"}, "outputs": {"label": "BYTES [-1]", "probabilities": "FP32 [-1, 3]"}}
    with pytest.raises(
        SetupError, match=r"found \(X: FP32 \[-1, 4\]\).*; wanted \(X: FP32 \[-1, 5\]\).*import it again"
    ):
        imported_function("iris", "onnx", file, **stated)
    stated["inputs"] = {"X": "FP32 [-1, 4]"}
    assert str(Signature.parse(**stated)) == str(open_model("onnx", file).signature)
    assert imported_function("iris", "onnx", file, **stated).model.ready
    with pytest.raises(SetupError, match="no such file; wanted one label a line"):
        imported_function("iris", "onnx", file, **stated, labels=tmp_path / "labels.txt")
