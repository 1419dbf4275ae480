"""TensorFlow Serving's gRPC: PredictionService, and of ModelService the status, by the official stubs.

What lives here: messages to arrays and back, errors to status codes. What must not: REST.
"""

import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

import examples
import grpc
import numpy as np
import replies
import tensorflow as tf
from rest import Front
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.apis.classification_pb2 import ClassificationResponse
from tensorflow_serving.apis.regression_pb2 import RegressionResponse

from warmfront.errors import InvalidRequest, SetupError, WarmfrontError

GRACE_S = 25.0
_CODES = {400: grpc.StatusCode.INVALID_ARGUMENT, 404: grpc.StatusCode.NOT_FOUND, 503: grpc.StatusCode.UNAVAILABLE}
_LOG = logging.getLogger("warmfront.tensorflow_serving")


def start(front: Front, host: str, port: int, threads: int) -> grpc.Server:
    """Listen for gRPC; SetupError when the port cannot be had."""
    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
        options=[("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Predictions(front), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(front), server)
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise SetupError(f"cannot listen on {host}:{port}: {error}; set PORT, GRPC_PORT or HOST") from error
    server.start()
    _LOG.info("%s speaks gRPC on port %d", front.service, bound)
    return server


def serve(front: Front, host: str, port: int, threads: int) -> None:
    """Speak gRPC until SIGTERM or SIGINT, then finish what is in flight."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = start(front, host, port, threads)
    ended.wait()
    front.draining = True
    server.stop(GRACE_S).wait()


def _answered(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
    """A method of one message; errors on purpose become status codes, the reply tells how long the model took."""

    @wraps(method)
    def call(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            reply, told = self.front.model.timed(lambda: method(self, request))
        except WarmfrontError as error:
            context.abort(_CODES.get(error.status, grpc.StatusCode.UNKNOWN), str(error))
        context.set_trailing_metadata([(key.decode(), value.decode()) for key, value in told])
        return reply

    return call


class _Spoken:
    """What both services need: the model, and the check that a request means it."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.servable = front.servable

    def check(self, spec: Any) -> None:
        """NotFound unless the model that is asked for is served here."""
        if not spec.name:
            raise InvalidRequest("Missing ModelSpec")
        version = spec.version.value if spec.HasField("version") else None
        self.front.check(spec.name, version, spec.version_label)

    def name(self, spec: Any, asked: Any) -> None:
        """Say in a reply which model answered."""
        spec.name = asked.name
        spec.version.value = self.servable.version
        spec.signature_name = asked.signature_name or "serving_default"


class _Predictions(_Spoken, prediction_service_pb2_grpc.PredictionServiceServicer):
    """`tensorflow.serving.PredictionService`; MultiInference stays unimplemented."""

    @_answered
    def Predict(self, request):  # noqa: N802 - the service's names
        self.check(request.model_spec)
        arrays = {name: _array(name, tensor) for name, tensor in request.inputs.items()}
        outputs = self.servable.call(request.model_spec.signature_name, arrays)
        wanted = set(request.output_filter) or set(outputs)
        if unknown := sorted(wanted - set(outputs)):
            raise InvalidRequest(f"output tensor alias not found in signature: {', '.join(unknown)}")
        reply = predict_pb2.PredictResponse()
        self.name(reply.model_spec, request.model_spec)
        for name in wanted:
            reply.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return reply

    @_answered
    def Classify(self, request):  # noqa: N802
        self.check(request.model_spec)
        found = examples.classify(self.servable, request.model_spec.signature_name, examples.of_message(request.input))
        reply = ClassificationResponse()
        self.name(reply.model_spec, request.model_spec)
        for classes in found:
            one = reply.result.classifications.add()
            for label, score in classes:
                one.classes.add(label=label, score=score)
        return reply

    @_answered
    def Regress(self, request):  # noqa: N802
        self.check(request.model_spec)
        found = examples.regress(self.servable, request.model_spec.signature_name, examples.of_message(request.input))
        reply = RegressionResponse()
        self.name(reply.model_spec, request.model_spec)
        for value in found:
            reply.result.regressions.add(value=value)
        return reply

    @_answered
    def GetModelMetadata(self, request):  # noqa: N802
        self.check(request.model_spec)
        if list(request.metadata_field) != [replies.SIGNATURES]:
            raise InvalidRequest(
                f"Metadata field {list(request.metadata_field)} is not supported; ask for signature_def"
            )
        return replies.metadata(self.servable, request.model_spec.name)


class _Models(_Spoken, model_service_pb2_grpc.ModelServiceServicer):
    """`tensorflow.serving.ModelService`; a reload stays unimplemented: a new model is a new revision."""

    @_answered
    def GetModelStatus(self, request):  # noqa: N802
        self.check(request.model_spec)
        return replies.status(self.servable, ready=self.front.model.ready)


def _array(name: str, tensor: Any) -> np.ndarray:
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"input {name!r} is no tensor: {error}") from error
