"""Tensor specifications as text, and which shapes are an example of them."""

import pytest

from warmfront.errors import SetupError
from warmfront.function.imported.signature import DATATYPES, Signature, TensorSpec


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("shape", [(), (-1,), (-1, 28, 28), (1, 4), (3,)])
def test_the_text_of_a_tensor_reads_back(datatype, shape):
    """What `import` writes into main.py is what start-up compares the model with."""
    spec = TensorSpec("x", datatype, shape)
    assert TensorSpec.parse("x", str(spec)) == spec


@pytest.mark.parametrize("text", ["", "FP32", "FP33 [-1]", "FP32 [a]", "FP32 [-1", "fp32 [-1]"])
def test_another_text_is_refused_with_the_rule(text):
    """A hand edit of main.py that cannot be meant."""
    with pytest.raises(SetupError, match="wanted a datatype and a shape such as 'FP32 \\[-1, 4\\]'"):
        TensorSpec.parse("x", text)


@pytest.mark.parametrize(
    ("shape", "rows", "row", "size"),
    [
        ((-1, 4), True, (4,), 4),
        ((1, 28, 28), True, (28, 28), 784),
        ((-1,), True, (), 1),
        ((-1, -1), True, (-1,), None),
        ((3,), False, (3,), 3),
        ((), False, (), 1),
        ((2, 4), False, (2, 4), 8),
    ],
)
def test_a_first_dimension_of_any_or_one_counts_rows(shape, rows, row, size):
    """The rest is the shape of an example."""
    spec = TensorSpec("x", "FP32", shape)
    assert (spec.counts_rows, spec.row, spec.row_size) == (rows, row, size)


def test_rows_are_counted_when_every_input_does():
    """One input without rows makes the whole a single example; a length of one means one at a time."""
    any_, one, none = (TensorSpec(name, "FP32", shape) for name, shape in (("a", (-1, 2)), ("b", (1, 2)), ("c", (2,))))
    assert Signature(inputs=(any_, one), outputs=()).counts_rows
    assert Signature(inputs=(any_, one), outputs=()).one_by_one
    assert not Signature(inputs=(any_,), outputs=()).one_by_one
    assert not Signature(inputs=(any_, none), outputs=()).counts_rows
