"""What goes into a model and what comes out: names, datatypes and shapes, as the model's own file states them.

What lives here: the records, their text form, which shapes fit. What must not: numpy, files, any runtime.
Datatypes are those of the Open Inference Protocol. A length of -1 is any length; a first dimension that is -1 or 1
counts rows, one per example.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warmfront.errors import SetupError
from warmfront.function.inputs import TensorSpec as PlainSpec
from warmfront.protocols.values import DATATYPES

_TEXT = re.compile(r"([A-Z0-9]+) \[((?:-?\d+(?:, ?)?)*)\]")


class TensorSpec(PlainSpec):
    """One input or output. `str` of it is `FP32 [-1, 4]`."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self.datatype} {list(self.shape)}"

    @classmethod
    def parse(cls, name: str, text: str) -> "TensorSpec":
        """The inverse of `str`; raises SetupError that names the rule."""
        found = _TEXT.fullmatch(text)
        if found is None or found[1] not in DATATYPES:
            raise SetupError(
                f"tensor {name!r} is {text!r}; wanted a datatype and a shape such as 'FP32 [-1, 4]', "
                f"the datatype one of {', '.join(DATATYPES)}"
            )
        return cls(name, found[1], tuple(int(part) for part in found[2].split(",") if part))

    @property
    def counts_rows(self) -> bool:
        """Whether the first dimension is the number of examples."""
        return bool(self.shape) and self.shape[0] in (-1, 1)

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.shape[1:] if self.counts_rows else self.shape

    @property
    def row_size(self) -> int | None:
        """How many elements one example has; None when a length is open."""
        return None if -1 in self.row else math.prod(self.row)

    def fits_row(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape is one example."""
        return len(shape) == len(self.row) and all(
            wanted in (-1, found) for wanted, found in zip(self.row, shape, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """All inputs and outputs of a model, in its own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @classmethod
    def parse(cls, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> "Signature":
        """From name and text form, as a function's main.py has them."""
        return cls(
            inputs=tuple(TensorSpec.parse(*item) for item in inputs.items()),
            outputs=tuple(TensorSpec.parse(*item) for item in outputs.items()),
        )

    @property
    def counts_rows(self) -> bool:
        """Whether several examples can be asked about at once: every input's first dimension counts them."""
        return all(spec.counts_rows for spec in self.inputs)

    @property
    def one_by_one(self) -> bool:
        """Whether the model takes a single row at a time, as LiteRT models mostly do."""
        return self.counts_rows and any(spec.shape[0] == 1 for spec in self.inputs)

    def __str__(self) -> str:
        return f"({_listed(self.inputs)}) -> ({_listed(self.outputs)})"


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name}: {spec}" for spec in specs)
