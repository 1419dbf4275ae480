"""The runtimes that imported models run on, one module each, imported only by who needs it.

Each module has `load(path)`, which returns a Runner or raises whatever its library raises; `open_model` puts that into
words. What must not live here: protocols, labels.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from warmfront.errors import SetupError
from warmfront.function.imported.memory import check_room
from warmfront.function.imported.signature import Signature

if TYPE_CHECKING:  # numpy comes with it
    from warmfront.function.imported.tensors import Tensor


class Runner(Protocol):
    """A loaded model. `run` is called in many threads at once; rows are those of the signature's first dimensions."""

    signature: Signature

    def run(self, tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
        """All outputs by name, for all inputs by name."""


class Kind(NamedTuple):
    """A kind of model file: what people call it, the packages that run it (the first is asked for by its version)."""

    title: str
    packages: tuple[str, ...]
    extra: str


_LONGEST = 500  # characters of what a runtime says
_NO_MEMORY = ("bad_alloc", "ailed to allocate", "annot allocate", "OOM when allocating")
KINDS = {
    "onnx": Kind("an ONNX model", ("onnxruntime", "numpy"), "onnx"),
    "litert": Kind("a LiteRT model", ("ai-edge-litert", "numpy"), "litert"),
    "sklearn": Kind("a scikit-learn estimator", ("scikit-learn", "joblib", "numpy"), "sklearn"),
    "tensorflow": Kind("a TensorFlow SavedModel", ("tensorflow-cpu", "numpy"), "tensorflow"),
}


def open_model(kind: str, path: Path) -> Runner:
    """Load the model at `path`.

    Raises:
        SetupError: no such file, no such kind, a package is missing, no room, the runtime cannot read it, or it takes
            or gives nothing.
    """
    if kind not in KINDS:
        raise SetupError(f"no kind {kind!r} of model; there are {', '.join(KINDS)}")
    if not path.exists():
        raise SetupError(f"{path}: no such file; the model was moved or not copied, so import it again")
    check_room(path)
    title, packages, extra = KINDS[kind]
    try:
        runner: Runner = importlib.import_module(f"{__name__}.{kind}").load(path)
    except SetupError as error:
        raise SetupError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    except ModuleNotFoundError as error:
        raise SetupError(
            f"{path}: {title} runs on {packages[0]}, and there is no module {error.name!r}; "
            f"install it: pip install 'warmfront[{extra}]'"
        ) from error
    except Exception as error:  # a runtime raises whatever it likes
        if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
            raise SetupError(
                f"{path}: not enough memory to load it; give the container more (resources.limits.memory) or take a "
                f"smaller variant"
            ) from error
        raise SetupError(
            f"{path}: not {title} that {packages[0]} can read ({_first_line(error)}); "
            f"is the file whole, and made for this version? Copy or export it again"
        ) from error
    if not runner.signature.inputs or not runner.signature.outputs:
        raise SetupError(f"{path}: found {runner.signature}; wanted an input and an output at least")
    return runner


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
