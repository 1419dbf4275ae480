"""What a body, a tensor and a JSON value mean to a model of text or of bytes."""

from typing import Any

import pytest

from warmfront.errors import InvalidRequest
from warmfront.function import Bytes, Text
from warmfront.function.inputs import Tensor


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        (b"abc", "", b"abc"),
        (b"\xff\x00", "application/octet-stream", b"\xff\x00"),
        (b'"abc"', "text/plain", b'"abc"'),
        (b'"a\\u00e9"', "application/json", "aé".encode()),
        (b"[1, 2]", "application/json", b"[1, 2]"),
        (b"{broken", "application/vnd.x+json", b"{broken"),
    ],
)
def test_bytes_are_taken_as_they_come(data: bytes, content_type: str, expected: bytes) -> None:
    """A model of bytes takes anything; only a JSON string stands for its content, as in the other protocols."""
    assert Bytes().of_body(data, content_type) == expected


@pytest.mark.parametrize(
    "content_type", ["text/plain", "text/plain; charset=UTF-8", 'TEXT/PLAIN; format=flowed; charset="utf-8"', ""]
)
def test_text_is_utf8(content_type: str) -> None:
    """UTF-8 under its usual spellings, and when nothing is said."""
    assert Text().of_body("Grüße".encode(), content_type) == "Grüße"


def test_bytes_of_a_tensor() -> None:
    """Each element is an input of its own; an empty one is bytes too."""
    assert Bytes().of_tensor(Tensor("text", [2, 1], "BYTES", [["aé"], [""]])) == ["aé".encode(), b""]


def test_base64_in_json() -> None:
    """`b64` is how TensorFlow Serving spells bytes: for a model of text they must be UTF-8."""
    assert Bytes().of_json({"b64": "/wA="}) == b"\xff\x00"
    assert Text().of_json({"b64": "R3LDvMOfZQ=="}) == "Grüße"
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        Text().of_json({"b64": "/wA="})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5, "found int as an input; this model takes a string"),
        (None, "found NoneType"),
        ({"b64": "a", "x": 1}, "found dict"),
        ({"b64": "a?"}, "not base64"),
        ({"b64": 5}, "not base64"),
    ],
)
@pytest.mark.parametrize("kind", [Text(), Bytes()], ids=["text", "bytes"])
def test_other_json(kind: Text | Bytes, value: Any, said: str) -> None:
    """What is neither a string nor bytes is told so."""
    with pytest.raises(InvalidRequest, match=said):
        kind.of_json(value)
