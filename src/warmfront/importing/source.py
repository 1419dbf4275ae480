"""From what people give, a path or a hub's handle, to files on this machine and the kind of model that they are."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from warmfront.errors import SetupError
from warmfront.function.imported.kinds import KINDS

_SUFFIXES = {
    ".onnx": "onnx", ".tflite": "litert", ".litert": "litert",
    ".joblib": "sklearn", ".pkl": "sklearn", ".pickle": "sklearn",
}  # fmt: skip
_EXPORTS = {
    ".keras": "a Keras file; export it as a SavedModel: keras.models.load_model(file).export(folder)",
    ".h5": "a Keras file; export it as a SavedModel: keras.models.load_model(file).export(folder)",
    ".pt": "a PyTorch file; export it: torch.onnx.export(model, inputs, 'model.onnx')",
    ".pth": "a PyTorch file; export it: torch.onnx.export(model, inputs, 'model.onnx')",
    ".safetensors": "weights without a model; export the model: torch.onnx.export(model, inputs, 'model.onnx')",
}
_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TFHUB = "https://tfhub.dev/"
WANTED = "a SavedModel folder, an .onnx, .tflite, .joblib or .pkl file, tfhub:HANDLE or kaggle:HANDLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model on this machine: its file or SavedModel folder, the files that belong beside it, what a hub calls it."""

    kind: str
    path: Path
    beside: tuple[Path, ...] = ()
    called: str = ""

    @property
    def name(self) -> str:
        """What the file or folder is called in the function's folder."""
        if self.kind == "tensorflow":
            return "model"
        return self.path.name if _PLAIN.fullmatch(self.path.name) or self.beside else f"model{self.path.suffix}"


def find_source(text: str) -> Source:
    """The model that a path or a handle means; a handle is fetched, into its hub's own cache.

    Raises:
        SetupError: there is nothing, or nothing that can be served; the message says how to export what was found.
    """
    hub, colon, handle = text.partition(":")
    if colon and hub in _HUBS:
        try:
            path = Path(_HUBS[hub](handle))
        except ModuleNotFoundError as error:
            raise SetupError(f"{text}: no module {error.name!r}; install it: pip install 'warmfront[hubs]'") from error
        except Exception as error:  # a hub's client raises whatever it likes
            raise SetupError(
                f"{text}: cannot be had ({' '.join(str(error).split()) or type(error).__name__}); check the handle "
                f"and the network, or fetch it elsewhere and give the folder"
            ) from error
        words = [word for word in handle.split("/") if word and not word.isdigit()]
        return replace(_of_path(path), called=words[-1] if words else "")
    return _of_path(Path(text))


def _of_path(path: Path) -> Source:
    if not path.exists():
        raise SetupError(f"{path}: no such file or folder; wanted {WANTED}")
    if path.name in _SAVED_MODEL:
        path = path.parent
    if path.is_dir():
        return _of_folder(path)
    if path.suffix in _EXPORTS:
        raise SetupError(f"{path}: found {_EXPORTS[path.suffix]}")
    kind = _SUFFIXES.get(path.suffix) or _by_content(path)
    if path.stat().st_size == 0:
        raise SetupError(f"{path}: is empty; wanted {KINDS[kind].title}: copy or export it again")
    return Source(kind=kind, path=path, beside=_beside(path) if kind == "onnx" else ())


def _of_folder(folder: Path) -> Source:
    if any((folder / name).is_file() for name in _SAVED_MODEL):
        return Source(kind="tensorflow", path=folder)
    versions = [
        found.parent for name in _SAVED_MODEL for found in folder.glob(f"*/{name}") if found.parent.name.isdigit()
    ]
    if versions:  # as TensorFlow Serving wants them: the newest is the one with the largest number
        return Source(kind="tensorflow", path=max(versions, key=lambda version: int(version.name)))
    files = [file for file in sorted(folder.iterdir()) if file.suffix in _SUFFIXES]
    if len(files) != 1:
        found = ", ".join(file.name for file in sorted(folder.iterdir())[:8]) or "nothing"
        raise SetupError(f"{folder}: found {found}; wanted saved_model.pb, or one .onnx, .tflite, .joblib or .pkl file")
    return _of_path(files[0])


def _by_content(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:8] == b"TFL3":
        return "litert"
    if head[:1] == b"\x80":  # every pickle since protocol 2
        return "sklearn"
    raise SetupError(f"{path}: found a file of unknown kind; wanted {WANTED}")


def _beside(path: Path) -> tuple[Path, ...]:
    """Weights that an ONNX model has outside of its file, under the names that exporters give them."""
    names = (f"{path.name}.data", f"{path.name}_data", f"{path.stem}.data", f"{path.stem}.weights")
    return tuple(file for name in names if (file := path.with_name(name)).is_file())


def _tfhub(handle: str) -> str:
    import tensorflow_hub  # noqa: PLC0415 - optional, and TensorFlow comes with it

    path: str = tensorflow_hub.resolve(handle if "://" in handle else f"{_TFHUB}{handle}")
    return path


def _kaggle(handle: str) -> str:
    import kagglehub  # noqa: PLC0415 - optional

    path: str = kagglehub.model_download(handle)
    return path


_HUBS: dict[str, Callable[[str], str]] = {"tfhub": _tfhub, "kaggle": _kaggle}
