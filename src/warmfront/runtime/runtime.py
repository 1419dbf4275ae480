"""The embedded Knative as one object: what is made, in which order it starts, and how it ends.

What lives here: composition. What must not: behaviour of any part. Everything listens on 127.0.0.1 only.
State folder: `objects.db` (API objects), `events.db` (accepted events), `kubeconfig` (0600), `environments/`, `logs/`,
`replicas/` (process ledgers), `owner` (process id and port of the runtime that has it).
"""

import asyncio
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from warmfront.errors import SetupError
from warmfront.kube.resources import Json
from warmfront.runtime.addresses import Addresses
from warmfront.runtime.apiserver import ApiServer, write_kubeconfig
from warmfront.runtime.apply import apply
from warmfront.runtime.dataplane import DataPlane
from warmfront.runtime.environments import Environments
from warmfront.runtime.eventing import Eventing
from warmfront.runtime.fleet import Host, ReplicaRecord
from warmfront.runtime.ingress import Ingress
from warmfront.runtime.network import Network
from warmfront.runtime.orphans import Ledger
from warmfront.runtime.serving import ServingController
from warmfront.runtime.snapshot import ServiceStatus, snapshot
from warmfront.runtime.store import Store, StoreInUse
from warmfront.wire.pool import Pool
from warmfront.wire.server import Server

_HOST = "127.0.0.1"
_OWNER = "owner"
_QUIET_POLL_S = 0.02
_RECORDS_KEPT = 10_000
# functions-framework's gunicorn closes idle connections after 2 s: ours are given up before that
REPLICA_IDLE_S = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """Where the embedded Knative lives. Port 0: any free one.

    `root` holds the function folders, `state` everything that is kept. `drain_s` is how long `stop` waits for requests
    in progress, `max_grace_s` bounds a replica's own grace period, `max_replicas` the replicas of one revision: a
    machine is no cluster. `network` is a file of added latencies. `built` is the state folder of
    `warmfront build`, when it is another one.
    """

    root: Path
    state: Path
    port: int
    api_port: int
    drain_s: float = 5.0
    max_grace_s: float = 10.0
    max_replicas: int = 32
    network: Path | None = None
    built: Path | None = None


class Runtime:
    """From `start` to `stop` a control plane and data plane in this process, replicas in processes below it.

    One runtime per state folder: a second one gets a SetupError. `on_line(revision, line)` hears what replicas print.
    """

    def __init__(
        self, settings: RuntimeSettings, *, on_line: Callable[[str, str], None] = lambda _revision, _line: None
    ) -> None:
        self.settings = settings
        self._on_line = on_line
        self._records: deque[ReplicaRecord] = deque(maxlen=_RECORDS_KEPT)
        self.store: Store
        self.addresses: Addresses
        self.data_plane: DataPlane
        self.eventing: Eventing

    @property
    def kubeconfig(self) -> Path:
        """The file that lets `kn`, `kubectl` and the selector use the API."""
        return self.settings.state / "kubeconfig"

    async def start(self) -> None:
        """Bring up everything that the state folder holds; SetupError when a port or the folder is in use."""
        state = self.settings.state
        state.mkdir(parents=True, exist_ok=True)
        (state / "logs").mkdir(exist_ok=True)
        network = Network.load(self.settings.network)
        try:
            self.store = Store(state / "objects.db")  # first: it is what keeps a second runtime out
        except StoreInUse:
            raise SetupError(
                f"`warmfront up` already runs on {state}{_owner(state)}; use it, or start another one "
                "with a --state and a --port of its own"
            ) from None
        with ExitStack() as undo:
            undo.callback(self.store.close)
            ingress_socket = undo.enter_context(_bind(self.settings.port, "--port"))
            api_socket = _bind(self.settings.api_port, "--api-port")
            undo.pop_all()
        self.addresses = Addresses(port=ingress_socket.getsockname()[1])
        (state / _OWNER).write_text(f"{os.getpid()} {self.addresses.port}\n", encoding="ascii")
        self._ledger = Ledger(state / "replicas")
        self._ledger.open()
        self._replica_pool, self._event_pool = Pool(idle_timeout_s=REPLICA_IDLE_S), Pool()
        rng = Random()
        self.data_plane = DataPlane(self.store, self._host(), rng)
        self.eventing = Eventing(self.store, state / "events.db", self._event_pool, self.addresses)
        ingress = Ingress(
            store=self.store,
            find=self.data_plane.find,
            pool=self._replica_pool,
            network=network,
            broker=self.eventing.handle,
            rng=rng,
        )
        token = secrets.token_hex(32)
        self._api = ApiServer(self.store, token)
        self._serving = ServingController(self.store, self.addresses)
        self._api_server, self._ingress_server = Server(self._api.handle), Server(ingress.handle)
        api_port = await self._api_server.listen_socket(api_socket)
        write_kubeconfig(self.kubeconfig, port=api_port, token=token)
        self._serving.start()
        ingress.start()
        self.data_plane.start()
        await self._ingress_server.listen_socket(ingress_socket)
        await self.eventing.start()

    async def stop(self) -> None:
        """Let requests in progress finish, then end everything; no process is left when it returns."""
        await self.eventing.stop()
        await self._quiet()
        await self._ingress_server.close(0.0)
        await self.data_plane.stop()
        self._serving.stop()
        self._api.close()
        await self._api_server.close(0.0)
        await self._replica_pool.close()
        await self._event_pool.close()
        self._ledger.close()
        (self.settings.state / _OWNER).unlink(missing_ok=True)
        self.store.close()

    def apply(self, manifests: Iterable[Json]) -> list[str]:
        """Create or merge objects, as `kubectl apply -f` would; a line about each. See `warmfront.runtime.apply`."""
        return apply(self.store, manifests)

    def snapshot(self) -> list[ServiceStatus]:
        """How every Service is doing now."""
        return snapshot(self.store, self.data_plane)

    async def emptied(self) -> list[ReplicaRecord]:
        """Wait until nothing is left of deleted Services; the replicas that ended since this was last asked."""
        await self.data_plane.settled()
        records = list(self._records)
        self._records.clear()
        return records

    def _host(self) -> Host:
        settings = self.settings
        return Host(
            environments=Environments(root=settings.root, state=settings.built or settings.state),
            ledger=self._ledger,
            pool=self._replica_pool,
            ports=set(),
            logs=settings.state / "logs",
            kubeconfig=self.kubeconfig.resolve(),
            max_grace_s=settings.max_grace_s,
            max_replicas=settings.max_replicas,
            on_line=self._on_line,
            on_record=self._records.append,
        )

    async def _quiet(self) -> None:
        """Wait, not forever, until no request is in the data plane: one may need another one to be answered."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.settings.drain_s
        while any(live.in_flight for live in self.data_plane) and loop.time() < until:  # noqa: ASYNC110 - bounded
            await asyncio.sleep(_QUIET_POLL_S)


def _owner(state: Path) -> str:
    """` (process 4711, port 8080)` of the runtime that has the folder; empty while it does not say."""
    try:
        pid, port = (state / _OWNER).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return ""
    return f" (process {pid}, port {port})"


def _bind(port: int, option: str) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((_HOST, port))
    except OSError as error:
        bound.close()
        raise SetupError(
            f"cannot listen on {_HOST}:{port} ({error}); end what does, "
            f"or choose another port with {option} (0: any free)"
        ) from None
    return bound
