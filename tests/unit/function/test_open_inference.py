"""Open Inference Protocol v2 in a model function."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from warmfront.errors import InvalidRequest
from warmfront.function.open_inference import parse


def body(**changes: Any) -> dict[str, Any]:
    """A good request with changes to its tensor."""
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Guten Tag"]} | changes
    return {"id": "abc", "inputs": [tensor]}


@pytest.mark.parametrize("name", ["langid", "langid-x"])
def test_infer(client: FlaskClient, name: str) -> None:
    """Under the task's name and the service's, a label and a score come back and the id is echoed."""
    reply = client.post(f"/v2/models/{name}/infer", json=body())
    assert reply.status_code == 200
    assert reply.json == {
        "model_name": name,
        "model_version": "langid-x-00001",
        "id": "abc",
        "outputs": [
            {"name": "label", "shape": [1], "datatype": "BYTES", "data": ["de"]},
            {"name": "score", "shape": [1], "datatype": "FP64", "data": [0.75]},
        ],
    }
    assert reply.headers["Warmfront-Label"] == "de"


def test_several_texts(client: FlaskClient) -> None:
    """A tensor of several texts, nested or flat, is answered in order; no single label is claimed in a header."""
    reply = client.post("/v2/models/langid/infer", json=body(shape=[2, 1], data=[["Guten Tag"], ["Hello"]]))
    assert reply.json["outputs"][0]["data"] == ["de", "größer"]
    assert "Warmfront-Label" not in reply.headers


def test_wanted_outputs(client: FlaskClient) -> None:
    """Only the outputs asked for are sent."""
    reply = client.post("/v2/models/langid/infer", json=body() | {"outputs": [{"name": "label"}]})
    assert [output["name"] for output in reply.json["outputs"]] == ["label"]


def test_objective_is_not_the_models_business(client: FlaskClient) -> None:
    """Parameters are for the selector; without an id none is invented."""
    request = body() | {"parameters": {"deadline_ms": 300}}
    del request["id"]
    reply = client.post("/v2/models/langid/infer", json=request)
    assert reply.status_code == 200
    assert "id" not in reply.json


def test_metadata(client: FlaskClient) -> None:
    """Metadata names the tensors that infer takes and gives."""
    reply = client.get("/v2/models/langid")
    assert reply.json["name"] == "langid"
    assert reply.json["versions"] == ["langid-x-00001"]
    assert reply.json["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [output["name"] for output in reply.json["outputs"]] == ["label", "score"]


BAD: list[tuple[str, Any, str]] = [
    ("no JSON", b"{", "not an Open Inference request"),
    ("not UTF-8", b'{"inputs":"\xff"}', "not an Open Inference request"),
    ("no inputs", {"id": "1"}, "inputs"),
    ("two inputs", {"inputs": body()["inputs"] * 2}, "2 input tensors"),
    ("numbers", body(datatype="FP32", data=[1.0]), "FP32"),
    ("numbers called bytes", body(data=[1]), "found int"),
    ("nothing", body(shape=[0], data=[]), "found none"),
    ("wrong shape", body(shape=[2]), "shape [2] and 1 elements"),
    ("not a text", body(data=["x", 5], shape=[2]), "found int, str"),
    ("unknown output", body() | {"outputs": [{"name": "logits"}]}, "logits"),
    ("empty text", body(data=[""]), "empty"),
]


@pytest.mark.parametrize(("request_", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_request(client: FlaskClient, request_: Any, said: str) -> None:
    """Each fault is a 400 that says what was found and wanted."""
    content = {"data": request_} if isinstance(request_, bytes) else {"json": request_}
    reply = client.post("/v2/models/langid/infer", **content)
    assert reply.status_code == 400
    assert said in reply.json["error"]


def test_tower_of_brackets() -> None:
    """Hostile nesting is the caller's fault, not a crash."""
    data = b"[" * 100_000 + b'"x"' + b"]" * 100_000
    with pytest.raises(InvalidRequest, match="recursion"):
        parse(b'{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":%b}]}' % data)
