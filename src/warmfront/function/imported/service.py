"""An imported model behind routes: what every model function answers, with tensors, and TensorFlow Serving's paths.

What lives here: which request is read how, rows one by one for models that take no more. What must not: sockets, files,
any runtime.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np

from warmfront.cloudevents import Headers
from warmfront.errors import InvalidRequest
from warmfront.function.imported.answers import Answer, Reading
from warmfront.function.imported.binary import cut
from warmfront.function.imported.bodies import (
    SIGNATURE_NAME,
    metadata,
    parse_infer,
    parse_predict,
    render_infer,
    render_predict,
)
from warmfront.function.imported.examples import Examples, Tensors
from warmfront.function.imported.kinds import Runner
from warmfront.function.imported.signature import TensorSpec
from warmfront.function.imported.tensors import NUMPY
from warmfront.function.model import ModelFunction, Prediction
from warmfront.function.open_inference import LABEL, SCORE
from warmfront.protocols.open_inference import JSON_LENGTH
from warmfront.wire.messages import Response, first

MAX_BODY = 64 << 20
"""Largest body in bytes: an image of 224x224x3 as JSON takes 3 MB."""

_LOG = logging.getLogger(__name__)
_JSON = (b"content-type", b"application/json")
_INFER = re.compile(r"/v2/models/([^/]+)/infer")


class ImportedModel(ModelFunction[Tensors]):
    """A runner and how its outputs are read; `open_` loads both, here and now."""

    def __init__(
        self,
        name: str,
        open_: Callable[[], tuple[Runner, Reading]],
        *,
        max_body: int = MAX_BODY,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._runner, self._reading = open_()
        self._signature = self._runner.signature
        self._warm_up()
        examples = Examples(self._signature)
        super().__init__(name, lambda: self._first, accept=examples, max_body=max_body, environment=environment)

    def _warm_up(self) -> None:
        """Ask about zeros once: the first answer allocates and compiles, and a start is the time for that."""
        if any(spec.row_size is None for spec in self._signature.inputs):
            return
        shapes = {spec: ((1,) if spec.counts_rows else ()) + spec.row for spec in self._signature.inputs}
        zeros = {spec.name: np.full(shape, "" if spec.datatype == "BYTES" else 0, dtype=NUMPY[spec.datatype])
                 for spec, shape in shapes.items()}  # fmt: skip
        try:
            self._ask(zeros)
        except Exception as error:  # noqa: BLE001 - zeros need not be an input that it takes
            _LOG.info("%s took no zeros to warm up by: %s", self._signature, error)

    def _first(self, tensors: Tensors) -> Prediction:
        return self._ask(tensors)[1][0]

    def _ask(self, tensors: Tensors) -> tuple[Tensors, list[Answer]]:
        """All outputs, and the answer for each row."""
        rows = self._signature.counts_rows
        counts = {len(tensor) for tensor in tensors.values()} if rows else {1}
        if len(counts) != 1:
            raise InvalidRequest(f"the inputs have {sorted(counts)} rows; wanted the same number in each")
        (count,) = counts
        if rows and self._signature.one_by_one and count > 1:
            parts = [self._runner.run({name: tensor[i : i + 1] for name, tensor in tensors.items()})
                     for i in range(count)]  # fmt: skip
            outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        else:
            outputs = self._runner.run(tensors)
        per_row = outputs if rows else {name: tensor[np.newaxis] for name, tensor in outputs.items()}
        return outputs, self._reading.answers(per_row, count)

    def _execute(self, tensors: Tensors) -> tuple[Tensors, list[Answer], Headers]:
        """As `_ask`, with the headers that tell how long it took."""
        (outputs, answers), told = self.timed(lambda: self._ask(tensors))
        if len(answers) == 1 and answers[0].label:
            told.append((b"warmfront-label", quote(answers[0].label, safe="").encode()))
        return outputs, answers, told

    def _route(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        """Open Inference's tensors may be binary."""
        if method == "POST" and (asked := _INFER.fullmatch(path)) and first(headers, JSON_LENGTH) is not None:
            self._known(asked[1])
            return self._infer_parts(asked[1], *cut(headers, body))
        return super()._route(method, path, headers, body)

    def _model_v1(self, method: str, name: str, rest: str, body: bytes) -> Response:
        """Metadata, too, as TensorFlow Serving has it."""
        if (method, rest) == ("GET", "/metadata"):
            return _json(self._definition(name))
        return super()._model_v1(method, name, rest, body)

    def _predict_v1(self, body: bytes) -> Response:
        tensors, column = parse_predict(body, self._signature)
        outputs, answers, told = self._execute(tensors)
        reply = render_predict(outputs, len(answers), column=column)
        return Response(status=200, headers=[_JSON, *told], body=reply)

    def _definition(self, name: str) -> dict[str, Any]:
        signature = {
            "inputs": {spec.name: _tensor_info(spec) for spec in self._signature.inputs},
            "outputs": {spec.name: _tensor_info(spec) for spec in self._signature.outputs},
            "method_name": "tensorflow/serving/predict",
        }
        return {
            "model_spec": {"name": name, "signature_name": "", "version": "1"},
            "metadata": {"signature_def": {"signature_def": {SIGNATURE_NAME: signature}}},
        }

    def _infer(self, name: str, body: bytes) -> Response:
        return self._infer_parts(name, body, memoryview(b""))

    def _infer_parts(self, name: str, body: bytes, binary: memoryview) -> Response:
        request, tensors = parse_infer(body, binary, self._signature)
        outputs, answers, told = self._execute(tensors)
        for spec in self._added():
            kind = object if spec.name == LABEL else np.float64
            outputs[spec.name] = np.array([getattr(answer, spec.name) for answer in answers], dtype=kind)
        reply = render_infer(request, outputs, model=name, version=self.revision)
        return Response(status=200, headers=[_JSON, *told], body=reply)

    def _metadata(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "versions": [self.revision] if self.revision else [],
            "platform": "warmfront_function",
            "inputs": metadata(self._signature.inputs),
            "outputs": metadata([*self._signature.outputs, *self._added()]),
        }

    def _added(self) -> list[TensorSpec]:
        """A classifier's label and score, as every classifying function here has them, unless the model has its own."""
        taken = {spec.name for spec in self._signature.outputs}
        both = (
            TensorSpec(LABEL, "BYTES", (-1,)),
            TensorSpec(SCORE, "FP64", (-1,)),
        )
        return [spec for spec in both if spec.name not in taken] if self._reading.classifies else []


_DTYPES = {"BOOL": "DT_BOOL", "BYTES": "DT_STRING", "FP16": "DT_HALF", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE"}


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    shape = {"dim": [{"size": str(length), "name": ""} for length in spec.shape], "unknown_rank": False}
    return {"name": spec.name, "dtype": _DTYPES.get(spec.datatype, f"DT_{spec.datatype}"), "tensor_shape": shape}


def _json(value: dict[str, Any]) -> Response:
    return Response(status=200, headers=[_JSON], body=msgspec.json.encode(value))
