"""Which path leads where. What must not live here: what happens there.

Inference and health are open; everything that shows the selector's inside wants the bearer token, if one is set.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import unquote

from warmfront.errors import InvalidRequest, MethodNotAllowed, NotFound
from warmfront.gateway.dialects import OPEN_INFERENCE, RAW


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
    LIVE = "live"
    READY = "ready"
    METRICS = "metrics"
    PEERS = "peers"
    HEAR = "hear"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One row, itself and no equal: paths are `prefix + name + suffix`, or `prefix` alone when `suffix` is None."""

    method: str
    prefix: str
    action: Action
    suffix: str | None = None
    protocols: tuple[str, ...] = ()
    guarded: bool = False


_PREDICT = ("tensorflow-serving", "kserve-v1")
ROUTES = (
    Route(method="POST", prefix="/", action=Action.EVENT),
    Route(method="POST", prefix="/tasks/", suffix="", action=Action.INFER, protocols=(RAW,)),
    Route(method="POST", prefix="/v2/models/", suffix="/infer", action=Action.INFER, protocols=(OPEN_INFERENCE,)),
    Route(method="POST", prefix="/v1/models/", suffix=":predict", action=Action.INFER, protocols=_PREDICT),
    Route(method="POST", prefix="/invocations", action=Action.INFER, protocols=("sagemaker",)),
    Route(method="POST", prefix="/decide/", suffix="", action=Action.DECIDE, protocols=(RAW,), guarded=True),
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
        for path in ("/readyz", "/health/readiness", "/v2/health/ready")
    ),
)
_EXACT = {(route.method, route.prefix): route for route in ROUTES if route.suffix is None}
_NAMED = tuple(
    (route.method, route.prefix, len(route.prefix), route.suffix, len(route.suffix), route)
    for route in ROUTES
    if route.suffix is not None
)


@lru_cache(maxsize=256)
def match(method: str, path: str) -> tuple[Route, str]:
    """The route of a request and the task or variant in its path (empty when the path names none).

    Raises NotFound for an unknown path, MethodNotAllowed for a known one. HEAD is answered as GET. The last few paths
    are remembered: callers ask for the same tasks again and again.
    """
    if method == "HEAD":
        method = "GET"
    route = _EXACT.get((method, path))
    if route is not None:
        return route, ""
    for wanted, prefix, skip, suffix, tail, row in _NAMED:
        if method == wanted and path.startswith(prefix) and path.endswith(suffix):
            name = path[skip : len(path) - tail]
            if name and "/" not in name:
                return row, _decoded(name) if "%" in name else name
    allowed = methods(path)
    if allowed:
        raise MethodNotAllowed(f"{method} {path}; this path takes {', '.join(allowed)}")
    raise NotFound(f"{method} {path}; see GET /tasks for tasks, POST /tasks/TASK to ask one, POST / for CloudEvents")


def methods(path: str) -> list[str]:
    """The methods that `path` takes; empty for an unknown path."""
    found = [method for method, exact in _EXACT if exact == path]
    for wanted, prefix, skip, suffix, tail, _ in _NAMED:
        name = path[skip : len(path) - tail]
        if path.startswith(prefix) and path.endswith(suffix) and name and "/" not in name:
            found.append(wanted)
    return found


def _decoded(name: str) -> str:
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequest(f"task {name!r} in the path is not percent-encoded UTF-8") from None
