"""The durable list of what a Broker has accepted and not yet delivered, and of what could not be delivered.

What may live here: rows, transactions, what survives a failure. What must not: HTTP, triggers, retry rules.

Covered failures: kill -9 of the process, an operating system crash and a power cut (SQLite in WAL mode with
synchronous=FULL: the callback of a write comes after fsync). Not covered: loss of the disk.

Group commit: writes gather while the previous transaction is on its way to the disk, on a thread of its own, and go
together in the next one. So the event loop never waits for the disk, and thousands of events a second share a few
hundred fsyncs. Writes made without returning to the event loop between them share a transaction.
"""

import asyncio
import itertools
import logging
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from warmfront.cloudevents import CloudEvent
from warmfront.errors import SetupError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, namespace TEXT, broker TEXT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
  id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL, trigger TEXT NOT NULL, attempts INTEGER NOT NULL,
  due_at REAL NOT NULL, failure BLOB
);
CREATE INDEX IF NOT EXISTS deliveries_of_event ON deliveries (event_id);
CREATE TABLE IF NOT EXISTS dead (
  id INTEGER PRIMARY KEY, namespace TEXT, broker TEXT, trigger TEXT, body BLOB NOT NULL, failure BLOB NOT NULL,
  buried_at REAL NOT NULL
);
"""
_ACCEPT = "INSERT INTO events VALUES (?, ?, ?, ?)"
_DELIVER = "INSERT INTO deliveries VALUES (?, ?, ?, 0, 0, NULL)"
_UPDATE = "UPDATE deliveries SET attempts = ?, due_at = ?, failure = ? WHERE id = ?"
_DONE = "DELETE FROM deliveries WHERE id = ?"
_SWEEP = "DELETE FROM events WHERE id = ? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event_id = events.id)"
_BURY = "INSERT INTO dead VALUES (NULL, ?, ?, ?, ?, ?, ?)"
_LOAD = """
SELECT deliveries.id, trigger, attempts, due_at, failure, events.id, namespace, broker, body
FROM deliveries JOIN events ON events.id = event_id ORDER BY deliveries.id
"""
_DEAD = "SELECT namespace, broker, trigger, body, failure, buried_at FROM dead ORDER BY id"

_log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a destination did not take an event: HTTP status (500: no answer at all), its body, the reason in words."""

    destination: str
    code: int
    reason: str
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One accepted event and the Broker that accepted it."""

    id: int
    namespace: str
    broker: str
    event: CloudEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one Trigger (by uid). `attempts` failed so far; `due_at` is the next one's Unix time.

    With a `failure` the subscriber is given up and the event is on its way to the dead-letter sink.
    """

    id: int
    entry: Entry
    trigger: str
    attempts: int = 0
    due_at: float = 0.0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that nobody took: for which Trigger (by name), why, and when it was given up (Unix seconds)."""

    namespace: str
    broker: str
    trigger: str
    event: CloudEvent
    failure: Failure
    buried_at: float


Durable = Callable[[Exception | None], None]
"""Called on the event loop when a write is on the disk (None) or could not be written."""

_decode_event = msgspec.msgpack.Decoder(CloudEvent).decode
_decode_failure = msgspec.msgpack.Decoder(Failure).decode


class Journal:
    """All calls on the event loop's thread. `pending` deliveries and `pending_bytes` of their data are not done yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = _open(path)
        self._ids = itertools.count(1)
        self._statements: list[tuple[str, tuple[object, ...]]] = []
        self._waiting: list[Durable] = []
        self._busy = False
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self.pending = 0
        self.pending_bytes = 0

    def load(self) -> list[Delivery]:
        """What an earlier process left undone, in order of acceptance. Call once, before anything else."""
        entries: dict[int, Entry] = {}
        deliveries = []
        for row in self._db.execute(_LOAD):
            entry = entries.get(row[5])
            if entry is None:
                entry = Entry(id=row[5], namespace=row[6], broker=row[7], event=_decode_event(row[8]))
                entries[entry.id] = entry
            failure = None if row[4] is None else _decode_failure(row[4])
            delivery = Delivery(id=row[0], entry=entry, trigger=row[1], attempts=row[2], due_at=row[3], failure=failure)
            deliveries.append(delivery)
            self._count(delivery, 1)
        highest = self._db.execute("SELECT max(0, (SELECT max(id) FROM events), (SELECT max(id) FROM deliveries))")
        self._ids = itertools.count((highest.fetchone()[0] or 0) + 1)
        return deliveries

    def accept(self, namespace: str, broker: str, event: CloudEvent, triggers: Iterable[str]) -> list[Delivery]:
        """Keep an event with one delivery per Trigger; they may begin when they are durable."""
        entry = Entry(id=next(self._ids), namespace=namespace, broker=broker, event=event)
        deliveries = [Delivery(id=next(self._ids), entry=entry, trigger=trigger) for trigger in triggers]
        self._write(_ACCEPT, entry.id, namespace, broker, _encode(event))
        for delivery in deliveries:
            self._write(_DELIVER, delivery.id, entry.id, delivery.trigger)
            self._count(delivery, 1)
        return deliveries

    def when_durable(self, then: Durable) -> None:
        """Call back when everything written so far is on the disk, or could not be written."""
        self._waiting.append(then)
        self._begin()

    def postpone(self, delivery: Delivery, *, due_at: float) -> Delivery:
        """One more attempt has failed, the next is due then."""
        delivery = replace(delivery, attempts=delivery.attempts + 1, due_at=due_at)
        self._write(_UPDATE, delivery.attempts, due_at, _failure(delivery), delivery.id)
        return delivery

    def divert(self, delivery: Delivery, failure: Failure) -> Delivery:
        """The subscriber is given up; from now on the delivery goes to the dead-letter sink, attempts counted anew."""
        delivery = replace(delivery, attempts=0, due_at=0.0, failure=failure)
        self._write(_UPDATE, 0, 0.0, _failure(delivery), delivery.id)
        return delivery

    def finish(self, delivery: Delivery) -> None:
        """The delivery is done; its event goes with the last one."""
        self._write(_DONE, delivery.id)
        self._write(_SWEEP, delivery.entry.id)
        self._count(delivery, -1)

    def bury(self, delivery: Delivery, *, trigger: str, failure: Failure, now: float) -> None:
        """Nobody takes the event: keep it with the reason, and finish the delivery."""
        entry = delivery.entry
        self._write(_BURY, entry.namespace, entry.broker, trigger, _encode(entry.event), _encode(failure), now)
        self.finish(delivery)

    def forget(self, deliveries: Iterable[Delivery]) -> None:
        """These were accepted in a write that failed: they are no longer pending."""
        for delivery in deliveries:
            self._count(delivery, -1)

    async def close(self) -> None:
        """Wait until everything is written, then close the file."""
        while self._busy:
            written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.when_durable(partial(_resolve, written))
            await written
        self._writer.shutdown()
        self._db.close()

    def _count(self, delivery: Delivery, sign: int) -> None:
        self.pending += sign
        self.pending_bytes += sign * len(delivery.entry.event.data)

    def _write(self, statement: str, *values: object) -> None:
        self._statements.append((statement, values))
        self._begin()

    def _begin(self) -> None:
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        statements, self._statements = self._statements, []
        waiting, self._waiting = self._waiting, []
        loop = asyncio.get_running_loop()
        commit = self._writer.submit(self._commit, statements)
        commit.add_done_callback(lambda done: loop.call_soon_threadsafe(self._flushed, done, waiting))

    def _commit(self, statements: list[tuple[str, tuple[object, ...]]]) -> None:
        """One transaction; runs on the writer's thread, the only user of the connection after `load`."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in statements:
                self._db.execute(statement, values)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _flushed(self, commit: "Future[None]", waiting: list[Durable]) -> None:
        error = commit.exception()
        if error is not None:
            _log.error("cannot write %s: %s; free the disk, undone deliveries come again", self._path, error)
        if self._statements or self._waiting:
            self._flush()
        else:
            self._busy = False
        for then in waiting:
            then(error if error is None or isinstance(error, Exception) else RuntimeError(repr(error)))


def read_dead_letters(path: Path) -> list[DeadLetter]:
    """All dead letters in the journal, oldest first; may be asked while another process uses the file."""
    if not path.exists():
        return []
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        rows = db.execute(_DEAD).fetchall()
    finally:
        db.close()
    return [
        DeadLetter(
            namespace=namespace,
            broker=broker,
            trigger=trigger,
            event=_decode_event(body),
            failure=_decode_failure(failure),
            buried_at=buried_at,
        )
        for namespace, broker, trigger, body, failure, buried_at in rows
    ]


def _resolve(future: asyncio.Future[None], _: Exception | None) -> None:
    future.set_result(None)


def _failure(delivery: Delivery) -> bytes | None:
    return None if delivery.failure is None else _encode(delivery.failure)


def _open(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(_SCHEMA)
        # A process that died between two rows of a Trigger's removal may leave an event without deliveries.
        db.execute("DELETE FROM events WHERE id NOT IN (SELECT event_id FROM deliveries)")
    except sqlite3.Error as error:
        raise SetupError(f"cannot use {path} as the journal of events ({error}); move the file away") from error
    return db
