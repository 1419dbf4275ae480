"""What survives kill -9 of the process that hosts the Broker."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path

from warmfront.cloudevents import CloudEvent, encode
from warmfront.kube.resources import BROKERS, TRIGGERS
from warmfront.runtime.eventing import read_dead_letters
from warmfront.runtime.store import Store
from warmfront.wire.pool import Pool

HOST = Path(__file__).parent / "host.py"


@asynccontextmanager
async def hosted(state: Path, end: signal.Signals | None = None):
    """The host's port; on leaving it is killed with `end`, or asked to end when None."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, HOST, state, stdin=pipe, stdout=pipe)
    try:
        yield int(await process.stdout.readline())
    finally:
        if end is None:
            process.stdin.close()
        else:
            os.kill(process.pid, end)
        code = await process.wait()
    assert code == (0 if end is None else -end)


def prepare(state: Path, url: str, **spec) -> None:
    """A Broker and a Trigger in the store, as an earlier run would have left them."""
    store = Store(state / "store.db")
    store.create(BROKERS, {"metadata": {"name": "b", "namespace": "ns"}, "spec": {}})
    trigger = {"broker": "b", "subscriber": {"uri": url}, **spec}
    store.create(TRIGGERS, {"metadata": {"name": "t", "namespace": "ns"}, "spec": trigger})
    store.close()


def attempts_on_disk(state: Path) -> int:
    """Of the only delivery."""
    with closing(sqlite3.connect(state / "journal.db")) as db:
        return db.execute("SELECT attempts FROM deliveries").fetchone()[0]


async def send_all(pool: Pool, port: int, ids: range) -> None:
    """Events with these numbers as ids, fifty at a time, all accepted."""
    gate = asyncio.Semaphore(50)

    async def send(number: int) -> None:
        async with gate:
            message = encode(CloudEvent(id=str(number), source="/crash", type="t", data=b"x" * 100))
            response = await pool.fetch(f"http://127.0.0.1:{port}", "POST", "/ns/b", *message, timeout_s=30)
            assert response.status == 202

    await asyncio.gather(*map(send, ids))


def test_a_thousand_accepted_events_survive_kill_9(run, tmp_path):
    """A third is refused, a third hangs and a third is taken when the process is killed; after a restart all arrive."""

    async def story(world):
        revived, taken = False, set()

        def answer(exchange, _):
            number = int(exchange.header(b"ce-id"))
            if revived or number % 3 == 0:
                taken.add(number)
                exchange.respond(202, [])
            elif number % 3 == 1:
                exchange.respond(503, [(b"retry-after", b"3600")])

        subscriber = await world.subscriber(answer)
        prepare(tmp_path, subscriber.url, delivery={"retry": 10, "retryAfterMax": "PT1S"})
        async with hosted(tmp_path, signal.SIGKILL) as port:
            await send_all(world.pool, port, range(1000))
            assert len(taken) < 1000
        revived = True
        async with hosted(tmp_path):
            while len(taken) < 1000:
                await subscriber.received(len(subscriber.requests) + 1)
        assert taken == set(range(1000))

    run(story, folder="world")


def test_attempts_are_counted_across_a_crash(run, tmp_path, eventually):
    """A subscriber that keeps failing gets 1 + retries attempts in all, then comes the dead letter, crash or not."""

    async def story(world):
        subscriber = await world.subscriber(lambda exchange, _: exchange.respond(500, [(b"x", b"y")], b"broken"))
        delay = {"backoffPolicy": "linear", "backoffDelay": "PT0.5S"}
        prepare(tmp_path, subscriber.url, delivery={"retry": 3, **delay})
        async with hosted(tmp_path, signal.SIGKILL) as port:
            await send_all(world.pool, port, range(1))
            await subscriber.received(3)  # the third retry is a second away
            await eventually(lambda: attempts_on_disk(tmp_path) == 3)
        async with hosted(tmp_path):
            await eventually(lambda: read_dead_letters(tmp_path / "journal.db"))
        (dead,) = read_dead_letters(tmp_path / "journal.db")
        assert (len(subscriber.requests), dead.failure.data, dead.trigger) == (4, b"broken", "t")

    run(story, folder="world")


def test_a_reply_is_not_lost_between_delivery_and_broker(run, tmp_path):
    """Reply and end of the delivery are one transaction: killed while answers hang, every event's answer arrives."""

    async def story(world):
        revived, answers, done = False, set(), asyncio.Event()

        def answer(exchange, _):
            number = int(exchange.header(b"ce-id"))
            if exchange.header(b"ce-type") == b"t":
                exchange.respond(200, *encode(CloudEvent(id=str(number), source="/selector", type="answer")))
            elif revived or number % 2:
                answers.add(number)
                exchange.respond(202, [])
            if len(answers) == 300:
                done.set()

        subscriber = await world.subscriber(answer)
        prepare(tmp_path, subscriber.url)
        async with hosted(tmp_path, signal.SIGKILL) as port:
            await send_all(world.pool, port, range(300))
            assert not done.is_set()
        revived = True
        async with hosted(tmp_path), asyncio.timeout(30):
            await done.wait()
        assert answers == set(range(300))

    run(story, folder="world")
