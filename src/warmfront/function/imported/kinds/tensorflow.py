"""TensorFlow SavedModels by TensorFlow itself: seconds to start and half a gigabyte, but any model."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warmfront.errors import SetupError
from warmfront.function.imported.signature import Signature, TensorSpec
from warmfront.function.imported.tensors import DATATYPE, Tensor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when it is imported
import tensorflow as tf

_PREFERRED = "serving_default"


class SavedModel:
    """One signature of a SavedModel: `serving_default`, or the only one."""

    def __init__(self, loaded: Any, function: Any) -> None:
        self._loaded = loaded  # the function does not keep its variables alive
        self._function = function
        _, inputs = function.structured_input_signature
        self.signature = Signature(
            inputs=tuple(_spec(*item) for item in inputs.items()),
            outputs=tuple(_spec(*item) for item in function.structured_outputs.items()),
        )
        self._kinds = {name: spec.dtype for name, spec in inputs.items()}

    def run(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every output of the signature."""
        given = {name: tf.constant(tensor.tolist() if tensor.dtype == object else tensor, self._kinds[name])
                 for name, tensor in tensors.items()}  # fmt: skip
        return {name: output.numpy() for name, output in self._function(**given).items()}


def load(path: Path) -> SavedModel:
    """Raises SetupError when there is no signature to serve."""
    loaded = tf.saved_model.load(str(path))
    names = list(loaded.signatures)
    if _PREFERRED not in names and len(names) != 1:
        raise SetupError(
            f"{path}: found signatures {names}; wanted {_PREFERRED!r} or only one. Export it with "
            f"tf.saved_model.save(model, folder, signatures=function), or a Keras model with model.export(folder)"
        )
    return SavedModel(loaded, loaded.signatures[_PREFERRED if _PREFERRED in names else names[0]])


def _spec(name: str, spec: Any) -> TensorSpec:
    datatype = "BYTES" if spec.dtype == tf.string else DATATYPE.get(spec.dtype.name)
    if datatype is None or spec.shape.rank is None:
        raise SetupError(f"{name!r} is {spec}, which is not served; wanted plain numbers or strings of a known rank")
    return TensorSpec(name, datatype, tuple(-1 if n is None else int(n) for n in spec.shape))
