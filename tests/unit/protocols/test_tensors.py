"""Named tensors told in another protocol, and back: values and shapes stay, what would be lost is refused."""

import json
import struct
from typing import Any

import pytest

from warmfront.errors import Unprocessable, UpstreamFailed
from warmfront.protocols.bodies import Asked
from warmfront.protocols.reach import CONVERSIONS

JSON = (b"content-type", b"application/json")


def ask(client: str, variant: str, document: object, headers: Any = ()) -> tuple[Any, Any]:
    """The document as the variant gets it, and a function from its reply to the client's."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    converted, back = CONVERSIONS[client, variant].convert(Asked(list(headers), body, "v"))
    assert back is not None

    def reply(told: object, *fields: tuple[bytes, bytes]) -> Any:
        given, out = back(
            [*fields, JSON, (b"x-a", b"b")], told if isinstance(told, bytes) else json.dumps(told).encode()
        )
        assert given == [(b"x-a", b"b"), JSON]
        return json.loads(out)

    return json.loads(converted), reply


def test_columns_become_tensors_and_back():
    """Shapes by nesting, types by what is written; one output loses its name, as TensorFlow Serving has it."""
    document = {"inputs": {"x": [[1.5, 2], [3, 4]], "n": [1, 2], "t": ["a", {"b64": "Yg=="}], "on": [True, False]}}
    sent, reply = ask("tensorflow-serving", "open-inference", document)
    assert sent == {
        "inputs": [
            {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1.5, 2, 3, 4]},
            {"name": "n", "shape": [2], "datatype": "INT64", "data": [1, 2]},
            {"name": "t", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
            {"name": "on", "shape": [2], "datatype": "BOOL", "data": [True, False]},
        ]
    }
    one = {"name": "y", "shape": [2, 1], "datatype": "FP32", "data": [2, 2.5]}
    raw = {"name": "r_bytes", "shape": [1], "datatype": "BYTES", "data": ["hi"]}
    assert reply({"model_name": "v", "outputs": [one]}) == {"outputs": [[2.0], [2.5]]}
    assert reply({"outputs": [one, raw]}) == {"outputs": {"y": [[2.0], [2.5]], "r_bytes": [{"b64": "aGk="}]}}


def test_rows_with_names_become_tensors_and_back():
    """One element per instance in each tensor; the reply has one row per instance."""
    document = {"instances": [{"x": [1.5, 2], "n": 7}, {"x": [3, 4], "n": 8}], "signature_name": "serving_default"}
    sent, reply = ask("tensorflow-serving", "open-inference", document)
    assert sent["inputs"][0] == {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1.5, 2, 3, 4]}
    assert sent["inputs"][1] == {"name": "n", "shape": [2], "datatype": "INT64", "data": [7, 8]}
    label = {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}
    score = {"name": "score", "shape": [2], "datatype": "FP64", "data": [0.5, 1]}
    assert reply({"outputs": [label, score]}) == {
        "predictions": [{"label": "a", "score": 0.5}, {"label": "b", "score": 1.0}]
    }
    assert reply({"outputs": [label]}) == {"predictions": ["a", "b"]}
    with pytest.raises(UpstreamFailed, match=r"answered label of shape \[1\] to 2 instances"):
        reply({"outputs": [label | {"shape": [1], "data": ["a"]}]})


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"instances": [[1.0, 2.0]]}, "names its inputs"),
        ({"inputs": [1.0]}, "names its inputs"),
        ({"instances": [{"b64": "aGk="}]}, "names its inputs"),
        ({"instances": []}, "not empty"),
        ({"instances": [{"x": 1}, {"y": 1}]}, "same names"),
        ({"instances": [{"x": 1}], "inputs": {"x": [1]}}, "one of them"),
        ({"examples": [{"x": 1}]}, "one of them"),
        ({"inputs": {"x": [[1], [2, 3]]}}, "x has rows of different length"),
        ({"inputs": {"x": [[1], 2]}}, "x has rows of different length"),
        ({"inputs": {"x": []}}, "x is empty"),
        ({"inputs": {"x": [1, "a"]}}, "x holds int, str"),
        ({"inputs": {"x": [None]}}, "x holds NoneType"),
        ({"inputs": {"x": [True, 1]}}, "x holds bool, int"),
        ({"inputs": {"x": [{"b64": "/w=="}]}}, "bytes that are no text"),
        ({"inputs": {"x": [{"y": 1}]}}, "holds an object"),
        (b'{"inputs": {"x": [NaN]}}', "its numbers finite"),
        (b'{"inputs": {"x": [1e999, 1.0]}}', "its numbers finite"),
        (b'{"inputs": {"x": [1' + b"0" * 400 + b", 1.0]}}", "its numbers finite"),
        ({"inputs": {"x": [1]}, "signature_name": "other"}, "knows no signatures"),
        ({"inputs": {"x": [1]}, "context": {}}, "no place for context"),
        (b"\xff", "as JSON"),
    ],
)
def test_what_open_inference_cannot_be_told(document, told):
    """Refused with the reason, whatever it is."""
    with pytest.raises(Unprocessable, match=told):
        ask("tensorflow-serving", "open-inference", document)


def test_open_inference_becomes_columns_and_back():
    """Flat or nested data is nested by its shape; the id is echoed, the outputs asked for come back."""
    x = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3.5, 4]}
    t = {"name": "t", "shape": [1, 2], "datatype": "BYTES", "data": [["a", "b"]]}
    document = {"id": "7", "parameters": {"deadlinems": 50}, "inputs": [x, t], "outputs": [{"name": "y"}]}
    sent, reply = ask("open-inference", "tensorflow-serving", document)
    assert sent == {"inputs": {"x": [[1, 2], [3.5, 4]], "t": [["a", "b"]]}}
    y = {"name": "y", "shape": [2], "datatype": "FP32", "data": [0.5, 1.0]}
    assert reply({"outputs": [0.5, 1.0]}) == {"model_name": "v", "id": "7", "outputs": [y]}
    assert reply({"outputs": {"y": [0.5, 1.0], "z": [1]}})["outputs"] == [y]
    with pytest.raises(UpstreamFailed, match="answered z; asked for was y"):
        reply({"outputs": {"z": [1]}})
    with pytest.raises(UpstreamFailed, match="numbers finite"):
        reply(b'{"outputs": [NaN]}')
    with pytest.raises(UpstreamFailed, match="neither outputs nor predictions"):
        reply({"result": 1})


def test_open_inference_becomes_rows_and_back():
    """Every input gives each row its part; predictions with names become outputs with names."""
    x = {"name": "x", "shape": [2, 2], "datatype": "UINT8", "data": [1, 2, 3, 4]}
    sent, reply = ask("open-inference", "kserve-v1", {"inputs": [x]})
    assert sent == {"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}
    assert reply({"predictions": [{"label": "a", "score": 0.5}, {"label": "b", "score": 1.0}]})["outputs"] == [
        {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
        {"name": "score", "shape": [2], "datatype": "FP32", "data": [0.5, 1.0]},
    ]
    assert reply({"predictions": [[0.5], [1.0]]})["outputs"] == [
        {"name": "predictions", "shape": [2, 1], "datatype": "FP32", "data": [0.5, 1.0]}
    ]
    with pytest.raises(Unprocessable, match="first dimension"):
        ask("open-inference", "kserve-v1", {"inputs": [x, x | {"name": "y", "shape": [4]}]})


def test_binary_tensors_are_read():
    """The binary extension: head and tail, little-endian numbers and strings with their length."""
    numbers, strings = struct.pack("<2f", 0.5, 0.1), struct.pack("<I", 2) + b"hi"
    head = json.dumps(
        {
            "parameters": {"binary_data_output": True},
            "inputs": [
                {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
                {"name": "t", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}},
            ],
            "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
        }
    ).encode()
    headers = [(b"inference-header-content-length", str(len(head)).encode())]
    sent, _ = ask("open-inference", "tensorflow-serving", head + numbers + strings, headers)
    assert sent == {"inputs": {"x": [[0.5, struct.unpack("<f", numbers[4:])[0]]], "t": ["hi"]}}
    with pytest.raises(Unprocessable, match="x has 6 bytes, 2 elements of FP32 are 8"):
        ask("open-inference", "tensorflow-serving", head + numbers[:6], headers)
    sent, reply = ask("tensorflow-serving", "open-inference", {"inputs": {"x": [1]}})
    tail = struct.pack("<2d", 1, 2.5)
    one = {"name": "y", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": len(tail)}}
    head = json.dumps({"outputs": [one]}).encode()
    told = reply(head + tail, (b"inference-header-content-length", str(len(head)).encode()))
    assert told == {"outputs": [1.0, 2.5]}
    with pytest.raises(UpstreamFailed, match="no Open Inference response: Inference-Header-Content-Length is '99999'"):
        reply(head, (b"inference-header-content-length", b"99999"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parameters": {"sequence_id": 1}}, "parameters sequence_id have no place"),
        ({"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1]}]}, "x has 1 elements, its shape"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP8", "data": [1]}]}, "datatype FP8"),
        ({"inputs": [{"name": "x", "shape": [-1], "datatype": "FP32", "data": [1]}]}, "is unknown"),
        ({"inputs": [{"shape": [1]}]}, "missing required field"),
        ({"inputs": []}, "no inputs"),
        ({"outputs": [{"name": "y", "parameters": {"classification": 3}}]}, "output parameters classification"),
        ({"outputs": [1]}, "no Open Inference request"),
    ],
)
def test_what_cannot_be_told_of_open_inference(change, told):
    """Refused with the reason, whatever it is."""
    document = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}]} | change
    for variant in ("tensorflow-serving", "kserve-v1"):
        with pytest.raises(Unprocessable, match=told):
            ask("open-inference", variant, document)


def test_a_scalar_stays_one():
    """Shape [] both ways."""
    sent, reply = ask("tensorflow-serving", "open-inference", {"inputs": {"x": 1.5}})
    assert sent == {"inputs": [{"name": "x", "shape": [], "datatype": "FP32", "data": [1.5]}]}
    assert reply({"outputs": [{"name": "y", "shape": [], "datatype": "FP32", "data": [2.5]}]}) == {"outputs": 2.5}


def test_large_bodies_are_not_read():
    """A conversion holds everybody else up, so it has a limit, both ways."""
    with pytest.raises(Unprocessable, match="a body of 4194305 bytes is not converted"):
        ask("tensorflow-serving", "open-inference", b" " * (4 * 1024 * 1024 + 1))
    _, reply = ask("tensorflow-serving", "open-inference", {"inputs": {"x": [1]}})
    with pytest.raises(UpstreamFailed, match="is not converted"):
        reply(b" " * (4 * 1024 * 1024 + 1))
