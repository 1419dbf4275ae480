"""LiteRT models by ai-edge-litert, through the signature that the file has, or tensor by tensor without one."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from warmfront.errors import SetupError
from warmfront.function.imported.signature import Signature, TensorSpec
from warmfront.function.imported.tensors import DATATYPE, Tensor

_PREFERRED = "serving_default"


class LiteRTModel:
    """One interpreter. It holds its tensors inside, so calls take turns."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._turn = threading.Lock()
        names = list(interpreter.get_signature_list())
        self._runner = None
        if names:
            self._runner = interpreter.get_signature_runner(_PREFERRED if _PREFERRED in names else names[0])
            inputs, outputs = self._runner.get_input_details(), self._runner.get_output_details()
        else:
            interpreter.allocate_tensors()
            inputs = {detail["name"]: detail for detail in interpreter.get_input_details()}
            outputs = {detail["name"]: detail for detail in interpreter.get_output_details()}
        self._inputs, self._outputs = inputs, outputs
        self.signature = Signature(
            inputs=tuple(_spec(*item) for item in inputs.items()),
            outputs=tuple(_spec(*item) for item in outputs.items()),
        )

    def run(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every output, copied out of the interpreter."""
        with self._turn:
            if self._runner is not None:
                return {name: np.array(output) for name, output in self._runner(**tensors).items()}
            for name, tensor in tensors.items():
                self._interpreter.resize_tensor_input(self._inputs[name]["index"], tensor.shape)
            self._interpreter.allocate_tensors()
            for name, tensor in tensors.items():
                self._interpreter.set_tensor(self._inputs[name]["index"], tensor)
            self._interpreter.invoke()
            return {name: self._interpreter.get_tensor(detail["index"]) for name, detail in self._outputs.items()}


def load(path: Path) -> LiteRTModel:
    """The file is mapped, not read."""
    return LiteRTModel(Interpreter(model_path=str(path)))


def _spec(name: str, detail: Mapping[str, Any]) -> TensorSpec:
    kind = np.dtype(detail["dtype"])
    datatype = "BYTES" if kind.kind in "SO" else DATATYPE.get(kind.name)
    if datatype is None:
        raise SetupError(f"{name!r} is of type {kind}, which is not served; convert the model with plain numbers")
    shape = detail.get("shape_signature")
    return TensorSpec(name, datatype, tuple(int(n) for n in (detail["shape"] if shape is None else shape)))
