"""Wiring: settings to selector, pool, gateway and live catalogue; and the native front, a process of its own.

What may live here: what is built from what, start and end of the process. What must not: handling a request.
"""

import asyncio
import gc
import logging
import os
import random
import signal
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import uvloop

from warmfront.domain import Spread
from warmfront.errors import SetupError, WarmfrontError
from warmfront.gateway import defaults, problems
from warmfront.gateway.gateway import Gateway
from warmfront.gateway.grpc import is_call
from warmfront.gateway.settings import Settings
from warmfront.kube.catalogue import Catalogue
from warmfront.kube.client import KubeClient
from warmfront.kube.connection import Connection
from warmfront.kube.keeper import Keeper
from warmfront.kube.learned import Archive, ConfigMapPlace, FilePlace, Place
from warmfront.protocols import Errors, errors_at
from warmfront.selection.learned import NOTHING, Learned
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector, SelectorSettings
from warmfront.telemetry import logs
from warmfront.telemetry.process import keep_freed_memory, process_age_s
from warmfront.wire.messages import Exchange, Headers
from warmfront.wire.pool import Pool
from warmfront.wire.server import Limits, Server

_log = logging.getLogger(__name__)

TICK_S = 1.0
#: What the platform adds to a process's own start: a pod is scheduled and wired, a local process is not.
PLATFORM_START_S = {"laptop": Spread(p50=0.05, p95=0.1), "cluster": Spread(p50=1.1, p95=1.7)}


def build_selector(settings: Settings, learned: Learned = NOTHING, learned_at: float = 0.0) -> Selector:
    """The selector that the settings describe, with what an earlier one learned. SetupError for an unknown policy."""
    policy = POLICIES.get(settings.policy)
    if policy is None:
        raise SetupError(f"WARMFRONT_POLICY is {settings.policy!r}; choose one of {', '.join(sorted(POLICIES))}")
    return Selector(
        policy=policy(rng=random.Random(settings.seed)),
        settings=SelectorSettings(
            platform_start_s=PLATFORM_START_S[settings.platform],
            transport_timeout_s=settings.timeout_s,
            may_keep=settings.keep_warm,
            dry_run=settings.plan == "dry-run",
            max_warm_gb=settings.max_warm_gb,
            price_per_gb_s=settings.price_per_gb_s,
            budget_gb_s_per_hour=settings.budget_gb_s_per_hour,
            hedge=settings.hedge,
            hedge_share=settings.hedge_share,
        ),
        learned=learned,
        learned_at=learned_at,
    )


