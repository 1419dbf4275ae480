"""One replica: one process started from a Procfile, from its start to the end of the last process of its group.

What lives here: spawning, probing, stopping, and telling the owner about each. What must not: how many replicas there
should be, or which request goes where. Every replica leads a session of its own, so that the workers of a gunicorn die
with it.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import string
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import cast

from warmfront.errors import WarmfrontError
from warmfront.protocols import grpc
from warmfront.protocols.grpc_fields import text_field
from warmfront.runtime.environments import Function
from warmfront.runtime.orphans import Ledger, kill_group
from warmfront.runtime.workload import Probe, Workload
from warmfront.wire.pool import Origin, Pool

HEALTH = "/grpc.health.v1.Health/Check"
PROBE_EVERY_S = 0.02
PROBE_SLOWER_S = 0.05  # after the first second of a start
_LAST_WORDS_S = 0.5  # for output still in the pipes; a process that left the group may hold them open
_HOST = "127.0.0.1"
_log = logging.getLogger(__name__)


class State(Enum):
    """Where a replica is in its life; it only ever moves down this list."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that a process needs: words without variables, folder, environment, port."""

    command: tuple[str, ...]
    folder: Path
    env: Mapping[str, str]
    port: int


def launch_of(function: Function, workload: Workload, *, port: int, kubeconfig: Path) -> Launch:
    """What to start for one replica.

    The environment is Knative's contract (PORT, K_*), the container's own variables and of the host's only PATH,
    HOME and LANG. Credentials for the API server are given to revisions with a serviceAccountName only.
    """
    env = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    env |= dict(workload.env)
    env |= {
        "PATH": function.path,
        "PYTHONUNBUFFERED": "1",
        "HOST": _HOST,  # ours and functions-framework's name for the address to listen on
        "PORT": str(port),
        "K_SERVICE": workload.service,
        "K_REVISION": workload.revision,
        "K_CONFIGURATION": workload.configuration,
    }
    if workload.service_account:
        env |= {"KUBECONFIG": str(kubeconfig), "WARMFRONT_NAMESPACE": workload.namespace}
    program, *words = function.command
    command = (program, *(string.Template(word).safe_substitute(env) for word in words))
    return Launch(command=command, folder=function.folder, env=env, port=port)


def free_port(taken: frozenset[int] | set[int]) -> int:
    """A port that nobody listens on and that is not in `taken` (handed out, perhaps not bound yet)."""
    while True:
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port


