"""gRPC of model servers: TensorFlow Serving's services and Open Inference's, their methods, frames, statuses and times.

What may live here: which method asks what and where its message names the model; how gRPC says a time, an error, a
length. What must not: HTTP/2, a generated class, reading tensors. Of a message only the model's name is replaced.
Sources: "gRPC over HTTP2"; prediction_service.proto, model_service.proto; Open Inference Protocol v2, gRPC.
"""

import zlib
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import quote_from_bytes, unquote

from warmfront.errors import BodyTooLarge, InvalidRequest
from warmfront.protocols import grpc_fields as fields
from warmfront.protocols.grpc_fields import Message
from warmfront.protocols.protocol import CLASSIFY, INFER, METADATA, REGRESS, Errors, Protocol

CONTENT_TYPE = b"application/grpc"
STATUS_FIELD, MESSAGE_FIELD = b"grpc-status", b"grpc-message"
MULTI_INFERENCE = "multi-inference"
#: Asked of a server or of a model, and answered by the selector.
LIVE, READY, SERVER, MODEL_READY, STATUS = "live", "ready", "server", "model-ready", "status"

_PREDICTION = "/tensorflow.serving.PredictionService/"
_MODEL = "/tensorflow.serving.ModelService/"
_INFERENCE = "/inference.GRPCInferenceService/"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rpc:
    """One method: its path, what it asks, the numbers of the fields that lead to the model's name in its request."""

    path: str
    protocol: str
    verb: str
    model: tuple[int, ...] = ()


_TF, _OPEN = "tensorflow-serving-grpc", "open-inference-grpc"
RPCS = tuple(
    Rpc(path=path, protocol=protocol, verb=verb, model=model)
    for path, protocol, verb, model in (
        (f"{_PREDICTION}Predict", _TF, INFER, (1, 1)),
        (f"{_PREDICTION}Classify", _TF, CLASSIFY, (1, 1)),
        (f"{_PREDICTION}Regress", _TF, REGRESS, (1, 1)),
        (f"{_PREDICTION}MultiInference", _TF, MULTI_INFERENCE, (1, 1, 1)),
        (f"{_PREDICTION}GetModelMetadata", _TF, METADATA, (1, 1)),
        (f"{_MODEL}GetModelStatus", _TF, STATUS, (1, 1)),
        (f"{_INFERENCE}ModelInfer", _OPEN, INFER, (1,)),
        (f"{_INFERENCE}ModelMetadata", _OPEN, METADATA, (1,)),
        (f"{_INFERENCE}ModelReady", _OPEN, MODEL_READY, (1,)),
        (f"{_INFERENCE}ServerLive", _OPEN, LIVE, ()),
        (f"{_INFERENCE}ServerReady", _OPEN, READY, ()),
        (f"{_INFERENCE}ServerMetadata", _OPEN, SERVER, ()),
    )
)


def _protocol(name: str, readiness: str, objective: str = "") -> Protocol:
    return Protocol(
        name=name,
        paths={rpc.verb: rpc.path for rpc in RPCS if rpc.protocol == name},
        content_type=CONTENT_TYPE.decode(),
        readiness=readiness,
        errors=Errors.STATUS,
        objective=objective,
    )


TENSORFLOW_SERVING_GRPC = _protocol(_TF, f"{_MODEL}GetModelStatus")
OPEN_INFERENCE_GRPC = _protocol(_OPEN, f"{_INFERENCE}ModelReady", "`parameters` of ModelInferRequest")
PARAMETERS = 4  # of ModelInferRequest

_BY_PATH = {rpc.path: rpc for rpc in RPCS}


def rpc_at(path: str) -> Rpc | None:
    """The method at `path`, None when there is none."""
    return _BY_PATH.get(path)


def spoken_by(protocols: tuple[str, ...]) -> bool:
    """Whether one of these is gRPC, so that the variant's port is named h2c."""
    return _TF in protocols or _OPEN in protocols


def is_path(path: str) -> bool:
    """Whether `path` is of one of the services here, be the method known or not."""
    return path.startswith((_PREDICTION, _MODEL, _INFERENCE))


# -- names ------------------------------------------------------------------------------------------------------------


def model_name(rpc: Rpc, message: Message) -> str:
    """The model that a request names. InvalidRequest when it names none, or several."""
    names = {name for name in fields.texts(message, rpc.model) if name}
    method = rpc.path.rpartition("/")[2]
    if not names:
        raise InvalidRequest(f"{method} names no model; put the task's name there")
    if len(names) > 1:
        told = ", ".join(sorted(name.decode("utf-8", "backslashreplace") for name in names))
        raise InvalidRequest(f"{method} names several models ({told}); name one task")
    try:
        return names.pop().decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{method} names a model in something else than UTF-8") from None


