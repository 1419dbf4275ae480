"""A model behind routes: from one HTTP request to one reply, synchronous, no server and no framework.

What lives here: the life of a model (loading, ready, draining), the routes inside one function, the reply headers
that tell how warm the answer was. What must not: sockets, Flask, anything a particular model needs.
A replica holds one model. It answers to the declared name (the task's) and to the name of its Knative Service.
"""

import itertools
import logging
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from warmfront.cloudevents import CloudEvent, Headers, Mode, decode, encode, mode_of
from warmfront.errors import (
    BodyTooLarge,
    MethodNotAllowed,
    NotFound,
    ServiceError,
    SetupError,
    UnsupportedMediaType,
    WarmfrontError,
)
from warmfront.function import open_inference, v1
from warmfront.function.inputs import Input, Text
from warmfront.telemetry.process import process_age_s
from warmfront.wire.messages import Response, first

MAX_BODY = 1 << 20
"""Largest body in bytes, unless a function says otherwise: a text of 1 MiB takes a slow model seconds."""

RESPONSE_TYPE = "dev.warmfront.inference.response"
_JSON = (b"content-type", b"application/json")
_LIVE = frozenset({"/healthz", "/v2/health/live", "/health/liveness"})
_READY = frozenset({"/readyz", "/v2/health/ready", "/health/readiness"})
_V1 = re.compile(r"/v1/models/([^/:]+)(?:/versions/[^/:]+)?(/metadata|:\w+)?")
_LOG = logging.getLogger(__name__)

_TEXT = Text()

T = TypeVar("T")
R = TypeVar("R")


class Prediction(NamedTuple):
    """What a model says of one input: the label, and a score in [0, 1] that is its own and need not be calibrated.

    `probabilities` are those of all classes in the model's order, where it has them: what TensorFlow Serving answers.
    """

    label: str
    score: float
    probabilities: Sequence[float] = ()

    @classmethod
    def of(cls, labels: Sequence[str], probabilities: Sequence[float]) -> "Prediction":
        """The label of the largest probability; of equal ones the first."""
        score = max(probabilities)
        return cls(labels[probabilities.index(score)], min(score, 1.0), probabilities)

    def json(self) -> bytes:
        """Label and score, the answer of every protocol without one of its own."""
        return msgspec.json.encode({"label": self.label, "score": self.score})


class FlaskRequest(Protocol):
    """The part of a Flask request that the http signature needs; spelt out so that Flask is not imported."""

    method: str
    path: str
    content_length: int | None

    @property
    def headers(self) -> Any:
        """Name and value pairs when iterated."""

    def get_data(self) -> bytes:
        """The whole body."""


FlaskReply = tuple[bytes, int, list[tuple[str, str]]]


