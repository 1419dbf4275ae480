"""ONNX models by ONNX Runtime, on the CPU. Lists of maps (ZipMap) come out as a tensor, a column per key."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from warmfront.errors import InvalidRequest, SetupError
from warmfront.function.imported.signature import Signature, TensorSpec
from warmfront.function.imported.tensors import DATATYPE, Tensor

_NAMES = {"float": "FP32", "double": "FP64", "float16": "FP16", "string": "BYTES"}
_MAPS = re.compile(r"seq\(map\(\w+,tensor\(float\)\)\)")


class OnnxModel:
    """One session, which is safe to use from many threads."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.signature = Signature(
            inputs=tuple(_spec(node) for node in session.get_inputs()),
            outputs=tuple(_spec(node) for node in session.get_outputs()),
        )

    def run(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every output; raises InvalidRequest for bytes that are no text, which ONNX Runtime would spell out."""
        for name, tensor in tensors.items():
            if tensor.dtype == object and any(isinstance(value, bytes) for value in tensor.flat):
                raise InvalidRequest(f"input {name!r} has bytes that are not UTF-8; an ONNX model takes text")
        results = self._session.run(None, dict(tensors))
        return {spec.name: _tensor(result) for spec, result in zip(self.signature.outputs, results, strict=True)}


def load(path: Path) -> OnnxModel:
    """A session that does not spin while it waits: cores are shared."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return OnnxModel(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))


def _spec(node: Any) -> TensorSpec:
    if _MAPS.fullmatch(node.type):
        return TensorSpec(node.name, "FP32", (-1, -1))
    found = re.fullmatch(r"tensor\((\w+)\)", node.type)
    datatype = (_NAMES.get(found[1]) or DATATYPE.get(found[1])) if found else None
    if datatype is None:
        raise SetupError(f"{node.name!r} is of type {node.type}, which is not served; convert it to a plain tensor")
    shape = tuple(length if isinstance(length, int) else -1 for length in node.shape)
    return TensorSpec(node.name, datatype, shape)


def _tensor(result: Any) -> Tensor:
    if isinstance(result, list):  # one map per row
        return np.array([list(row.values()) for row in result], dtype=np.float32)
    return np.asarray(result)
