"""The one door of the data plane: from a Host header to a revision, or to the Broker.

What lives here: the table of hosts, traffic splits, network probes, refusals. What must not: the life of a request once
its revision is known (forward.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from warmfront.errors import NotFound, Overloaded, SetupError
from warmfront.kube.resources import SERVICES, Json, annotations_of, condition_of
from warmfront.runtime.addresses import BROKER_HOST, parse_host
from warmfront.runtime.forward import Forward
from warmfront.runtime.network import ANNOTATION, REGION_HEADER, Delays, Network, delay_s
from warmfront.runtime.revision import LiveRevision
from warmfront.runtime.store import Store
from warmfront.wire.messages import Exchange, Headers
from warmfront.wire.pool import Pool

_PROBE = b"k-network-probe"
_TEXT: Headers = [(b"content-type", b"text/plain; charset=utf-8")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What a host name stands for: revisions with their share of the traffic, and the way to them.

    `trouble` says why there is none.
    """

    namespace: str
    revisions: tuple[str, ...]
    shares: tuple[int, ...]
    delays: Delays
    trouble: str = ""


class Ingress:
    """Answers all requests to `NAME.NAMESPACE.localhost`, `TAG-NAME.NAMESPACE.localhost` and the Broker's host."""

    def __init__(
        self,
        *,
        store: Store,
        find: Callable[[str, str], LiveRevision | None],
        pool: Pool,
        network: Network,
        broker: Callable[[Exchange], None],
        rng: Random,
    ) -> None:
        self._store = store
        self._find = find
        self._pool = pool
        self._network = network
        self._broker = broker
        self._rng = rng
        self._services: dict[tuple[str, str], dict[str, Backend]] = {}
        self._known: dict[bytes, Backend] = {}  # by Host header as received; emptied when any Service changes

    def start(self) -> Callable[[], None]:
        """Follow the Services; returns the way to stop."""
        return self._store.subscribe(SERVICES, self._on_service)

    def handle(self, exchange: Exchange) -> None:
        """Route one request. Raises NotFound for a host that means nothing here, Overloaded if nothing can serve it."""
        host = exchange.header(b"host") or b""
        backend = self._known.get(host)
        if backend is None:
            if host.partition(b":")[0].lower() == BROKER_HOST.encode():
                self._broker(exchange)
                return
            backend = self._known[host] = self._lookup(host.decode("latin-1"))
        revision = self._choose(backend)
        probe = exchange.header(_PROBE)
        if probe is not None and _answer_probe(exchange, probe, revision):
            return
        delay = delay_s(backend.delays, exchange.header(REGION_HEADER)) if backend.delays else 0.0
        Forward(exchange, revision, self._pool).begin(delay)

    def _choose(self, backend: Backend) -> LiveRevision:
        if not backend.revisions:
            raise Overloaded(backend.trouble)
        name = backend.revisions[0]
        if len(backend.revisions) > 1:
            name = self._rng.choices(backend.revisions, backend.shares)[0]
        revision = self._find(backend.namespace, name)
        if revision is None:
            raise Overloaded(f"revision {name} is being removed; try again")
        return revision

    def _lookup(self, host: str) -> Backend:
        place = parse_host(host)
        if place is not None:
            namespace, name = place
            # a Service's own name wins over another one's tag that spells the same
            own = self._services.get(place, {}).get(name)
            if own is not None:
                return own
            for (other, _), backends in self._services.items():
                if other == namespace and name in backends:
                    return backends[name]
        known = [f"{name}.{ns}.localhost" for (ns, _), backends in sorted(self._services.items()) for name in backends]
        raise NotFound(f"no service has the host {host!r}; known are {', '.join(known) or 'none'} and {BROKER_HOST}")

    def _on_service(self, kind: str, service: Json) -> None:
        self._known.clear()
        place = service["metadata"]["namespace"], service["metadata"]["name"]
        if kind == "DELETED":
            self._services.pop(place, None)
        else:
            self._services[place] = self._backends(service)

    def _backends(self, service: Json) -> dict[str, Backend]:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        trouble = _trouble(service)
        try:
            delays = self._network.delays(name, annotations_of(service).get(ANNOTATION, ""))
        except SetupError as error:
            delays, trouble = {}, f"service {name}: {error}"
        targets = (service.get("status") or {}).get("traffic") or []
        shares = {t["revisionName"]: 0 for t in targets if t.get("percent")}
        for target in targets:
            if target.get("percent"):
                shares[target["revisionName"]] += target["percent"]
        main = Backend(
            namespace=namespace,
            revisions=tuple(shares),
            shares=tuple(shares.values()),
            delays=delays,
            trouble=trouble,
        )
        tagged = {
            f"{target['tag']}-{name}": Backend(
                namespace=namespace, revisions=(target["revisionName"],), shares=(100,), delays=delays
            )
            for target in targets
            if target.get("tag")
        }
        return {**tagged, name: main}


def _trouble(service: Json) -> str:
    name = service["metadata"]["name"]
    ready = condition_of(service, "Ready") or {}
    return (
        f"service {name} has no ready revision: {ready.get('message') or ready.get('reason') or 'it is being set up'}"
    )


def _answer_probe(exchange: Exchange, probe: bytes, revision: LiveRevision) -> bool:
    """Answer as activator or queue-proxy would, before anything is counted or woken; False: it is the container's.

    In proxy mode the activator answers `activator` with its name and anything else with 400. Else queue-proxy takes
    only probes of Knative's own components, `queue` being the one it knows.
    """
    if revision.proxied:
        known = b"activator"
    elif (exchange.header(b"user-agent") or b"").startswith(b"Knative-"):
        known = b"queue"
    else:
        return False
    if probe == known:
        exchange.respond(200, _TEXT, known)
    else:
        exchange.respond(400, _TEXT, b'unexpected probe header value: "%b"' % probe)
    return True
