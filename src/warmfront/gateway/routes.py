"""Which path leads where. What must not live here: what happens there.

Inference and health are open; everything that shows the selector's inside wants the bearer token, if one is set.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from warmfront.errors import InvalidRequest, MethodNotAllowed, NotFound
from warmfront.protocols import CLASSIFY, INFER, METADATA, REGRESS, grpc


class Action(Enum):
    """What a route does."""

    EVENT = "event"
    INFER = "infer"
    DECIDE = "decide"
    TASKS = "tasks"
    TASK = "task"
    WARM_SET = "warm-set"
    WARM = "warm"
    RELEASE = "release"
    SERVER = "server"
    MODELS = "models"
    MODEL_STATUS = "model-status"
    MODEL_READY = "model-ready"
    METADATA = "metadata"
    CALL = "call"
    LIVE = "live"
    READY = "ready"
    METRICS = "metrics"
    PEERS = "peers"
    HEAR = "hear"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One row, itself and no equal: paths are `prefix + name + suffix`, or `prefix` alone when `suffix` is None.

    Between name and suffix a client may say which version of a model it means, where `versioned` lists the words for
    it: `/v1/models/NAME/versions/3:predict`.
    """

    method: str
    prefix: str
    action: Action
    suffix: str | None = None
    protocols: tuple[str, ...] = ()
    verb: str = INFER
    versioned: tuple[str, ...] = ()
    guarded: bool = False


class Found(NamedTuple):
    """A route, the task or variant in the path (empty when the path names none), and the version as the path has it
    (`/versions/3`, most often empty).
    """

    route: Route
    name: str
    version: str = ""


_RAW = ("raw",)
_SAGEMAKER = ("sagemaker",)
OPEN_INFERENCE = ("open-inference",)
_V2 = ("versions",)
# clients of KServe's first protocol come in by TensorFlow Serving's door: path and rows are the same
_TENSORFLOW_SERVING = ("tensorflow-serving",)
_V1 = ("versions", "labels")


def _model(action: Action, prefix: str, suffix: str, protocols: tuple[str, ...], verb: str = INFER) -> Route:
    asks = action in (Action.MODEL_STATUS, Action.MODEL_READY, Action.METADATA)
    versioned = _V2 if protocols is OPEN_INFERENCE else _V1
    method = "GET" if asks else "POST"
    return Route(
        method=method, prefix=prefix, suffix=suffix, action=action, protocols=protocols, verb=verb, versioned=versioned
    )


ROUTES = (
    Route(method="POST", prefix="/", action=Action.EVENT),
    Route(method="POST", prefix="/tasks/", suffix="", action=Action.INFER, protocols=_RAW),
    _model(Action.INFER, "/v2/models/", "/infer", OPEN_INFERENCE),
    _model(Action.INFER, "/v1/models/", ":predict", _TENSORFLOW_SERVING),
    _model(Action.INFER, "/v1/models/", ":classify", _TENSORFLOW_SERVING, CLASSIFY),
    _model(Action.INFER, "/v1/models/", ":regress", _TENSORFLOW_SERVING, REGRESS),
    Route(method="POST", prefix="/invocations", action=Action.INFER, protocols=_SAGEMAKER),
    Route(method="POST", prefix="/endpoints/", suffix="/invocations", action=Action.INFER, protocols=_SAGEMAKER),
    _model(Action.METADATA, "/v1/models/", "/metadata", _TENSORFLOW_SERVING, METADATA),
    _model(Action.MODEL_STATUS, "/v1/models/", "", _TENSORFLOW_SERVING),
    _model(Action.MODEL_READY, "/v2/models/", "/ready", OPEN_INFERENCE),
    _model(Action.METADATA, "/v2/models/", "", OPEN_INFERENCE, METADATA),
    Route(method="GET", prefix="/v2", action=Action.SERVER),
    *(
        Route(method="POST", prefix=rpc.path, action=Action.CALL, protocols=(rpc.protocol,), verb=rpc.verb)
        for rpc in grpc.RPCS
    ),
    Route(method="POST", prefix="/decide/", suffix="", action=Action.DECIDE, protocols=_RAW, guarded=True),
    *(Route(method="GET", prefix=path, action=Action.MODELS, guarded=True) for path in ("/v1/models", "/v2/models")),
    Route(method="GET", prefix="/tasks", action=Action.TASKS, guarded=True),
    Route(method="GET", prefix="/tasks/", suffix="", action=Action.TASK, guarded=True),
    Route(method="GET", prefix="/tasks/", suffix="/warm-set", action=Action.WARM_SET, guarded=True),
    Route(method="POST", prefix="/warm/", suffix="", action=Action.WARM, guarded=True),
    Route(method="DELETE", prefix="/warm/", suffix="", action=Action.RELEASE, guarded=True),
    Route(method="GET", prefix="/metrics", action=Action.METRICS, guarded=True),
    Route(method="GET", prefix="/peers", action=Action.PEERS, guarded=True),
    Route(method="POST", prefix="/peers", action=Action.HEAR, guarded=True),
    *(
        Route(method="GET", prefix=path, action=Action.LIVE)
        for path in ("/healthz", "/health/liveness", "/v2/health/live")
    ),
    *(
        Route(method="GET", prefix=path, action=Action.READY)
        for path in ("/readyz", "/health/readiness", "/v2/health/ready", "/ping")
    ),
)
_EXACT = {(route.method, route.prefix): route for route in ROUTES if route.suffix is None}
_NAMED = tuple(
    (route.method, route.prefix, len(route.prefix), route.suffix, len(route.suffix), route)
    for route in ROUTES
    if route.suffix is not None
)


