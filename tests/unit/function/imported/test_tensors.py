"""Values of JSON as tensors: what is taken, what keeps its value, what is refused and how."""

import numpy as np
import pytest

from warmfront.errors import InvalidRequest
from warmfront.function.imported.signature import TensorSpec
from warmfront.function.imported.tensors import example, from_bytes, rows, to_json

FLOATS = TensorSpec("x", "FP32", (-1, 4))
IMAGE = TensorSpec("x", "UINT8", (-1, 2, 2))
TEXTS = TensorSpec("x", "BYTES", (-1,))


@pytest.mark.parametrize(
    ("spec", "values", "shape", "wanted"),
    [
        (FLOATS, [[1, 2, 3, 4]], None, [[1, 2, 3, 4]]),
        (FLOATS, [1, 2, 3, 4, 5, 6, 7, 8], (2, 4), [[1, 2, 3, 4], [5, 6, 7, 8]]),
        (FLOATS, [[[1, 2], [3, 4]]], None, [[1, 2, 3, 4]]),
        (TensorSpec("x", "FP32", (-1, 1)), [5, 6], None, [[5], [6]]),
        (TensorSpec("x", "FP32", (-1,)), [[5], [6]], None, [5, 6]),
        (IMAGE, [[0, 1, 2, 255]], None, [[[0, 1], [2, 255]]]),
        (IMAGE, [[[0.0, 1.0], [2.0, 255.0]]], None, [[[0, 1], [2, 255]]]),
        (TEXTS, ["a", {"b64": "/w=="}], None, ["a", b"\xff"]),
        (TensorSpec("x", "INT64", ()), 7, None, 7),
        (TensorSpec("x", "BOOL", (-1,)), [True, False], None, [True, False]),
    ],
)
def test_values_become_rows(spec, values, shape, wanted):
    """Nested, flat with a shape, an example of another but unmistakable nesting; a number of any type that keeps it."""
    found = rows(spec, values, shape)
    assert found.tolist() == wanted
    assert (
        found.dtype
        == {"FP32": "float32", "UINT8": "uint8", "BYTES": "O", "INT64": "int64", "BOOL": "bool"}[spec.datatype]
    )


@pytest.mark.parametrize(
    ("spec", "values", "shape", "said"),
    [
        (FLOATS, [[1, 2, 3]], None, "has shape [1, 3]; the model takes FP32 [-1, 4]"),
        (FLOATS, [1, 2, 3, 4], None, "has shape [4]; the model takes FP32 [-1, 4]"),
        (FLOATS, [1, 2, 3], (1, 4), "has shape [1, 4] and 3 elements; they must agree"),
        (FLOATS, [[1, 2], [3]], None, "is ragged"),
        (FLOATS, [["a", "b", "c", "d"]], None, "holds text; wanted FP32"),
        (FLOATS, [[1, None, 3, 4]], None, "holds values such as 1; wanted FP32"),
        (IMAGE, [[0, 1, 2, 256]], None, "goes beyond 0 to 255"),
        (IMAGE, [[0, 1, 2, -1]], None, "goes beyond 0 to 255"),
        (IMAGE, [[0, 1, 2, float("nan")]], None, "goes beyond 0 to 255"),
        (IMAGE, [[0, 1, 2, 0.5]], None, "has fractions; UINT8 takes whole numbers"),
        (TensorSpec("x", "BOOL", (-1,)), [1], None, "wanted BOOL"),
        (TEXTS, [5], None, "holds int; wanted strings"),
        (TEXTS, [{"b64": "?"}], None, "is not base64"),
    ],
)
def test_what_does_not_fit_is_named(spec, values, shape, said):
    """Found and wanted, in one sentence."""
    with pytest.raises(InvalidRequest) as caught:
        rows(spec, values, shape)
    assert said in str(caught.value)


def test_an_example_may_bring_its_row():
    """`[1, 2, 3, 4]` and `[[1, 2, 3, 4]]` are the same single example; two rows are none."""
    assert example(FLOATS, [1, 2, 3, 4]).tolist() == example(FLOATS, [[1, 2, 3, 4]]).tolist() == [[1, 2, 3, 4]]
    with pytest.raises(InvalidRequest, match="the model takes FP32"):
        example(FLOATS, [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_bytes_are_little_endian_rows():
    """An example as it lies in memory; any other length is refused with the right one."""
    assert from_bytes(IMAGE, bytes([1, 2, 3, 4])).tolist() == [[[1, 2], [3, 4]]]
    assert from_bytes(FLOATS, np.arange(4, dtype="<f4").tobytes()).tolist() == [[0, 1, 2, 3]]
    with pytest.raises(InvalidRequest, match=r"has 3 bytes; input 'x' .* takes 4"):
        from_bytes(IMAGE, b"abc")
    with pytest.raises(InvalidRequest, match="send JSON"):
        from_bytes(TEXTS, b"abc")


def test_bytes_that_are_no_text_come_out_as_base64():
    """As TensorFlow Serving writes them."""
    assert to_json(np.array(["a", b"b", b"\xff"], dtype=object)) == ["a", "b", {"b64": "/w=="}]
