"""KServe v1 and TensorFlow Serving's REST in a model function."""

from array import array
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from warmfront.errors import SetupError
from warmfront.function import ModelFunction, Prediction
from warmfront.function.images import Image

PREDICT = "/v1/models/langid:predict"
GERMAN = {"label": "de", "score": 0.75}


@pytest.mark.parametrize("name", ["langid", "langid-x", "langid/versions/1"])
@pytest.mark.parametrize(
    "row", ["Guten Tag", {"text": "Guten Tag"}, {"b64": "R3V0ZW4gVGFn"}], ids=["bare", "named", "b64"]
)
def test_rows(client: FlaskClient, name: str, row: Any) -> None:
    """An instance is bare or goes by the input's name; the model answers to the task's name and the service's, and
    to a version, of which it has one.
    """
    reply = client.post(f"/v1/models/{name}:predict", json={"instances": [row]})
    assert (reply.status_code, reply.json) == (200, {"predictions": [GERMAN]})
    assert reply.headers["Warmfront-Label"] == "de"


@pytest.mark.parametrize("inputs", [["Guten Tag", "Hello"], {"text": ["Guten Tag", "Hello"]}], ids=["bare", "named"])
def test_columns(client: FlaskClient, inputs: Any) -> None:
    """`inputs` is answered by `outputs`, in order."""
    reply = client.post(PREDICT, json={"inputs": inputs, "signature_name": "serving_default"})
    assert reply.json == {"outputs": [GERMAN, {"label": "größer", "score": 0.75}]}


def digits() -> ModelFunction[Any]:
    """A model of images of 1 by 2 pixels with probabilities: the pixels themselves."""

    def predict(pixels: "array[float]") -> Prediction:
        return Prediction("0" if pixels[0] > pixels[1] else "1", max(pixels), pixels)

    model: ModelFunction[Any] = ModelFunction("digits", lambda: predict, accept=Image(1, 2))
    model.load()
    return model


def test_probabilities() -> None:
    """A model that has probabilities answers them as TensorFlow Serving does; other protocols get label and score."""
    model = digits()
    reply = model.answer("POST", "/v1/models/digits:predict", [], b'{"instances": [[0.25, 0.75], {"image": [1, 0]}]}')
    assert reply.body == b'{"predictions":[[0.25,0.75],[1.0,0.0]]}'
    reply = model.answer("POST", "/", [], b"\x00\xff")
    assert reply.body == b'{"label":"1","score":1.0}'


def test_the_most_probable_label() -> None:
    """Of equal ones the first; rounding above 1 is cut off."""
    assert Prediction.of("abc", [0.2, 0.4, 0.4])[:2] == ("b", 0.4)
    assert Prediction.of("ab", [0.0, 1.0000001])[:2] == ("b", 1.0)


def test_a_loader_that_fails() -> None:
    """Whatever it raises becomes one line for the operator, memory that is not there included."""

    def load() -> None:
        raise MemoryError("2 GB")

    with pytest.raises(SetupError, match="the model of digits cannot be loaded: MemoryError: 2 GB; the log above has"):
        ModelFunction("digits", load, accept=Image(1, 2), environment={}).load()  # type: ignore[arg-type]


def test_open_inference_metadata_names_the_image() -> None:
    """Clients learn the tensor of a model of images."""
    reply = digits().answer("GET", "/v2/models/digits", [], b"")
    assert b'"inputs":[{"name":"image","datatype":"FP32","shape":[-1,2]}]' in reply.body


def test_status(client: FlaskClient) -> None:
    """One answer is KServe's `ready` and TensorFlow Serving's `AVAILABLE`."""
    reply = client.get("/v1/models/langid")
    assert reply.status_code == 200
    assert reply.json["ready"] is True
    (version,) = reply.json["model_version_status"]
    assert version["state"] == "AVAILABLE"
    assert version["status"] == {"error_code": "OK", "error_message": ""}


def test_status_while_ending() -> None:
    """A replica that ends is no longer available."""
    model = digits()
    model.draining = True
    reply = model.answer("GET", "/v1/models/digits", [], b"")
    assert reply.status == 503
    assert b'"UNLOADING"' in reply.body


BAD: list[tuple[str, Any, str]] = [
    ("no JSON", b"{", "not a predict request"),
    ("not UTF-8", b'{"instances":["\xff"]}', "not a predict request"),
    ("neither format", {}, "either `instances`"),
    ("both formats", {"instances": ["x"], "inputs": ["x"]}, "either `instances`"),
    ("none", {"instances": []}, "found no inputs"),
    ("one column that is no list", {"inputs": {"text": "x"}}, "found no inputs"),
    ("another input", {"instances": [{"words": "x"}]}, "found inputs called words; this model has one, 'text'"),
    ("two inputs", {"inputs": {"text": ["x"], "words": ["y"]}}, "text, words"),
    ("another signature", {"instances": ["x"], "signature_name": "classify"}, "only serving_default"),
    ("a number", {"instances": [5]}, "found int"),
    ("empty text", {"instances": [""]}, "empty"),
]


@pytest.mark.parametrize(("request_", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_request(client: FlaskClient, request_: Any, said: str) -> None:
    """Each fault is a 400 that says what was found and wanted, spelt as TensorFlow Serving spells errors."""
    content = {"data": request_} if isinstance(request_, bytes) else {"json": request_}
    reply = client.post(PREDICT, **content)
    assert reply.status_code == 400
    assert list(reply.json) == ["error"]
    assert said in reply.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("post", "/v1/models/other:predict", 404),
        ("post", "/v1/models/langid:explain", 404),
        ("post", "/v1/models/langid/labels/best:predict", 404),
        ("get", "/v1/models/langid/metadata", 404),
        ("get", PREDICT, 405),
        ("post", "/v1/models/langid", 405),
    ],
)
def test_other_routes(client: FlaskClient, method: str, path: str, status: int) -> None:
    """What a function does not serve it refuses."""
    call: Callable[[str], Any] = getattr(client, method)
    assert call(path).status_code == status
