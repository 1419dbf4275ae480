"""Knative Eventing for one machine: wires controller, journal, dispatcher and ingress together."""

from pathlib import Path

from warmfront.runtime.addresses import Addresses
from warmfront.runtime.eventing.broker import MAX_PENDING, BrokerIngress
from warmfront.runtime.eventing.controller import Controller
from warmfront.runtime.eventing.delivery import Dispatcher
from warmfront.runtime.eventing.journal import DeadLetter, Journal, read_dead_letters
from warmfront.runtime.store import Store
from warmfront.wire.messages import Exchange
from warmfront.wire.pool import Pool


class Eventing:
    """Brokers and Triggers over one journal file, from `start` to `stop`; all on the event loop's thread.

    Store and pool stay the caller's. Events are delivered at least once, across kill -9 and restarts.
    """

    def __init__(
        self, store: Store, journal_path: Path, pool: Pool, addresses: Addresses, *, max_pending: int = MAX_PENDING
    ) -> None:
        self._path = journal_path
        self._journal = Journal(journal_path)
        self._controller = Controller(store, addresses, self._trigger_removed)
        self._dispatcher = Dispatcher(
            controller=self._controller, journal=self._journal, pool=pool, addresses=addresses
        )
        self._ingress = BrokerIngress(
            controller=self._controller,
            dispatcher=self._dispatcher,
            journal=self._journal,
            max_pending=max_pending,
        )

    async def start(self) -> None:
        """Take in Brokers and Triggers and go on with what an earlier process left undone."""
        self._controller.start()
        self._dispatcher.resume(self._journal.load())

    async def stop(self) -> None:
        """End deliveries, which go on after the next start, and close the journal."""
        self._controller.stop()
        self._dispatcher.stop()
        await self._journal.close()

    def handle(self, exchange: Exchange) -> None:
        """One request to the Broker ingress; see `BrokerIngress.handle`."""
        self._ingress.handle(exchange)

    @property
    def pending(self) -> int:
        """Deliveries that are accepted and not done."""
        return self._journal.pending

    def dead_letters(self) -> list[DeadLetter]:
        """What nobody took, with the reason, oldest first."""
        return read_dead_letters(self._path)

    def _trigger_removed(self, trigger: str) -> None:
        self._dispatcher.drop(trigger)
