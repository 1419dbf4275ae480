"""Serves a model function as a process: the quickest start Python gives, idle connections kept, a graceful end.

What lives here: environment, import of the target, threads around the model, signals. What must not: routes, models.
The server is this project's own instead of gunicorn and Flask: spawn to first answer takes half the time and a third
of the CPU, which on a fraction of a core is what a cold start consists of. The model is loaded before the port opens,
so even the bare TCP probe that Knative falls back to tells the truth. Health is answered beside a busy model.
"""

import asyncio
import importlib
import logging
import signal
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol, runtime_checkable
from urllib.parse import unquote

import uvloop

from warmfront.errors import BodyTooLarge, SetupError, WarmfrontError
from warmfront.function.model import failure, too_large
from warmfront.telemetry.process import process_age_s
from warmfront.wire.messages import Exchange, Headers, Response
from warmfront.wire.server import Limits, Server

GRACE_S = 25.0
"""How long requests in flight may take after SIGTERM; below the 30 s after which Kubernetes kills."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says: PORT, HOST (loopback unless a container says otherwise) and THREADS.

    `threads` bounds the predictions in flight; more requests than that wait their turn. Keep it at or above the
    Service's containerConcurrency.
    """

    port: int = 8080
    host: str = "127.0.0.1"
    threads: int = 16

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises SetupError that names variable, value and rule."""
        return cls(
            port=_whole(environment, "PORT", 8080, 0, 65535),
            host=environment.get("HOST") or "127.0.0.1",
            threads=_whole(environment, "THREADS", 16, 1, 1024),
        )


@runtime_checkable
class Served(Protocol):
    """What a process can be made of: a model function, or anything that answers as one does.

    `answer` is called for GET on the event loop, for everything else in many threads at once, and never raises.
    `draining` is set when the process is about to end.
    """

    service: str
    max_body: int
    draining: bool

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        """The reply to one request."""


def find(target: str) -> Served:
    """What the function that `module:name` names consists of, its attribute `model`, loaded.

    Raises:
        SetupError: no such module, a requirement missing, no such name, or a name that is no such function.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise SetupError(f"target {target!r} is not module:name; try main:handle")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        remedy = "start in the function's folder" if error.name == module_name else "install its requirements.txt"
        raise SetupError(f"target {target}: no module named {error.name!r}; {remedy}") from error
    model = getattr(getattr(module, name, None), "model", None)
    if not isinstance(model, Served):
        raise SetupError(
            f"target {target}: {module.__file__} has no model function {name!r}, only {_functions(module)}; "
            f"write {name} = model_function(task, load)"
        )
    return model


async def serve(model: Served, settings: Settings, stop: asyncio.Event) -> None:
    """Answer requests from now until `stop` is set, then finish what is in flight."""
    front = _Front(model, settings.threads)
    server = Server(front.handle, Limits(max_body=model.max_body), fault=front.fault)
    try:
        port = await server.listen(settings.host, settings.port)
    except OSError as error:
        raise SetupError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; set PORT or HOST"
        ) from error
    _LOG.info("%s is ready on port %d, %.3f s after process start", model.service, port, process_age_s())
    await stop.wait()
    model.draining = True
    await server.close(GRACE_S)


def run(model: Served, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(model, settings, stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_signalled())


class _Front:
    """Between the server and the model: GET on the event loop, everything else in a thread."""

    def __init__(self, model: Served, threads: int) -> None:
        self._model = model
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._loop = asyncio.get_running_loop()

    def handle(self, exchange: Exchange) -> None:
        """Answer now or later; predictions leave the loop free."""
        path = unquote(exchange.path)
        if exchange.method != "POST":
            _respond(exchange, self._model.answer(exchange.method, path, exchange.headers, exchange.body))
            return
        prediction = self._threads.submit(self._model.answer, "POST", path, exchange.headers, exchange.body)
        prediction.add_done_callback(lambda done: self._loop.call_soon_threadsafe(_finish, exchange, done))

    def fault(self, error: WarmfrontError, _: Exchange | None) -> tuple[int, Headers, bytes]:
        """What the server itself refuses, spelt as the model's own errors are."""
        reply = failure(too_large(self._model.max_body) if isinstance(error, BodyTooLarge) else error)
        return reply.status, reply.headers, reply.body


def _finish(exchange: Exchange, prediction: Future[Response]) -> None:
    _respond(exchange, prediction.result())


def _respond(exchange: Exchange, reply: Response) -> None:
    exchange.respond(reply.status, reply.headers, reply.body)


def _functions(module: ModuleType) -> str:
    names = sorted(name for name, value in vars(module).items() if isinstance(getattr(value, "model", None), Served))
    return ", ".join(names) or "none"


def _whole(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise SetupError(f"{name} is {text!r}; it must be a whole number from {least} to {most}")
    return value
