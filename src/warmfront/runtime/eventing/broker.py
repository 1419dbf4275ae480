"""The Brokers' front door: POST /NAMESPACE/BROKER takes events, 202 means they are on the disk."""

from warmfront.cloudevents import CloudEvent, Mode, decode, decode_batch, mode_of
from warmfront.errors import InvalidEvent, NotFound, Overloaded
from warmfront.runtime.eventing.controller import Controller
from warmfront.runtime.eventing.delivery import Dispatcher
from warmfront.runtime.eventing.journal import Journal
from warmfront.runtime.eventing.ttl import entering
from warmfront.wire.messages import Exchange

MAX_PENDING = 50_000
MAX_PENDING_BYTES = 256 * 1024 * 1024
"""Undone deliveries and bytes of their data; beyond them a Broker answers 429 until some are done."""

_ALLOW = (b"allow", b"POST, OPTIONS")


class BrokerIngress:
    """Answers 202 without a body for accepted events, single or batch. Raises what the caller's server renders:

    InvalidEvent (all faults at once), NotFound, Overloaded.
    """

    def __init__(
        self,
        *,
        controller: Controller,
        dispatcher: Dispatcher,
        journal: Journal,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self._controller = controller
        self._dispatcher = dispatcher
        self._journal = journal
        self._max_pending = max_pending

    def handle(self, exchange: Exchange) -> None:
        """One request; the answer comes when the events are durable."""
        if exchange.method == "OPTIONS":
            exchange.respond(200, [_ALLOW])
            return
        if exchange.method != "POST":
            exchange.respond(405, [_ALLOW], b"a Broker takes POST only\n")
            return
        namespace, broker = self._address(exchange.path)
        self._check_room()
        events = _events(exchange)

        def written(error: Exception | None) -> None:
            if error is None:
                exchange.respond(202, [])
            else:
                exchange.respond(503, [(b"retry-after", b"1")], b"the journal cannot be written; try again\n")

        self._dispatcher.publish(namespace, broker, events, written)

    def _address(self, path: str) -> tuple[str, str]:
        parts = path.strip("/").split("/")
        if len(parts) != 2:
            raise NotFound(f"path is {path}; wanted /NAMESPACE/BROKER")
        if not self._controller.serves(parts[0], parts[1]):
            raise NotFound(f"there is no Broker {parts[1]} in namespace {parts[0]}; see `kn broker list`")
        return parts[0], parts[1]

    def _check_room(self) -> None:
        pending, size = self._journal.pending, self._journal.pending_bytes
        if pending >= self._max_pending or size >= MAX_PENDING_BYTES:
            raise Overloaded(f"{pending} deliveries with {size} bytes are pending; try again later", status=429)


def _events(exchange: Exchange) -> list[CloudEvent]:
    if mode_of(exchange.headers) is not Mode.BATCH:
        return [entering(decode(exchange.headers, exchange.body))]
    faults: dict[str, str] = {}
    events = []
    for place, event in enumerate(decode_batch(exchange.headers, exchange.body)):
        try:
            events.append(entering(event))
        except InvalidEvent as error:
            faults |= {f"[{place}].{name}": fault for name, fault in error.faults.items()}
    if faults:
        raise InvalidEvent(faults)
    return events
