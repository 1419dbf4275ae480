"""The replicas of one revision: as many as wanted, crashes made good, none left behind.

What lives here: starting, retiring and replacing replicas. What must not: how many are wanted (scaler.py), or which
request goes where (breaker.py).
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from warmfront.errors import SetupError
from warmfront.runtime.environments import Environments, Function
from warmfront.runtime.orphans import Ledger
from warmfront.runtime.replicas import Replica, State, free_port, launch_of
from warmfront.runtime.workload import Workload
from warmfront.wire.pool import Pool

CRASHES_UNTIL_UNHEALTHY = 3
STABLE_S = 10.0  # a replica that was ready this long owes nothing to earlier crashes
_TERMINATE_S = 2.0  # between SIGTERM and SIGKILL when draining used up the grace period
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a revision cannot serve: a Kubernetes reason (one word) and a message that says what to do."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What this machine gives to every fleet.

    `max_grace_s` bounds the time from a replica's retirement to its SIGKILL, `max_replicas` the replicas of a revision.
    `on_line(revision, line)` hears what replicas print, `on_record` of every replica that has ended.
    """

    environments: Environments
    ledger: Ledger
    pool: Pool
    ports: set[int]
    logs: Path
    kubeconfig: Path
    max_grace_s: float
    max_replicas: int
    on_line: Callable[[str, str], None]
    on_record: Callable[["ReplicaRecord"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRecord:
    """The life of one replica, for whoever counts its cost. Instants on the event loop's clock, None: it never was."""

    variant: str
    revision: str
    requested_s: float
    ready_s: float | None
    stopped_s: float


class Owner(Protocol):
    """Whom a fleet tells; called from the event loop, never from within `resize`."""

    def replica_ready(self, replica: Replica) -> None:
        """It takes requests from now on."""

    def replica_lost(self, replica: Replica) -> None:
        """It takes no new request from now on, and may be gone."""

    def fleet_changed(self) -> None:
        """Something to publish changed: a replica began or ended, or the fault did."""

    def load(self, replica: Replica) -> int:
        """How many requests it has in flight."""


class Fleet:
    """Keeps the number of replicas at `target`. `fault` says why it cannot, or None."""

    def __init__(self, workload: Workload, host: Host, owner: Owner, *, start_deadline_s: float) -> None:
        self.target = 0
        self.fault: Fault | None = None
        self.replicas: list[Replica] = []
        self._workload = workload
        self._host = host
        self._owner = owner
        self._start_deadline_s = start_deadline_s
        self._function: Function | None = None
        self._crashes = 0
        self._not_before = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._idle: dict[Replica, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log: TextIO | None = None

    @property
    def ready(self) -> list[Replica]:
        """Replicas that take requests, oldest first."""
        return [replica for replica in self.replicas if replica.state is State.READY]

    @property
    def starting(self) -> int:
        """How many replicas are coming."""
        return sum(replica.state is State.STARTING for replica in self.replicas)

    def check(self) -> Function | None:
        """What a replica will run; None with `fault` set when something is missing on this machine."""
        if self._function is not None:
            return self._function
        try:
            self._function = self._host.environments.resolve(self._workload.image)
        except SetupError as error:
            self._set_fault(Fault(reason="ContainerMissing", message=str(error)))
            return None
        if self.fault is not None and self.fault.reason == "ContainerMissing":
            self._set_fault(None)
        return self._function

    def resize(self, target: int) -> None:
        """Want so many replicas from now on. Those too many are retired: starting ones first, then the least busy."""
        limit = self._host.max_replicas
        if target > limit >= self.target:
            _log.warning("%s: %d replicas wanted, this machine has room for %d", self._workload.revision, target, limit)
        self.target = target = min(target, limit)
        live = [r for r in self.replicas if r.state in {State.STARTING, State.READY}]
        surplus = len(live) - target
        if surplus > 0:
            live.sort(key=lambda r: (r.state is State.READY, self._owner.load(r), -r.requested_at))
            for replica in live[:surplus]:
                self._retire(replica)
        elif surplus < 0:
            self._start(-surplus)

    def forgive(self) -> None:
        """At zero by right, no crash counts any more: whether it can start shows when it is wanted again."""
        if self.fault is not None and self.fault.reason != "ContainerMissing":
            self._crashes = 0
            self.fault = None

    def drained(self, replica: Replica) -> None:
        """A retiring replica has no request in flight any more."""
        if replica in self._idle:
            self._idle[replica].set()

    async def stop(self) -> None:
        """Retire all and return when no process is left."""
        self.resize(0)
        if self._retry is not None:
            self._retry.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks)
        if self._log is not None:
            self._log.close()

    def _start(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before:
            if self._retry is None:
                self._retry = loop.call_at(self._not_before, self._try_again)
            return
        function = self.check()
        if function is None:
            return
        for _ in range(count):
            port = free_port(self._host.ports)
            self._host.ports.add(port)
            launch = launch_of(function, self._workload, port=port, kubeconfig=self._host.kubeconfig)
            replica = Replica(
                launch,
                self._workload.probe,
                h2c=self._workload.h2c,
                start_deadline_s=self._start_deadline_s,
                ledger=self._host.ledger,
                pool=self._host.pool,
                on_ready=self._became_ready,
                on_exit=self._ended,
                on_line=self._printed,
            )
            self.replicas.append(replica)
            replica.start()
        loop.call_soon(self._owner.fleet_changed)

    def _try_again(self) -> None:
        self._retry = None
        self.resize(self.target)

    def _retire(self, replica: Replica) -> None:
        replica.state = State.DRAINING
        self._idle[replica] = asyncio.Event()
        if not self._owner.load(replica):
            self._idle[replica].set()
        self._owner.replica_lost(replica)
        self._spawn(self._drain_and_stop(replica))

    async def _drain_and_stop(self, replica: Replica) -> None:
        loop = asyncio.get_running_loop()
        kill_at = loop.time() + min(self._workload.timeout_s, self._host.max_grace_s)
        try:
            async with asyncio.timeout_at(kill_at):
                await self._idle[replica].wait()
        except TimeoutError:
            _log.warning("%s: a replica still had requests after its grace period", self._workload.revision)
        await replica.stop(max(kill_at - loop.time(), _TERMINATE_S))

    def _became_ready(self, replica: Replica) -> None:
        self._set_fault(None)
        self._owner.replica_ready(replica)
        self._owner.fleet_changed()

    def _ended(self, replica: Replica) -> None:
        asked = self._idle.pop(replica, None) is not None
        self.replicas.remove(replica)
        self._host.ports.discard(replica.port)
        self._host.on_record(
            ReplicaRecord(
                variant=self._workload.service,
                revision=self._workload.revision,
                requested_s=replica.requested_at,
                ready_s=replica.ready_at,
                stopped_s=asyncio.get_running_loop().time(),
            )
        )
        if not asked:
            self._crashed(replica)
        self._owner.replica_lost(replica)
        self._owner.fleet_changed()
        self.resize(self.target)

    def _crashed(self, replica: Replica) -> None:
        """The first crash is made good at once, the next ones after 1, 2, 4 ... 30 s."""
        now = asyncio.get_running_loop().time()
        if replica.ready_at is not None and now - replica.ready_at >= STABLE_S:
            self._crashes = 0
        self._crashes += 1
        if self._crashes > 1:
            self._not_before = now + min(2.0 ** (self._crashes - 2), 30.0)
        words = replica.last_line or "it printed nothing"
        _log.warning("%s: a replica ended with %s: %s", self._workload.revision, replica.exit_code, words)
        if replica.overdue:
            message = (
                f"not ready within {self._start_deadline_s:g} s of its start (last line: {words}); make it ready "
                f"sooner or raise the annotation serving.knative.dev/progress-deadline"
            )
            self._set_fault(Fault(reason="ProgressDeadlineExceeded", message=message))
        elif self._crashes >= CRASHES_UNTIL_UNHEALTHY:
            message = f"{words} (exit code {replica.exit_code}, {self._crashes} crashes; see {self._log_path})"
            self._set_fault(Fault(reason="CrashLoopBackOff", message=message))

    def _set_fault(self, fault: Fault | None) -> None:
        if fault != self.fault:
            self.fault = fault
            asyncio.get_running_loop().call_soon(self._owner.fleet_changed)

    @property
    def _log_path(self) -> Path:
        return self._host.logs / f"{self._workload.revision}.log"

    def _printed(self, replica: Replica, line: str) -> None:
        if self._log is None:
            self._log = self._log_path.open("a", buffering=1, encoding="utf-8")
        self._log.write(f"{replica.pid} {line}\n")
        self._host.on_line(self._workload.revision, line)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