def renamed(rpc: Rpc, message: Message, name: str) -> bytes:
    """The request with another model's name, framed to be sent."""
    pieces = fields.replaced(message, rpc.model, name.encode())
    return b"".join([b"\0", sum(map(len, pieces)).to_bytes(4, "big"), *pieces])


def asked(rpc: Rpc, name: str) -> bytes:
    """A request of this method that says the model's name and nothing else, framed."""
    message = name.encode()
    for number in reversed(rpc.model):
        message = fields.text_field(number, message)
    return framed(message)


# -- answers of the selector itself -----------------------------------------------------------------------------------


def truth(value: bool) -> bytes:
    """ServerLiveResponse, ServerReadyResponse, ModelReadyResponse."""
    return framed(fields.number_field(1, int(value)))


def server(*, name: str, version: str) -> bytes:
    """ServerMetadataResponse."""
    return framed(fields.text_field(1, name) + fields.text_field(2, version))


def status(*, version: int, trouble: str = "") -> bytes:
    """GetModelStatusResponse with one version, AVAILABLE (30) unless there is `trouble`: then END (50)."""
    told = fields.number_field(1, Code.UNAVAILABLE) + fields.text_field(2, trouble) if trouble else b""
    state = fields.number_field(2, 50 if trouble else 30)
    return framed(fields.text_field(1, fields.number_field(1, version) + state + fields.text_field(3, told)))


# -- frames -----------------------------------------------------------------------------------------------------------


def framed(message: bytes) -> bytes:
    """Length-Prefixed-Message, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def unframed(body: bytes, encoding: bytes, limit: int) -> Message:
    """The one message of a unary call. `encoding` is that of the grpc-encoding header; `limit` in bytes.

    Raises InvalidRequest for anything but one whole message, BodyTooLarge for one that unpacks to more than `limit`.
    """
    if len(body) < 5:
        raise InvalidRequest(f"a gRPC call of {len(body)} bytes; it begins with five bytes of flag and length")
    length = int.from_bytes(body[1:5], "big")
    if len(body) != 5 + length:
        raise InvalidRequest(f"a gRPC message of {length} bytes in {len(body) - 5}; a unary call sends exactly one")
    message = memoryview(body)[5:]
    if not body[0]:
        return message
    if encoding not in (b"gzip", b"deflate"):
        raise InvalidRequest(f"grpc-encoding is {encoding.decode('latin-1')!r}; wanted identity, gzip or deflate")
    unpacker = zlib.decompressobj(31 if encoding == b"gzip" else 15)
    try:
        unpacked = unpacker.decompress(message, limit + 1)
    except zlib.error as error:
        raise InvalidRequest(f"the message is not {encoding.decode()}: {error}") from None
    if len(unpacked) <= limit and not unpacker.eof:
        raise InvalidRequest(f"the message is not {encoding.decode()}: it ends too early")
    if len(unpacked) > limit:
        raise BodyTooLarge(f"message above {limit} bytes once unpacked; send less")
    return unpacked


# -- times and statuses -----------------------------------------------------------------------------------------------

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


def timeout_s(value: bytes) -> float:
    """The grpc-timeout header in seconds. InvalidRequest when it breaks its rule."""
    digits, unit = value[:-1], _UNITS.get(value[-1:])
    if unit is None or not digits.isdigit() or len(digits) > 8:
        told = value[:20].decode("latin-1")
        raise InvalidRequest(f"grpc-timeout is {told!r}; it must be at most 8 digits and one of H M S m u n")
    return int(digits) * unit


class Code(IntEnum):
    """Statuses of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


#: What an HTTP status is in gRPC: of the selector's own errors, and of proxies that answer a call without grpc-status.
BY_HTTP = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    408: Code.DEADLINE_EXCEEDED,
    413: Code.RESOURCE_EXHAUSTED,
    415: Code.UNIMPLEMENTED,
    422: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    431: Code.RESOURCE_EXHAUSTED,
    500: Code.INTERNAL,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
#: What a variant's status is in HTTP. Below 500 and not 429 it is about the request, and goes to the client as it is.
TO_HTTP = {
    Code.OK: 200,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    **dict.fromkeys((Code.CANCELLED, Code.UNKNOWN, Code.ABORTED, Code.INTERNAL, Code.DATA_LOSS), 500),
}


def code_of(value: bytes | None, http: int) -> Code:
    """The status of a reply: its grpc-status, and where there is none what its HTTP status means."""
    if value is None:
        return BY_HTTP.get(http, Code.UNKNOWN)
    try:
        return Code(int(value))
    except ValueError:
        return Code.UNKNOWN


def encoded(text: str) -> bytes:
    """A message for the grpc-message header."""
    return quote_from_bytes(text.encode("utf-8", "backslashreplace"), " !\"#$&'()*+,/:;<=>?@[\\]^`{|}").encode()


def decoded(value: bytes) -> str:
    """What a grpc-message header says."""
    return unquote(value.decode("latin-1"), errors="replace")