class Replica:
    """A process that serves one revision on `port`.

    `on_ready(replica)` is called when its probe succeeds (again after `unready`), `on_exit(replica)` once, when the
    process has ended for whatever reason and all of its group are dead; `on_line(replica, line)` for each line it
    prints. `h2c`: it is spoken to by HTTP/2. Not ready `start_deadline_s` after its start it is killed and `overdue`.
    """

    def __init__(
        self,
        launch: Launch,
        probe: Probe,
        *,
        h2c: bool,
        start_deadline_s: float,
        ledger: Ledger,
        pool: Pool,
        on_ready: Callable[["Replica"], None],
        on_exit: Callable[["Replica"], None],
        on_line: Callable[["Replica", str], None],
    ) -> None:
        self.port = launch.port
        self.origin = Origin(host=_HOST, port=launch.port, h2c=h2c)
        self.state = State.STARTING
        self.pid = 0
        self.requested_at = 0.0
        self.ready_at: float | None = None
        self.last_line = ""
        self.exit_code: int | None = None
        self.overdue = False
        self._launch = launch
        self._probe = probe
        self._start_deadline_s = start_deadline_s
        self._ledger = ledger
        self._pool = pool
        self._on_ready = on_ready
        self._on_exit = on_exit
        self._on_line = on_line
        self._exited = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Spawn the process; returns at once. A program that cannot be run counts as one that ended."""
        self.requested_at = asyncio.get_running_loop().time()
        self._task = _watched(self._run())

    def unready(self) -> None:
        """It refused a connection: not ready until its probe succeeds again."""
        if self.state is State.READY:
            self.state = State.STARTING
            self._probing = _watched(self._until_ready())

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, after `grace_s` SIGKILL to the whole group; returns when it is gone. May be called again."""
        if self.state is not State.STOPPED:
            self.state = State.DRAINING
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._exited.wait(), grace_s)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._exited.wait()

    def signal(self, sign: signal.Signals) -> None:
        """Signal the whole group; nothing happens when it is gone or not there yet."""
        if self.pid and self.exit_code is None:
            kill_group(self.pid, sign)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.subprocess_exec(
                lambda: _Output(self._line),
                *self._launch.command,
                cwd=self._launch.folder,
                env=dict(self._launch.env),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._line(f"cannot start {self._launch.command[0]}: {error}")
            self.exit_code = 127
        else:
            self.pid = transport.get_pid()
            self._ledger.add(self.pid)
            if self.state is State.DRAINING:  # asked to stop before there was a process
                self.signal(signal.SIGTERM)
            self._probing = _watched(self._until_ready())
            await protocol.exited.wait()
            self._probing.cancel()
            self.exit_code = transport.get_returncode()
            kill_group(self.pid, signal.SIGKILL)  # workers that the leader left behind
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(protocol.closed.wait(), _LAST_WORDS_S)
            protocol.flush()
            transport.close()
            self._ledger.remove(self.pid)
        self.state = State.STOPPED
        self._exited.set()
        self._on_exit(self)

    def _line(self, line: str) -> None:
        self.last_line = line.strip() or self.last_line
        self._on_line(self, line)

    async def _until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._start_deadline_s):
                await asyncio.sleep(self._probe.initial_delay_s)
                while not await self._answers():  # noqa: ASYNC110 - another process has no event to wait for
                    await asyncio.sleep(PROBE_EVERY_S if loop.time() - began < 1.0 else PROBE_SLOWER_S)
        except TimeoutError:
            self.overdue = True
            self.signal(signal.SIGKILL)
            return
        if self.state is State.STARTING:
            self.state = State.READY
            self.ready_at = loop.time()
            self._on_ready(self)

    async def _answers(self) -> bool:
        if self._probe.service is not None:
            return await self._serves(self._probe.service)
        if not self._probe.path:
            return await self._listens()
        headers = [(b"user-agent", b"kube-probe/warmfront"), *self._probe.headers]
        try:
            reply = await self._pool.fetch(
                self.origin, "GET", self._probe.path, headers, b"", timeout_s=self._probe.timeout_s
            )
        except WarmfrontError:
            return False
        return 200 <= reply.status < 400

    async def _serves(self, service: str) -> bool:
        """The health check of gRPC: HealthCheckRequest.service is field 1, HealthCheckResponse.status SERVING is 1."""
        headers = [(b"content-type", grpc.CONTENT_TYPE), (b"user-agent", b"kube-probe/warmfront")]
        body = grpc.framed(text_field(1, service) if service else b"")
        origin = self.origin._replace(h2c=True)
        try:
            reply = await self._pool.fetch(origin, "POST", HEALTH, headers, body, timeout_s=self._probe.timeout_s)
        except WarmfrontError:
            return False
        return reply.body == grpc.truth(True)

    async def _listens(self) -> bool:
        try:
            async with asyncio.timeout(self._probe.timeout_s):
                _, writer = await asyncio.open_connection(_HOST, self.port)
        except OSError:  # TimeoutError is one
            return False
        writer.close()
        return True


def _watched(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """A task whose unexpected end is logged at once: what nobody watches would seem to be starting for ever."""
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a replica is no longer watched", exc_info=error)


class _Output(asyncio.SubprocessProtocol):
    """Cuts what the process prints into lines, and sees its end."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = {1: b"", 2: b""}
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        *lines, self._rest[fd] = (self._rest[fd] + cast(bytes, data)).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace"))

    def flush(self) -> None:
        """Hand on what did not end in a newline."""
        for fd, rest in self._rest.items():
            if rest:
                self._on_line(rest.decode(errors="replace"))
                self._rest[fd] = b""

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, _: Exception | None) -> None:
        self.closed.set()