class App:
    """One selector, fed by the API server: build it, `start` it on the loop that serves it, `close` it there."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self.settings = settings
        self.pool = Pool()
        self._selector = build_selector(settings)
        self.gateway = Gateway(settings, self._selector, self.pool)
        self._client = KubeClient(connection, self.pool)
        self._namespace = connection.namespace
        self._catalogue = Catalogue(
            self._client, connection.namespace, self.gateway.update, clock=self.gateway.plane.clock
        )
        self.gateway.plane.settled = lambda: self._catalogue.ready
        self.gateway.describe = self._describe
        self._keeper = self._build_keeper() if settings.keep_warm else None
        self.gateway.keeping.keeper = self._keeper
        self._archive = Archive(self._place(), wall=self.gateway.plane.wall)
        self._defaults = defaults.Reader(self._client, connection.namespace, settings.service, self.gateway.intake)
        self._tasks: list[asyncio.Task[None]] = []
        self.gateway.peers.members = self._members
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "App":
        """Everything by the environment; logging is set up too. Raises SetupError that says what to put right."""
        settings = Settings.from_environment(environ)
        logs.configure(settings.log_level, {"service": settings.service, "revision": settings.revision})
        return cls(settings, Connection.load(environ))

    async def start(self) -> None:
        """Take up what an earlier selector learned, if that can be had soon, and begin to watch the catalogue."""
        plane = self.gateway.plane
        learned = await self._archive.load()
        self._selector = plane.selector = build_selector(self.settings, learned, plane.clock())
        await self._catalogue.start()
        if self._keeper is not None:
            await self._keeper.start()
        loop = asyncio.get_running_loop()
        keep = self._archive.follow(self._learned)
        self._tasks = [loop.create_task(self._defaults.run()), loop.create_task(keep)]
        self.gateway.peers.start()
        self._timer = loop.call_later(TICK_S, self._tick, loop)

    async def close(self) -> None:
        """Write what was learned, stop watching, drop connections, write pending rows."""
        if self._timer is not None:
            self._timer.cancel()
        self.gateway.peers.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._archive.save(self._learned())
        if self._keeper is not None:
            await self._keeper.close()
        await self._catalogue.close()
        await self.pool.close()
        self.gateway.close()

    def _build_keeper(self) -> Keeper:
        plane = self.gateway.plane
        return Keeper(
            self._client,
            self._namespace,
            f"{socket.gethostname()}-{os.urandom(4).hex()}",
            lambda: {name: seen.variant.revision for name, seen in plane.selector.catalogue.items()},
            self.gateway.keeping.placed,
            clock=plane.clock,
            wall=plane.wall,
        )

    def _describe(self) -> Mapping[str, str]:
        said = {"learned": self._archive.describe(), "peers": self.gateway.peers.describe()}
        said["defaults"] = self._defaults.describe()
        if self._keeper is not None:
            said["keep-warm"] = self._keeper.describe()
        return self._catalogue.describe() | said

    def _learned(self) -> Learned:
        return self._selector.learned(self.gateway.plane.clock())

    def _place(self) -> Place | None:
        where = self.settings.learned
        if where == "configmap":
            return ConfigMapPlace(self._client, self._namespace)
        return None if where == "off" else FilePlace(Path(where))

    def _members(self) -> frozenset[tuple[str, int]]:
        return self._catalogue.addresses(self.settings.revision, self.settings.port)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(TICK_S, self._tick, loop)
        self.gateway.tick()


def fault(error: WarmfrontError, exchange: Exchange | None) -> tuple[int, Headers, bytes]:
    """How the server answers what never became a request: as everywhere, where it knows for which path."""
    if exchange is not None and is_call(exchange):
        return problems.render(error, shape=Errors.STATUS)
    return problems.render(error, shape=errors_at("/" if exchange is None else exchange.path))


def limits(settings: Settings) -> Limits:
    """The server's limits by the settings."""
    return Limits(
        max_body=settings.max_body_bytes,
        max_connections=settings.max_connections,
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
    )


async def serve(app: App) -> None:
    """Listen until SIGTERM or SIGINT; then stop being ready, finish what is in flight, end."""
    settings = app.settings
    server = Server(app.gateway.handle, limits(settings), fault=fault)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await app.start()
    try:
        port = await server.listen(settings.host, settings.port)
    except OSError as error:
        await app.close()
        raise SetupError(f"cannot listen on {settings.host}:{settings.port} ({error.strerror}); set PORT") from error
    fields = {"port": port, "policy": settings.policy, "platform": settings.platform}
    _log.info("listening, %.3f s after process start", process_age_s(), extra={"fields": fields})
    _spare_the_collector()
    keep_freed_memory()
    await stop.wait()
    app.gateway.draining = True
    _log.info("draining", extra={"fields": {"in_flight": app.gateway.plane.admission.in_flight}})
    await server.close(settings.grace_s)
    await app.close()


def _spare_the_collector() -> None:
    """What was made by now stays: do not look through it again. Requests leave no cycles, so that seldom is enough."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def main(environ: Mapping[str, str]) -> int:
    """Run the selector as a process of its own; the exit code."""
    try:
        app = App.from_environment(environ)
        with asyncio.Runner(loop_factory=partial(uvloop.new_event_loop)) as runner:
            runner.run(serve(app))
    except SetupError as error:
        logs.configure("INFO", {})
        _log.error("not started: %s", error)
        return 1
    return 0