class ModelFunction(Generic[T]):
    """One model and its routes. `load` runs once, before anything is served; `answer` in many threads at once.

    `ready_s` is the age of the process in seconds when the model was loaded: a profile's `cold_start_s`.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Callable[[T], Prediction]],
        *,
        accept: Input[T],
        max_body: int = MAX_BODY,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.name = name
        self.max_body = max_body
        self.service = environment.get("K_SERVICE") or name
        self.revision = environment.get("K_REVISION", "")
        self.ready_s = 0.0
        self.draining = False
        self._load = load
        self._accept = accept
        self._predict: Callable[[T], Prediction] | None = None
        self._served = itertools.count()
        self._began_at = time.monotonic() - process_age_s()

    def load(self) -> None:
        """Load the model; from now on the function is ready.

        Raises:
            SetupError: the loader failed, for whatever reason; its traceback is in the log.
        """
        try:
            self._predict = self._load()
        except WarmfrontError:
            raise
        except Exception as error:
            _LOG.exception("the model of %s cannot be loaded", self.service)
            raise SetupError(
                f"the model of {self.service} cannot be loaded: {type(error).__name__}: {error}; "
                "the log above has the place"
            ) from error
        self.ready_s = time.monotonic() - self._began_at

    @property
    def ready(self) -> bool:
        """Whether requests may come: the model is loaded and the process is not about to end."""
        return self._predict is not None and not self.draining

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        """The reply to one request; it never raises. Errors on purpose carry their status, others are a bare 500."""
        try:
            return self._route("GET" if method == "HEAD" else method, path, headers, body)
        except WarmfrontError as error:
            return failure(error)
        except Exception:  # noqa: BLE001 - a model may raise anything; the caller gets a reply, the log the reason
            _LOG.exception("the model failed on an input of %d bytes", len(body))
            return failure(WarmfrontError("the model failed on this input; the replica's log has the reason"))

    def _route(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        if path == "/":
            _only(method, "POST", "OPTIONS")
            if method == "OPTIONS":
                return Response(status=204, headers=[(b"allow", b"POST, OPTIONS")])
            return self._post(headers, body)
        if path in _LIVE:
            _only(method, "GET")
            return _json(200, {"live": True})
        if path in _READY:
            _only(method, "GET")
            return _json(200 if self.ready else 503, {"ready": self.ready})
        parts = path.strip("/").split("/")
        if parts[:2] == ["v2", "models"] and len(parts) in (3, 4):
            return self._model(method, parts[2], parts[3] if len(parts) == 4 else "", body)
        if found := _V1.fullmatch(path):  # a path may name a version, of which there is one
            self._known(found[1])
            return self._model_v1(method, found[1], found[2] or "", body)
        raise NotFound(
            f"no route {path}; there are POST /, /healthz, /readyz, /v2/health/*, /v2/models/{self.name}[/infer] "
            f"and /v1/models/{self.name}[:predict]"
        )

    def _known(self, name: str) -> None:
        if name not in (self.name, self.service):
            raise NotFound(f"no model {name!r} here; this replica serves {self.name!r} (service {self.service!r})")

    def _model_v1(self, method: str, name: str, rest: str, body: bytes) -> Response:
        """What a path below a model asks: nothing for its status, `:predict`, others where a model has them."""
        if not rest:
            _only(method, "GET")
            return _json(200 if self.ready else 503, v1.status(name, ready=self.ready))
        if rest != ":predict":
            raise NotFound(f"no route {rest!r} of a model; there is ':predict'")
        _only(method, "POST")
        return self._predict_v1(body)

    def _predict_v1(self, body: bytes) -> Response:
        request = v1.parse(body, self._accept.spec.name)
        answers, told = self._run([self._accept.of_json(row) for row in request.inputs])
        return Response(status=200, headers=[_JSON, *told], body=v1.render(request, answers))

    def _model(self, method: str, name: str, verb: str, body: bytes) -> Response:
        self._known(name)
        if verb == "infer":
            _only(method, "POST")
            return self._infer(name, body)
        _only(method, "GET")
        if verb == "ready":
            return _json(200 if self.ready else 503, {"name": name, "ready": self.ready})
        if verb:
            raise NotFound(f"no route {verb!r} below a model; there are `infer` and `ready`")
        return _json(200, self._metadata(name))

    def _metadata(self, name: str) -> dict[str, Any]:
        """What `GET /v2/models/{name}` tells of the model's tensors."""
        return open_inference.metadata(model=name, version=self.revision, spec=self._accept.spec)

    def _post(self, headers: Headers, body: bytes) -> Response:
        """An event in, an event out; anything else is the model's input itself, answered with JSON."""
        mode = mode_of(headers)
        if mode is Mode.BATCH:
            raise UnsupportedMediaType("a batch of events cannot be answered; send its events one at a time")
        if mode is None:
            content_type = (first(headers, b"content-type") or b"").decode("latin-1")
            answer, told = self._run([self._accept.of_body(body, content_type)])
            return Response(status=200, headers=[_JSON, *told], body=answer[0].json())
        event = decode(headers, body)
        content_type = event.datacontenttype or ("application/json" if mode is Mode.STRUCTURED else "")
        answer, told = self._run([self._accept.of_body(event.data, content_type)])
        reply_headers, reply_body = encode(self._response(event, answer[0]))
        return Response(status=200, headers=[*reply_headers, *told], body=reply_body)

    def _infer(self, name: str, body: bytes) -> Response:
        request = open_inference.parse(body)
        answers, told = self._run(self._accept.of_tensor(request.inputs[0]))
        reply = open_inference.render(request, model=name, version=self.revision, answers=answers)
        return Response(status=200, headers=[_JSON, *told], body=reply)

    def timed(self, work: Callable[[], R]) -> tuple[R, Headers]:
        """Let the model work, and say in headers how warm the process was and how long the model itself took.

        Raises:
            ServiceError: the model is not loaded.
        """
        if self._predict is None:
            raise ServiceError("the model is not loaded yet; wait until /readyz answers 200")
        is_first = next(self._served) == 0
        uptime_s = time.monotonic() - self._began_at
        began_at = time.perf_counter()
        found = work()
        execution_s = time.perf_counter() - began_at
        return found, [
            (b"warmfront-first-request", b"true" if is_first else b"false"),
            (b"warmfront-load-ms", _ms(self.ready_s)),
            (b"warmfront-uptime-ms", _ms(uptime_s)),
            (b"warmfront-execution-ms", _ms(execution_s)),
        ]

    def _run(self, values: list[T]) -> tuple[list[Prediction], Headers]:
        """Predict for every input."""
        predict = self._predict
        return self._timed(lambda: [predict(value) for value in values] if predict else [])

    def _timed(self, work: Callable[[], list[Prediction]]) -> tuple[list[Prediction], Headers]:
        """As `timed`; a single answer's label is told too."""
        answers, told = self.timed(work)
        if len(answers) == 1 and answers[0].label:
            told.append((b"warmfront-label", quote(answers[0].label, safe="").encode()))
        return answers, told

    def _response(self, event: CloudEvent, answer: Prediction) -> CloudEvent:
        """The reply event. Its id follows from the request's identity, so a repeated execution repeats the id."""
        extensions = {
            "correlationid": event.extensions.get("correlationid", event.id),
            "causationid": event.id,
            "variant": self.service,
        }
        if self.revision:
            extensions["revision"] = self.revision
        return CloudEvent(
            id=f"{event.source}#{event.id}",
            source=f"/variants/{quote(self.service)}",
            type=RESPONSE_TYPE,
            subject=event.subject or self.name,
            time=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            datacontenttype="application/json",
            dataschema=None,
            extensions=extensions,
            data=answer.json(),
        )


