"""A SavedModel as TensorFlow Serving sees it: a version, signatures with named tensors, calls with arrays.

What lives here: loading, calling, the rules on what a call must bring. What must not: protocols.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from warmfront.errors import InvalidRequest, NotFound, SetupError

DEFAULT = "serving_default"


class Servable:
    """The newest version below `folder`, loaded. `signatures` maps a name to its SignatureDef."""

    def __init__(self, folder: Path) -> None:
        versions = [int(entry.name) for entry in folder.glob("*") if entry.name.isdigit()] if folder.is_dir() else []
        if not versions:
            raise SetupError(f"{folder} holds no version of a SavedModel; wanted {folder}/1/saved_model.pb")
        self.version = max(versions)
        place = folder / str(self.version)
        self._loaded = tf.saved_model.load(str(place))
        content = SavedModel.FromString((place / "saved_model.pb").read_bytes())
        self.signatures = {
            name: signature
            for name, signature in content.meta_graphs[0].signature_def.items()
            if name in self._loaded.signatures
        }

    def signature(self, name: str):
        """The SignatureDef of a name, the default one of an empty name; InvalidRequest if there is none."""
        found = self.signatures.get(name or DEFAULT)
        if found is None:
            raise InvalidRequest(
                f'Serving signature name: "{name or DEFAULT}" not found in signature def; '
                f"there are {', '.join(sorted(self.signatures))}"
            )
        return found

    def check_version(self, version: int | None, name: str) -> None:
        """NotFound unless it is the one that is served."""
        if version is not None and version != self.version:
            raise NotFound(f"Servable not found for request: Specific({name}, {version})")

    def call(self, signature: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by name.

        Raises:
            InvalidRequest: an input is missing, unknown, of another type or shape, or the graph cannot take its value.
        """
        wanted = self.signature(signature).inputs
        if arrays.keys() != wanted.keys():
            raise InvalidRequest(
                f"input size does not match signature: {len(arrays)}!={len(wanted)}. "
                f"Sent extra: {sorted(arrays.keys() - wanted.keys())}. "
                f"Missing but required: {sorted(wanted.keys() - arrays.keys())}."
            )
        for name, array in arrays.items():
            _check(name, array, wanted[name])
        tensors = {name: tf.constant(array, tf.dtypes.as_dtype(wanted[name].dtype)) for name, array in arrays.items()}
        try:
            outputs = self._loaded.signatures[signature or DEFAULT](**tensors)
        except tf.errors.InvalidArgumentError as error:
            raise InvalidRequest(error.message) from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}


def dtype_of(info) -> np.dtype:
    """What an array for a tensor of a signature must be; strings are objects."""
    return np.dtype(tf.dtypes.as_dtype(info.dtype).as_numpy_dtype)


def _check(name: str, array: np.ndarray, info) -> None:
    if array.dtype != dtype_of(info) and not (dtype_of(info).kind == "O" and array.dtype.kind in "SO"):
        raise InvalidRequest(f"input {name!r} is {array.dtype}; the signature wants {dtype_of(info)}")
    shape = tf.TensorShape(info.tensor_shape)
    if not shape.is_compatible_with(array.shape):
        raise InvalidRequest(f"input {name!r} has shape {list(array.shape)}; the signature wants {shape}")
