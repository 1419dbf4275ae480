"""Laws of the conversions: what goes there comes back, for tensors of any shape and kind."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warmfront.protocols import values
from warmfront.protocols.bodies import Asked
from warmfront.protocols.reach import CONVERSIONS

KINDS = {
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FP32": st.floats(allow_nan=False, allow_infinity=False),
    "BYTES": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "BOOL": st.booleans(),
}


@st.composite
def tensors(draw: st.DrawFn, *, rows: int | None = None) -> dict[str, Any]:
    """A tensor as Open Inference tells it, not empty; `rows` is its first dimension."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    shape = draw(st.lists(st.integers(1, 3), min_size=0 if rows is None else 1, max_size=3))
    if rows is not None:
        shape[0] = rows
    size = math.prod(shape)
    data = draw(st.lists(KINDS[kind], min_size=size, max_size=size))
    return {"name": draw(st.text("xyz", min_size=1, max_size=3)), "shape": shape, "datatype": kind, "data": data}


def there(client: str, variant: str, document: object) -> Any:
    """The document as the variant gets it."""
    body, _ = CONVERSIONS[client, variant].convert(Asked([], json.dumps(document).encode(), "v"))
    return json.loads(body)


def distinct(inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Inputs have names of their own."""
    return list({one["name"]: one for one in inputs}.values())


@given(st.lists(tensors(), min_size=1, max_size=3).map(distinct))
def test_tensors_survive_columns(inputs: list[dict[str, Any]]) -> None:
    """Open Inference to TensorFlow Serving's columns and back gives the same names, shapes, kinds and values."""
    columns = there("open-inference", "tensorflow-serving", {"inputs": inputs})
    assert there("tensorflow-serving", "open-inference", columns) == {"inputs": inputs}


@given(st.integers(1, 3).flatmap(lambda n: st.lists(tensors(rows=n), min_size=1, max_size=3)).map(distinct))
def test_tensors_survive_rows(inputs: list[dict[str, Any]]) -> None:
    """So do tensors with one first dimension by KServe's rows."""
    rows = there("open-inference", "kserve-v1", {"inputs": inputs})
    assert len(rows["instances"]) == inputs[0]["shape"][0]
    assert there("kserve-v1", "open-inference", rows) == {"inputs": inputs}


@given(st.lists(tensors(), min_size=1, max_size=3).map(distinct))
def test_replies_survive(outputs: list[dict[str, Any]]) -> None:
    """A reply by name goes to a TensorFlow Serving client as what, asked for as tensors, is the same reply again."""
    asked = Asked([], b'{"inputs": {"x": [1]}}', "v")
    _, to_columns = CONVERSIONS["tensorflow-serving", "open-inference"].convert(asked)
    tensor = {"name": "x", "shape": [1], "datatype": "INT64", "data": [1]}
    named = {"inputs": [tensor], "outputs": [{"name": one["name"]} for one in outputs]}
    _, to_tensors = CONVERSIONS["open-inference", "tensorflow-serving"].convert(
        Asked([], json.dumps(named).encode(), "v")
    )
    assert to_columns is not None
    assert to_tensors is not None
    columns = to_columns([], json.dumps({"outputs": outputs}).encode())[1]
    assert json.loads(to_tensors([], columns)[1]) == {"model_name": "v", "outputs": outputs}


@given(st.lists(st.integers(1, 3), max_size=4))
def test_nesting_and_flattening_are_inverse(shape: list[int]) -> None:
    """Row-major, whatever the shape."""
    elements = list(range(math.prod(shape)))
    assert values.flat(values.nested(elements, shape)) == elements