def model_function(
    name: str,
    load: Callable[[], Callable[[Any], Prediction]],
    *,
    accept: Input[Any] = _TEXT,
    max_body: int = MAX_BODY,
) -> Callable[[FlaskRequest], FlaskReply]:
    """A function of the http signature that serves the model which `load` returns; loading happens here and now.

    `name` is the task's name, under which Open Inference callers ask for the model. `load` takes nothing and returns
    the predictor, which must be safe to call from several threads; `accept` is the kind of input that this takes.
    Whatever serves the function can only listen afterwards, so a port that is open is a model that is loaded.
    """
    model = ModelFunction(name, load, accept=accept, max_body=max_body)
    model.load()
    return as_function(model)


def as_function(model: ModelFunction[Any]) -> Callable[[FlaskRequest], FlaskReply]:
    """A loaded model as a function of the http signature; the launcher finds the model in its attribute `model`."""

    def handle(request: FlaskRequest) -> FlaskReply:
        headers = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in request.headers]
        if (request.content_length or 0) > model.max_body or len(body := request.get_data()) > model.max_body:
            reply = failure(too_large(model.max_body))
        else:
            reply = model.answer(request.method, request.path, headers, body)
        return (
            reply.body,
            reply.status,
            [(key.decode("latin-1"), value.decode("latin-1")) for key, value in reply.headers],
        )

    handle.model = model  # type: ignore[attr-defined]  # how the launcher finds it; functions-framework wants a plain function
    return handle


def failure(error: WarmfrontError) -> Response:
    """An error as every protocol here spells it: its status and `{"error": ...}`."""
    reply = _json(error.status, {"error": str(error)})
    if isinstance(error, _NotAllowed):
        reply.headers.append((b"allow", ", ".join(error.allowed).encode()))
    return reply


def too_large(limit: int) -> BodyTooLarge:
    """The error for a body above `limit` bytes."""
    return BodyTooLarge(f"the body exceeds {limit} bytes; send a shorter input")


class _NotAllowed(MethodNotAllowed):
    """The route exists, the method does not; `allowed` goes into the reply's Allow header."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not served here; use {' or '.join(allowed)}")
        self.allowed = allowed


def _only(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise _NotAllowed(method, allowed)


def _json(status: int, value: dict[str, Any]) -> Response:
    return Response(status=status, headers=[_JSON], body=msgspec.json.encode(value))


def _ms(seconds: float) -> bytes:
    return f"{seconds * 1000:.3f}".encode()
