"""From a model's outputs to an answer: a label with its score where the model classifies, else the numbers themselves.

What lives here: which output says what, and labels from a file. What must not: protocols, any runtime.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from warmfront.errors import SetupError
from warmfront.function.imported.signature import Signature, TensorSpec
from warmfront.function.imported.tensors import Tensor, to_json
from warmfront.function.model import Prediction

_LABEL_NAMES = frozenset({"label", "labels", "output_label", "class", "classes", "class_id", "class_ids"})


class Answer(Prediction):
    """What the model says of one example. Without a label the outputs are the answer, by name."""

    outputs: Mapping[str, Any]

    def json(self) -> bytes:
        """Label and score, or else the outputs by name."""
        return super().json() if self.label else msgspec.json.encode(self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read answers: the output that is the label, the one that holds a score per label, the labels' names."""

    label: str = ""
    scores: str = ""
    labels: tuple[str, ...] = ()

    @property
    def classifies(self) -> bool:
        """Whether answers have a label."""
        return bool(self.label or (self.scores and self.labels))

    def answers(self, outputs: Mapping[str, Tensor], count: int) -> list[Answer]:
        """One answer per example, of `count` that were asked about. An output without rows is part of each."""
        return [
            self._answer(
                {name: tensor[i] if tensor.shape[:1] == (count,) else tensor for name, tensor in outputs.items()}
            )
            for i in range(count)
        ]

    def _answer(self, row: Mapping[str, Tensor]) -> Answer:
        scores = _shares(row[self.scores], len(self.labels)) if self.scores else None
        if self.label:
            best = 1.0 if scores is None else min(float(scores.max()), 1.0)  # floats add up to a little more
            answer = Answer(self._named(np.ravel(row[self.label])[0]), best)
        elif scores is not None:
            largest = int(scores.argmax())
            answer = Answer(self.labels[largest], min(float(scores[largest]), 1.0))
        else:
            answer = Answer("", 0.0)
        answer.outputs = {name: to_json(np.asarray(value)) for name, value in row.items()}
        return answer

    def _named(self, value: Any) -> str:
        if self.labels:
            index = int(value)
            return self.labels[index] if 0 <= index < len(self.labels) else str(index)
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def reading_of(signature: Signature, labels: tuple[str, ...] = ()) -> Reading:
    """How the outputs are to be read, by their names, datatypes and shapes, and by how many labels there are.

    Raises:
        SetupError: there are labels, and no output that they could name.
    """
    label = next((spec.name for spec in signature.outputs if _is_label(spec)), "")
    if label and labels and next(spec for spec in signature.outputs if spec.name == label).datatype == "BYTES":
        raise SetupError(f"output {label!r} says labels itself; {len(labels)} more are not wanted: leave them out")
    wanted = (-1, len(labels), 1 if len(labels) == 2 else -1)
    for spec in signature.outputs:
        scores = spec.datatype.startswith("FP") and len(spec.shape) == 2
        if scores and ((labels and spec.shape[1] in wanted) or (label and not labels)):
            return Reading(label=label, scores=spec.name, labels=labels)
    if labels and not label:
        found = ", ".join(f"{spec.name} {spec}" for spec in signature.outputs)
        raise SetupError(
            f"{len(labels)} labels, and no output has a score for each: found {found}; wanted FP32 "
            f"[-1, {len(labels)}]. Give one label a line, in the order of the scores"
        )
    return Reading(label=label, labels=labels)


def read_labels(file: Path) -> tuple[str, ...]:
    """The labels in a file, one a line, in the order of the model's scores.

    Raises:
        SetupError: missing, not UTF-8, empty, with an empty line or one label twice.
    """
    try:
        lines = file.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except FileNotFoundError:
        raise SetupError(f"{file}: no such file; wanted one label a line, in the order of the model's scores") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file}: cannot be read ({error}); wanted UTF-8, one label a line") from error
    labels = tuple(line.strip() for line in lines)
    if "" in labels:
        raise SetupError(f"{file}: line {labels.index('') + 1} is empty; wanted one label a line")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise SetupError(f"{file}: label {twice!r} is there twice; wanted each once")
    return labels


def _is_label(spec: TensorSpec) -> bool:
    column = len(spec.shape) == 1 or (len(spec.shape) == 2 and spec.shape[1] == 1)
    whole = "INT" in spec.datatype and spec.name.lower() in _LABEL_NAMES
    return column and (spec.datatype == "BYTES" or whole)


def _shares(scores: Tensor, count: int) -> Tensor:
    """Scores as shares of 1: as they are when they are that, else by softmax; one of two by itself or by sigmoid."""
    row = np.ravel(scores).astype(np.float64)
    if row.size == 1 and count == 2:
        p = float(row[0]) if 0 <= row[0] <= 1 else float(1 / (1 + np.exp(-row[0])))
        return np.array([1 - p, p])
    if row.size != count and count:
        raise SetupError(f"the model gave {row.size} scores; wanted {count}, one per label")
    if row.min() >= 0 and abs(row.sum() - 1) < 0.01:
        return row
    powers = np.exp(row - row.max())
    return np.asarray(powers / powers.sum())
