"""Images of 2 by 3 pixels in every spelling: always the same six floats."""

from typing import Any

import pytest

from warmfront.errors import InvalidRequest
from warmfront.function.images import Image
from warmfront.function.inputs import Tensor

IMAGE = Image(2, 3)
LEVELS = [0, 51, 102, 153, 204, 255]
PIXELS = pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


def test_body_of_bytes() -> None:
    """One byte per pixel, whatever the content type, unless that is JSON."""
    for content_type in ("application/octet-stream", "", "application/x-www-form-urlencoded"):
        assert IMAGE.of_body(bytes(LEVELS), content_type).tolist() == PIXELS


@pytest.mark.parametrize("levels", [LEVELS, [LEVELS[:3], LEVELS[3:]]], ids=["flat", "rows"])
def test_body_of_json(levels: list[Any]) -> None:
    """The member `image`, flat or by rows; other members do no harm."""
    body = f'{{"image": {levels}, "name": "x"}}'.encode()
    assert IMAGE.of_body(body, "application/json").tolist() == PIXELS


@pytest.mark.parametrize("shape", [[2, 6], [2, 2, 3]], ids=str)
@pytest.mark.parametrize(("datatype", "white"), [("UINT8", 255), ("FP32", 1)])
def test_tensor(shape: list[int], datatype: str, white: int) -> None:
    """UINT8 goes to 255 and FP32 to 1; two images come out of a tensor of two."""
    first, second = IMAGE.of_tensor(Tensor("image", shape, datatype, [0] * 6 + [white] * 6))
    assert (first.tolist(), second.tolist()) == ([0.0] * 6, [1.0] * 6)


def test_json_instance() -> None:
    """Floats from 0 to 1, as the signature of the TensorFlow model has them."""
    assert IMAGE.of_json([[0, 0.2, 0.4], [0.6, 0.8, 1]]).tolist() == PIXELS


def test_single_precision() -> None:
    """The pixels are what numpy takes without a copy: four bytes each."""
    assert memoryview(IMAGE.of_body(bytes(LEVELS), "")).nbytes == 24


BODIES = [
    (b"12345", "", "has 5 bytes; send 6"),
    (b"", "", "has 0 bytes"),
    (b"[1]", "application/json", "no image"),
    (b'{"image": 5}', "application/json", "no image"),
    (b'{"image": [1, 2]}', "application/json", "has 2 pixels; send 6"),
    (b'{"image": [1, 2, 3, 4, 5, 256]}', "application/json", "pixel of 256; here they go from 0 to 255"),
    (b'{"image": [1, 2, 3, 4, 5, -1]}', "application/json", "pixel of -1"),
    (b'{"image": [1, 2, 3, 4, 5, "6"]}', "application/json", "numbers only"),
    (b'{"image": [1, 2, 3, 4, 5, true]}', "application/json", "numbers only"),
    (b'{"image": [1, 2, 3, 4, 5, NaN]}', "application/json", "no image"),
    (b'{"image": [' + b"[" * 5000 + b"]" * 5001 + b"}", "application/json", "image"),
]


@pytest.mark.parametrize(("body", "content_type", "said"), BODIES, ids=[row[2] for row in BODIES])
def test_bad_body(body: bytes, content_type: str, said: str) -> None:
    """What was found and what is wanted."""
    with pytest.raises(InvalidRequest, match=said):
        IMAGE.of_body(body, content_type)


TENSORS = [
    (Tensor("image", [1, 6], "BYTES", ["x"]), "datatype 'BYTES'; this model takes UINT8"),
    (Tensor("image", [1, 7], "FP32", [0] * 7), r"shape \[1, 7\]; this model takes \[n, 6\] or \[n, 2, 3\]"),
    (Tensor("image", [6], "FP32", [0] * 6), r"shape \[6\]"),
    (Tensor("image", [], "FP32", []), r"shape \[\]"),
    (Tensor("image", [0, 6], "FP32", []), r"shape \[0, 6\]"),
    (Tensor("image", [2, 6], "FP32", [0] * 6), "and 6 elements; they must agree"),
    (Tensor("image", [1, 6], "FP32", [255] * 6), "pixel of 255; here they go from 0 to 1: levels up to 255 go as"),
]


@pytest.mark.parametrize(("tensor", "said"), TENSORS, ids=[row[1] for row in TENSORS])
def test_bad_tensor(tensor: Tensor, said: str) -> None:
    """Each fault names what was found and what the model takes."""
    with pytest.raises(InvalidRequest, match=said):
        IMAGE.of_tensor(tensor)


def test_bad_instance() -> None:
    """An instance that is no list says so."""
    with pytest.raises(InvalidRequest, match="found str as an image; send 6 numbers from 0 to 1"):
        IMAGE.of_json("x")
