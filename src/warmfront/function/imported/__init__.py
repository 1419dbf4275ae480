"""Serves a model file as it is: ONNX, LiteRT, scikit-learn or SavedModel, by whichever runtime it needs.

`warmfront import` writes a `main.py` of one call; it states what the model takes and gives, and a model file that has
become another one is refused at start. What must not live here: how a function folder is written.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from warmfront.errors import SetupError
from warmfront.function.imported.kinds import Runner, open_model
from warmfront.function.imported.signature import Signature
from warmfront.function.model import FlaskReply, FlaskRequest, as_function

if TYPE_CHECKING:
    from warmfront.function.imported.answers import Reading

__all__ = ["imported_function"]


def imported_function(
    task: str,
    kind: str,
    model: Path,
    *,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    labels: Path | None = None,
) -> Callable[[FlaskRequest], FlaskReply]:
    """A function of the http signature that serves the model file `model`; loading happens here and now.

    `kind` is one of `onnx`, `litert`, `sklearn`, `tensorflow`. `inputs` and `outputs` give each tensor's datatype and
    shape, such as `{"X": "FP32 [-1, 4]"}`: -1 is any length. `labels` is a file with one label a line.

    Raises:
        SetupError: the model or the labels cannot be read, or the model is another one than was imported.
    """
    from warmfront.function.imported.answers import read_labels, reading_of  # noqa: PLC0415 - numpy comes with it
    from warmfront.function.imported.service import ImportedModel  # noqa: PLC0415 - numpy comes with it

    stated = Signature.parse(inputs, outputs)

    def open_() -> "tuple[Runner, Reading]":
        names = read_labels(labels) if labels else ()
        runner = open_model(kind, model)
        if runner.signature != stated:
            raise SetupError(f"{model}: found {runner.signature}; wanted {stated}, as it was imported: import it again")
        return runner, reading_of(runner.signature, names)

    served = ImportedModel(task, open_)
    served.load()
    return as_function(served)