@lru_cache(maxsize=256)
def match(method: str, path: str) -> Found:
    """The route of a request, with the names in its path.

    Raises NotFound for an unknown path, MethodNotAllowed for a known one. HEAD is answered as GET. The last few paths
    are remembered: callers ask for the same tasks again and again.
    """
    if method == "HEAD":
        method = "GET"
    route = _EXACT.get((method, path))
    if route is not None:
        return Found(route, "")
    for wanted, prefix, skip, suffix, tail, row in _NAMED:
        if method == wanted and path.startswith(prefix) and path.endswith(suffix):
            name, version = _parted(path[skip : len(path) - tail], row.versioned)
            if name:
                return Found(row, _decoded(name) if "%" in name else name, version)
    allowed = methods(path)
    if allowed:
        raise MethodNotAllowed(f"{method} {path}; this path takes {', '.join(allowed)}")
    raise NotFound(f"found no route {method} {path}; {_instead(path)}")


def _instead(path: str) -> str:
    """What there is where `path` was looked for."""
    service = path.rpartition("/")[0]
    rpcs = [rpc.path.rpartition("/") for rpc in grpc.RPCS]
    if calls := [call for known, _, call in rpcs if known == service]:
        return f"{service[1:]} has {', '.join(calls)} here"
    models = [row for row in ROUTES if row.versioned and path.startswith(row.prefix)]
    if models:
        return f"there are {', '.join(f'{row.method} {row.prefix}TASK{row.suffix}' for row in models)}"
    return "see GET /tasks for tasks, POST /tasks/TASK to ask one, POST / for CloudEvents"


def methods(path: str) -> list[str]:
    """The methods that `path` takes; empty for an unknown path."""
    found = [method for method, exact in _EXACT if exact == path]
    for wanted, prefix, skip, suffix, tail, row in _NAMED:
        named = path.startswith(prefix) and path.endswith(suffix)
        if named and _parted(path[skip : len(path) - tail], row.versioned)[0]:
            found.append(wanted)
    return found


def _parted(name: str, versioned: tuple[str, ...]) -> tuple[str, str]:
    """The name and the version in what stands between prefix and suffix; no name for what is neither."""
    if versioned and ":" in name:
        return "", ""  # a verb that is not known here
    if "/" not in name:
        return name, ""
    bare, word, version = (*name.split("/", 2), "")[:3]
    if word in versioned and version and "/" not in version:
        return bare, f"/{word}/{version}"
    return "", ""


def _decoded(name: str) -> str:
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequest(f"task {name!r} in the path is not percent-encoded UTF-8") from None
