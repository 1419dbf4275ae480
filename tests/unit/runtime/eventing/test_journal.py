"""The journal: what is on the disk after each step, and what a later process finds."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from warmfront.cloudevents import CloudEvent
from warmfront.errors import SetupError
from warmfront.runtime.eventing.journal import Failure, Journal, read_dead_letters

EVENT = CloudEvent(
    id="1", source="/s", type="t", subject="ü", time="2026-11-24T06:00:00Z", extensions={"a": "b"}, data=b"\x00\xff"
)
FAILURE = Failure(destination="http://x/", code=503, reason="answered 503", data=b"\xfe")


async def durable(journal: Journal) -> None:
    """All that is written so far is on the disk."""
    future = asyncio.get_running_loop().create_future()
    journal.when_durable(future.set_result)
    assert await future is None


def rows(path, table: str) -> int:
    """How many rows another connection sees."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_a_later_process_finds_what_is_not_done(tmp_path):
    """Event, Trigger, attempts, due time and failure come back as they were; what is done does not."""
    path = tmp_path / "j.db"

    async def first():
        journal = Journal(path)
        assert journal.load() == []
        fresh, failing, diverted, done = journal.accept("ns", "b", EVENT, ["a", "b", "c", "d"])
        failing = journal.postpone(failing, due_at=7.5)
        diverted = journal.postpone(journal.divert(diverted, FAILURE), due_at=9.5)
        journal.finish(done)
        await journal.close()
        return [fresh, failing, diverted]

    async def second(wanted):
        journal = Journal(path)
        assert journal.load() == wanted
        assert (journal.pending, journal.pending_bytes) == (3, 6)
        assert [(d.attempts, d.due_at, d.failure) for d in wanted] == [(0, 0, None), (1, 7.5, None), (1, 9.5, FAILURE)]
        (later,) = journal.accept("ns", "b", EVENT, ["e"])
        assert later.id > max(d.id for d in wanted)
        for delivery in (*wanted, later):
            journal.finish(delivery)
        assert (journal.pending, journal.pending_bytes) == (0, 0)
        await journal.close()

    asyncio.run(second(asyncio.run(first())))
    assert (rows(path, "events"), rows(path, "deliveries"), rows(path, "dead")) == (0, 0, 0)


def test_durable_means_another_process_sees_it(tmp_path):
    """When the callback comes the rows are committed; an event leaves with its last delivery."""
    path = tmp_path / "j.db"

    async def story():
        journal = Journal(path)
        one, two = journal.accept("ns", "b", EVENT, ["a", "b"])
        await durable(journal)
        assert (rows(path, "events"), rows(path, "deliveries")) == (1, 2)
        journal.finish(one)
        await durable(journal)
        assert (rows(path, "events"), rows(path, "deliveries")) == (1, 1)
        journal.finish(two)
        await durable(journal)
        assert (rows(path, "events"), rows(path, "deliveries")) == (0, 0)
        await journal.close()

    asyncio.run(story())


def test_writes_of_one_turn_share_a_transaction(tmp_path):
    """A thousand events written at once take one commit; those that come meanwhile take the next one."""

    async def story():
        journal = Journal(tmp_path / "j.db")
        commits = []
        journal._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        for _ in range(1000):
            journal.accept("ns", "b", EVENT, ["a"])
        await durable(journal)
        assert len(commits) == 1
        await journal.close()

    asyncio.run(story())


def test_dead_letters_can_be_read_while_the_journal_is_open(tmp_path):
    """With event, Trigger, reason and time; the delivery is done."""
    path = tmp_path / "a folder" / "j.db"
    path.parent.mkdir()
    assert read_dead_letters(path) == []

    async def story():
        journal = Journal(path)
        (delivery,) = journal.accept("ns", "b", EVENT, ["uid"])
        journal.bury(delivery, trigger="t", failure=FAILURE, now=12.5)
        await durable(journal)
        (dead,) = read_dead_letters(path)
        assert (dead.namespace, dead.broker, dead.trigger, dead.buried_at) == ("ns", "b", "t", 12.5)
        assert (dead.event, dead.failure) == (EVENT, FAILURE)
        assert journal.pending == 0
        await journal.close()
        assert len(read_dead_letters(path)) == 1

    asyncio.run(story())


def test_a_failed_write_is_reported_and_rolled_back(tmp_path, caplog):
    """Nothing of the transaction stays, the callback gets the error, and the next write works."""
    path = tmp_path / "j.db"

    async def story():
        journal = Journal(path)
        (kept,) = journal.accept("ns", "b", EVENT, ["a"])
        await durable(journal)
        journal.accept("ns", "b", EVENT, ["b"])
        journal._write("INSERT INTO nowhere VALUES (1)")
        future = asyncio.get_running_loop().create_future()
        journal.when_durable(future.set_result)
        assert "nowhere" in str(await future)
        assert rows(path, "deliveries") == 1
        journal.finish(kept)
        await durable(journal)
        assert rows(path, "deliveries") == 0
        await journal.close()

    asyncio.run(story())
    assert "free the disk" in caplog.text


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    """One line that names the file and what to do."""
    path = tmp_path / "j.db"
    path.write_bytes(b"this is a text, and it is long enough to be no database" * 10)
    with pytest.raises(SetupError, match=r"j\.db as the journal .* move the file away"):
        Journal(path)
