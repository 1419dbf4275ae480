"""The JSON of functions/digits_tfserving, which needs numpy and no TensorFlow: values to arrays and back."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from warmfront.errors import InvalidRequest

FILE = Path(__file__).parents[2] / "functions" / "digits_tfserving" / "json_tensors.py"
FLOAT, TEXT, WHOLE = np.dtype(np.float32), np.dtype(object), np.dtype(np.int8)


@pytest.fixture(scope="module")
def tensors() -> ModuleType:
    """The module, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("json_tensors", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_three_inputs_by_rows_and_by_columns(tensors: ModuleType) -> None:
    """The documented example of several inputs means the same in both formats."""
    dtypes = {"tag": TEXT, "signal": FLOAT, "sensor": FLOAT}
    rows = {
        "instances": [
            {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
            {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
        ]
    }
    columns = {
        "inputs": {
            "tag": ["foo", "bar"],
            "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
            "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
        }
    }
    by_rows, is_rows = tensors.arrays_of(rows, dtypes)
    by_columns, is_rows_too = tensors.arrays_of(columns, dtypes)
    assert (is_rows, is_rows_too) == (True, False)
    assert by_rows.keys() == by_columns.keys() == dtypes.keys()
    for name, array in by_rows.items():
        assert array.dtype == by_columns[name].dtype == dtypes[name]
        assert (array == by_columns[name]).all()
    assert by_rows["tag"].tolist() == [b"foo", b"bar"]
    assert by_rows["sensor"].shape == (2, 2, 2)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([{"b64": "aW1hZ2UgYnl0ZXM="}, "seaside"], TEXT, [b"image bytes", b"seaside"]),
        ([1, 2.5], FLOAT, [1.0, 2.5]),
        (7, WHOLE, 7),
        ([], FLOAT, []),
        ([True], np.dtype(bool), [True]),
    ],
)
def test_values(tensors: ModuleType, value: Any, dtype: np.dtype, expected: Any) -> None:
    """Strings, base64, numbers, a scalar, nothing at all."""
    assert tensors.array_of(value, dtype).tolist() == expected


def test_not_a_number_comes_and_goes(tensors: ModuleType) -> None:
    """The three words that JSON has not are read and written bare."""
    request = tensors.read(b'{"instances": [NaN, Infinity, -Infinity, 0.5]}')
    arrays, rows = tensors.arrays_of(request, {"x": FLOAT})
    assert tensors.render(arrays, rows=rows) == b'{"predictions":[NaN,Infinity,-Infinity,0.5]}'


def test_single_precision_has_no_noise(tensors: ModuleType) -> None:
    """A float of 0.2 is written as 0.2, whole numbers with .0, and what is read again is the same float."""
    array = np.array([0.2, 3, 1 / 3, 1e-30], np.float32)
    text = tensors.render({"y": array}, rows=False)
    assert text.startswith(b'{"outputs":[0.2,3.0,')
    assert (np.array(json.loads(text)["outputs"], np.float32) == array).all()


def test_several_outputs(tensors: ModuleType) -> None:
    """Rows are objects then, columns one object; outputs whose names end in _bytes are base64."""
    outputs = {"label": np.array([b"a", b"b"], object), "png_bytes": np.array([b"\xff", b""], object)}
    first = {"label": "a", "png_bytes": {"b64": "/w=="}}
    assert json.loads(tensors.render(outputs, rows=True))["predictions"][0] == first
    assert json.loads(tensors.render(outputs, rows=False)) == {
        "outputs": {"label": ["a", "b"], "png_bytes": [{"b64": "/w=="}, {"b64": ""}]}
    }


def test_outputs_of_different_length_are_columns_only(tensors: ModuleType) -> None:
    """There is no way to say them row by row."""
    outputs = {"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)}
    with pytest.raises(InvalidRequest, match="ask in columns, by `inputs`"):
        tensors.render(outputs, rows=True)


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        ([[1], [2, 3]], FLOAT, "unexpected size: 2 at level: 1 expected size: 1"),
        ([1, [2]], FLOAT, "unexpected level: 1 expected < 1"),
        ([[1], 2], FLOAT, "found at incorrect level: 2"),
        (["1"], FLOAT, 'JSON Value: "1" Type: String is not of expected type: float'),
        ([None], FLOAT, "Type: Null"),
        ([1.5], WHOLE, "Type: Number is not of expected type: int8"),
        ([300], WHOLE, "without loss of precision"),
        ([5], TEXT, "Type: Number"),
        ([{"b64": "?"}], TEXT, "Unable to base64 decode"),
        ([{"b65": "aa"}], TEXT, "not formatted correctly for base64 data"),
        ([1], np.dtype(np.complex64), "send it by gRPC"),
    ],
)
def test_what_is_no_tensor(tensors: ModuleType, value: Any, dtype: np.dtype, said: str) -> None:
    """The reasons are those of TensorFlow Serving."""
    with pytest.raises(InvalidRequest) as raised:
        tensors.array_of(value, dtype)
    assert said in str(raised.value)


def test_hostile_nesting(tensors: ModuleType) -> None:
    """A tower of brackets is the caller's fault, not a crash."""
    with pytest.raises(InvalidRequest, match="JSON Parse error"):
        tensors.read(b'{"instances":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
