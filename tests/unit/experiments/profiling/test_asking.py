"""How an input travels in each protocol, and how a label is read from a reply."""

import msgspec
import pytest

from warmfront.cloudevents import decode
from warmfront.domain import Variant
from warmfront.errors import SetupError
from warmfront.experiments.profiling.asking import complaint, label_of, question, told_s
from warmfront.wire.messages import Response

TEXT = "text/plain; charset=utf-8"


def variant(*protocols: str) -> Variant:
    return Variant(name="v", task="t", revision="v-00001", url="http://v.local", protocols=protocols)


def test_raw_before_everything():
    """The body is the input."""
    assert question(variant("cloudevents", "raw"), b"hallo", TEXT) == (
        "/",
        [(b"content-type", TEXT.encode())],
        b"hallo",
    )


def test_as_an_event():
    """Subject is the task, data the input."""
    path, headers, body = question(variant("cloudevents"), b"hallo", TEXT)
    event = decode(headers, body)
    assert (path, event.subject, event.type) == ("/", "t", "dev.warmfront.inference.request")
    assert (event.data, event.datacontenttype) == (b"hallo", TEXT)


def test_as_open_inference():
    """A text is one BYTES element; bytes are UINT8."""
    path, _, body = question(variant("open-inference", "kserve-v1"), "Grüße".encode(), TEXT)
    assert path == "/v2/models/v/infer"
    assert msgspec.json.decode(body)["inputs"] == [
        {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Grüße"]}
    ]
    _, _, body = question(variant("open-inference"), b"\x00\xff", "application/octet-stream")
    (tensor,) = msgspec.json.decode(body)["inputs"]
    assert (tensor["datatype"], tensor["shape"], tensor["data"]) == ("UINT8", [1, 2], [0, 255])


def test_as_rows():
    """A request of the protocol goes as it is; anything else becomes its one row."""
    own = b'{"instances": [{"image": [0, 1]}], "signature_name": "serving_default"}'
    assert question(variant("tensorflow-serving"), own, "application/json") == (
        "/v1/models/v:predict", [(b"content-type", b"application/json")], own,
    )  # fmt: skip
    assert question(variant("kserve-v1"), b"hallo", TEXT)[2] == b'{"instances":["hallo"]}'
    assert question(variant("sagemaker"), b"hallo", TEXT) == (
        "/invocations",
        [(b"content-type", TEXT.encode())],
        b"hallo",
    )


@pytest.mark.parametrize("protocol", ["tensorflow-serving", "kserve-v1"])
def test_bytes_have_no_place_in_rows(protocol):
    """Levels, shares or base64: a guess would measure the accuracy of another question."""
    with pytest.raises(SetupError, match=f"input of 2 bytes and no way to say it in {protocol}; wanted its own"):
        question(variant(protocol), b"\x00\xff", "application/octet-stream")


def test_nobody_speaks_it():
    """What it speaks and what is spoken here."""
    with pytest.raises(SetupError, match="v speaks open-inference-grpc; profile asks in raw, cloudevents, sagemaker"):
        question(variant("open-inference-grpc"), b"", TEXT)


@pytest.mark.parametrize(
    ("headers", "body", "label"),
    [
        ([(b"warmfront-label", b"gr%C3%BCn")], b"{}", "grün"),
        ([], b'{"label": "de", "score": 1}', "de"),
        ([], b'{"label": 7}', "7"),
        ([], b'"de"', "de"),
        ([], b'{"outputs": [{"name": "score", "data": [1]}, {"name": "label", "data": ["de"]}]}', "de"),
        ([], b'{"predictions": [[0.1, 0.7, 0.2]]}', "1"),
        ([], b'{"predictions": ["de"]}', "de"),
        ([], b'{"predictions": [{"label": "de", "score": 0.5}]}', "de"),
        ([], b'{"outputs": [[0.1, 0.2, 0.7]]}', "2"),
        ([], b'{"outputs": [{"name": "probabilities", "data": [0.9, 0.1]}]}', "0"),
        ([], b'{"predictions": []}', None),
        ([], b'{"answer": 1}', None),
        ([], b"not JSON", None),
        ([], b"[1, 2]", None),
    ],
)
def test_labels(headers, body, label):
    """By header, by JSON, by tensor; None when it does not say."""
    assert label_of(Response(status=200, headers=headers, body=body)) == label


def test_what_it_tells_of_itself():
    """Milliseconds to seconds; nonsense is nothing."""
    reply = Response(status=200, headers=[(b"warmfront-load-ms", b"1500.0"), (b"warmfront-uptime-ms", b"soon")])
    assert told_s(reply, "load") == 1.5
    assert told_s(reply, "uptime") is None
    assert told_s(reply, "execution") is None


def test_complaints():
    """Our errors, problem details, and plain text."""
    assert complaint(Response(status=503, body=b'{"error": "not loaded yet"}')) == "503: not loaded yet"
    assert complaint(Response(status=404, body=b'{"detail": "no task"}')) == "404: no task"
    assert complaint(Response(status=502, body=b"bad\ngateway")) == "502: bad gateway"
