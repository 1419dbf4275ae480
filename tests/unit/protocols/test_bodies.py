"""Conversions that change no body: what they let through and what they say of the rest."""

import pytest

from warmfront.errors import Unprocessable, UpstreamFailed
from warmfront.protocols.bodies import Asked
from warmfront.protocols.cloudevents import opened
from warmfront.protocols.reach import CONVERSIONS

TENSORS = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}]}'


def convert(client: str, variant: str, body: bytes) -> bytes:
    found, back = CONVERSIONS[client, variant].convert(Asked([], body, "v"))
    assert back is None
    return found


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [1.0, NaN, -Infinity]}',
        b'{"instances": [{"b64": "aGk="}], "signature_name": "serving_default"}',
        b"not even JSON: the server says so best",
        b'{"instances": [{"b": "inputs"}], "a": "signature_name "}',
        b'{"instances": [' + b'{"x": 1}, ' * 100 + b"{}]}",
    ],
)
def test_rows_pass_untouched(body):
    """Between TensorFlow Serving and KServe v1 no byte changes, not even where no strict parser would follow."""
    assert convert("tensorflow-serving", "kserve-v1", body) == body
    assert convert("kserve-v1", "tensorflow-serving", body) == body


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"inputs": {"x": [1.0]}}', "no column format"),
        (b'{"instances": [1.0, NaN], "signature_name": "other"}', "knows no signatures"),
        (b'{"instances": [' + b'{"x": 1}, ' * 100 + b'{}], "signature_name": "other"}', "knows no signatures"),
    ],
)
def test_what_kserve_has_no_word_for(body, told):
    """Columns and signatures do not go to a server that would ignore them."""
    with pytest.raises(Unprocessable, match=told):
        convert("tensorflow-serving", "kserve-v1", body)


@pytest.mark.parametrize(
    ("variant", "body"),
    [
        ("tensorflow-serving", b'{"instances": [NaN]}'),
        ("tensorflow-serving", b'{"inputs": [1]}'),
        ("kserve-v1", b'{"instances": [1]}'),
        ("tensorflow-serving", b'{"inputs": {"name": [1]}}'),
        ("open-inference", TENSORS),
    ],
)
@pytest.mark.parametrize("client", ["raw", "cloudevents", "sagemaker"])
def test_a_body_that_is_a_request_itself(client, variant, body):
    """Raw JSON that a model server understands goes there as it is."""
    assert convert(client, variant, body) == body


@pytest.mark.parametrize("body", [b"hello", b"[1]", b'{"image": [1]}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_none(body):
    """The error says what to send."""
    with pytest.raises(Unprocessable, match=r'no request of kserve-v1; send \{"instances": \.\.\.\} as JSON'):
        convert("raw", "kserve-v1", body)


@pytest.mark.parametrize(
    ("variant", "body"),
    [
        ("tensorflow-serving", TENSORS),
        ("open-inference", b'{"inputs": {"x": [1]}}'),
        ("open-inference", b'{"inputs": [1.0]}'),
        ("open-inference", b'{"inputs": []}'),
        ("kserve-v1", b'{"instances": [1], "signature_name": "other"}'),
    ],
)
def test_a_request_of_one_is_not_taken_for_that_of_another(variant, body):
    """Both protocols say `inputs`; a tensor has a name, a shape and a datatype, a column has not."""
    with pytest.raises(Unprocessable, match="no request of"):
        convert("raw", variant, body)


def test_a_reply_event_is_opened():
    """Binary or structured, what comes out is the data; what is no event passes; a broken one is a failure."""
    binary = [(b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t"), (b"ce-specversion", b"1.0"), (b"x-a", b"b")]
    assert opened([*binary, (b"content-type", b"text/plain")], b"hi") == (
        [(b"x-a", b"b"), (b"content-type", b"text/plain")],
        b"hi",
    )
    structured = [(b"content-type", b"application/cloudevents+json")]
    body = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"hi"}'
    assert opened(structured, body) == ([(b"content-type", b"text/plain")], b"hi")
    assert opened([(b"content-type", b"text/plain")], b"hi") == ([(b"content-type", b"text/plain")], b"hi")
    with pytest.raises(UpstreamFailed, match="invalid event"):
        opened(structured, b"{}")
