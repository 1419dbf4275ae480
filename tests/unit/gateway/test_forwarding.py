"""The life of a request between admission and outcome: every way it can end, over real sockets."""

import asyncio
import json

import pytest

from warmfront.domain import Status
from warmfront.wire.messages import Exchange


def ok(exchange: Exchange) -> None:
    exchange.respond(200, [(b"warmfront-execution-ms", b"1.5"), (b"warmfront-first-request", b"false")], b"ok")


def broken(exchange: Exchange) -> None:
    exchange.respond(500, [], b"no")


def silent(exchange: Exchange) -> None:
    """Never answers."""


def test_an_answer_becomes_an_outcome(play):
    """Status, latencies in order, the execution that the variant told; late when the deadline had passed."""

    async def scene(stage):
        await stage.variant("a", ok)
        await stage.ask(deadline_ms="5000")
        (outcome,) = stage.witness.outcomes
        assert outcome.status is Status.OK
        assert 0 < outcome.upstream_s <= outcome.latency_s < 5
        assert outcome.execution_s == 0.0015
        assert (outcome.cold, outcome.censored) == (False, False)
        assert stage.counter('warmfront_requests_total{task="t",variant="a",status="ok"}') == 1

    play(scene)


def test_an_answer_after_the_deadline_is_late_and_still_an_answer(play):
    """`degrade` is the default: the client gets what it can get, the outcome says LATE."""

    async def scene(stage):
        later = asyncio.get_running_loop().call_later
        await stage.variant("a", lambda e: later(0.05, e.respond, 200, []))
        assert (await stage.ask(deadline_ms="20")).status == 200
        assert [o.status for o in stage.witness.outcomes] == [Status.LATE]

    play(scene)


def test_the_first_request_of_a_replica_is_cold(play):
    """The variant knows best: its header makes the outcome cold, though a replica was seen ready."""

    async def scene(stage):
        await stage.variant("a", lambda e: e.respond(200, [(b"warmfront-first-request", b"true")], b""))
        assert (await stage.ask()).header(b"warmfront-cold-start") == b"true"
        assert stage.witness.outcomes[0].cold
        assert stage.counter('warmfront_cold_requests_total{task="t",variant="a"}') == 1

    play(scene)


def test_a_refused_connection_goes_to_the_next_variant(play):
    """Nobody listens at the best one: the second answers, the first's failure teaches no duration."""

    async def scene(stage):
        await stage.variant("dead", ok, 0.99, url="http://127.0.0.1:1")
        await stage.variant("alive", ok, 0.5)
        reply = await stage.ask(deadline_ms="5000")
        assert (reply.status, reply.header(b"warmfront-variant")) == (200, b"alive")
        first, second = stage.witness.outcomes
        assert (first.status, first.censored) == (Status.FAILED, False)
        assert second.status is Status.OK
        assert first.decision_id != second.decision_id
        assert stage.counter('warmfront_retries_total{task="t",variant="dead"}') == 1

    play(scene)


def test_a_failure_is_told_when_nobody_else_is_left(play, detail):
    """One variant, 500: 502 that names it; the client's protocol has no say in it."""

    async def scene(stage):
        await stage.variant("a", broken)
        reply = await stage.ask()
        assert reply.status == 502
        assert detail(reply) == "a answered 500; no reply from a variant"
        assert [o.status for o in stage.witness.outcomes] == [Status.FAILED]
        assert stage.counter('warmfront_requests_total{task="t",variant="a",status="failed"}') == 1

    play(scene)


def test_two_tries_are_the_most(play, detail):
    """With three failing variants the third is not asked."""

    async def scene(stage):
        for name in "abc":
            await stage.variant(name, broken)
        reply = await stage.ask()
        assert (reply.status, detail(reply).count("answered 500")) == (502, 2)
        assert len(stage.witness.outcomes) == 2

    play(scene)


def test_no_second_try_after_the_deadline(play, detail):
    """A variant that fails when the time is over is not replaced: the answer could only be late."""

    async def scene(stage):
        later = asyncio.get_running_loop().call_later
        await stage.variant("a", lambda e: later(0.05, e.respond, 500, []), 0.99)
        await stage.variant("b", ok, 0.5)
        reply = await stage.ask(deadline_ms="30")
        assert (reply.status, detail(reply)) == (502, "a answered 500; no reply from a variant")
        assert len(stage.witness.outcomes) == 1

    play(scene)


def test_a_variants_overload_is_passed_on(play, detail):
    """503 with the variant's own Retry-After when nobody else can; 429 of a variant is one too."""

    async def scene(stage):
        await stage.variant("a", lambda e: e.respond(503, [(b"retry-after", b"7")]))
        reply = await stage.ask()
        assert (reply.status, reply.header(b"retry-after")) == (503, b"7")
        await stage.variant("b", ok, 0.1)
        assert (await stage.ask()).status == 200

    play(scene)


def test_a_large_error_reply_is_not_waited_for(play):
    """An error whose body never ends is cut off and the next variant asked."""

    def endless(exchange: Exchange) -> None:
        exchange.start(500, [])
        exchange.write(b"x")

    async def scene(stage):
        await stage.variant("a", endless, 0.99)
        await stage.variant("b", ok, 0.5)
        assert (await stage.ask()).header(b"warmfront-variant") == b"b"

    play(scene)


def test_silence_until_the_transport_timeout_is_504(play, detail):
    """The time counts from receipt; the variant's duration is then known to be longer than what was waited."""

    async def scene(stage):
        await stage.variant("a", silent)
        reply = await stage.ask()
        assert (reply.status, "a " in detail(reply)) == (504, True)
        (outcome,) = stage.witness.outcomes
        assert (outcome.status, outcome.censored) == (Status.FAILED, True)
        assert outcome.latency_s >= 0.2
        assert 0 < outcome.upstream_s <= outcome.latency_s

    play(scene, timeout_s=0.2)


def test_a_reply_that_breaks_off_is_cut(play):
    """Half a reply must not look whole: the client's connection breaks."""

    def half(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-length", b"10")])
        exchange.write(b"12345")
        asyncio.get_running_loop().call_soon(exchange.abort)

    async def scene(stage):
        await stage.variant("a", half)
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            await stage.ask()
        assert [o.status for o in stage.witness.outcomes] == [Status.FAILED]

    play(scene)


def test_a_client_that_leaves_cancels_the_work(play):
    """The variant's connection is closed; the time so far is a lower bound of its duration."""

    async def scene(stage):
        arrived, cancelled = asyncio.Event(), asyncio.Event()

        def work(exchange: Exchange) -> None:
            exchange.on_disconnect = cancelled.set
            arrived.set()

        await stage.variant("a", work)
        asking = asyncio.ensure_future(stage.ask())
        await asyncio.wait_for(arrived.wait(), 5)
        assert stage.gateway.plane.admission.in_flight == 1
        asking.cancel()
        await asyncio.wait_for(cancelled.wait(), 5)
        (outcome,) = stage.witness.outcomes
        assert (outcome.status, outcome.censored) == (Status.LATE, True)
        assert stage.counter("warmfront_cancelled_total") == 1

    play(scene)


def test_a_slow_client_slows_the_variant(play):
    """Back-pressure: a client that reads nothing stops a large reply at the variant, and gets all of it in the end."""
    size = 30_000_000

    async def scene(stage):
        def large(exchange: Exchange) -> None:
            exchange.start(200, [])
            exchange.write(b"x" * size)
            exchange.finish()

        await stage.variant("a", large)
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1024)
        writer.write(b"POST /tasks/t HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 200")
        (connection,) = [c for c in stage.servers[0]._connections if c.current is not None]
        await stage.until(lambda: connection.write_paused)
        for _ in range(1000):  # nothing is read meanwhile: what waits here must stay small
            await asyncio.sleep(0)
        assert connection.transport.get_write_buffer_size() < size / 4
        received = 0
        while part := await reader.read(1_000_000):
            received += len(part)
        assert received > size
        writer.close()

    play(scene)


def test_limits_are_kept(play, detail):
    """Full: 503. Too many waiting for a start: 429 with the expected wait."""

    async def scene(stage):
        arrived = asyncio.Event()
        held: list[Exchange] = []

        def hold(exchange: Exchange) -> None:
            held.append(exchange)
            arrived.set()

        await stage.variant("a", hold, ready=0)
        waiting = asyncio.ensure_future(stage.ask())
        await asyncio.wait_for(arrived.wait(), 5)
        reply = await stage.ask()
        assert (reply.status, "cold start" in detail(reply)) == (429, True)
        assert int(reply.header(b"retry-after")) >= 1
        await stage.variant("b", ok)
        assert (await stage.ask()).status == 200
        held[0].respond(200, [], b"late but here")
        assert (await waiting).header(b"warmfront-cold-start") == b"true"

    play(scene, max_waiting=1)

    async def full(stage):
        arrived = asyncio.Event()
        held: list[Exchange] = []
        await stage.variant("a", lambda e: (held.append(e), arrived.set()))
        first = asyncio.ensure_future(stage.ask())
        await asyncio.wait_for(arrived.wait(), 5)
        reply = await stage.ask()
        assert (reply.status, reply.header(b"retry-after")) == (503, b"1")
        held[0].respond(200, [])
        assert (await first).status == 200

    play(full, max_in_flight=1)


def test_nothing_goes_to_an_address_outside_the_catalogue(play, detail):
    """A variant that left is not asked; one whose address is unusable is shown as unavailable with the reason."""

    async def scene(stage):
        await stage.variant("a", ok, url="https://elsewhere")
        reply = await stage.ask()
        assert (reply.status, "address 'https://elsewhere' is not usable" in detail(reply)) == (503, True)
        await stage.variant("b", ok)
        gone = stage.witness.catalogue["b"]
        stage.gateway.plane.targets.pop("b")
        assert (await stage.ask()).status == 503
        assert gone.variant.name == "b"

    play(scene)


def test_while_the_catalogue_is_read_nothing_is_unknown(play, detail):
    """Before the first list a task may yet appear: 503 with Retry-After, and not ready."""

    async def scene(stage):
        stage.gateway.plane.settled = lambda: False
        reply = await stage.ask()
        assert (reply.status, reply.header(b"retry-after")) == (503, b"1")
        assert "still being read" in detail(reply)
        ready = await stage.pool.fetch(f"http://127.0.0.1:{stage.port}", "GET", "/readyz", [], b"", timeout_s=5)
        assert ready.status == 503

    play(scene)


def test_every_request_leaves_a_row(play, tmp_path):
    """One JSON line per request with the documented facts, the refused one too."""
    path = tmp_path / "records.jsonl"

    async def scene(stage):
        await stage.variant("a", ok)
        await stage.ask(deadline_ms="4000")
        await stage.ask(min_accuracy="1", on_miss="reject")

    play(scene, records=path, run_id="run", seed=5)
    answered, rejected = map(json.loads, path.read_text().splitlines())
    assert (answered["run_id"], answered["seed"], answered["policy"]) == ("run", 5, "effective")
    assert (answered["variant"], answered["revision"], answered["status"]) == ("a", "a-1", "ok")
    assert answered["deadline_s"] == pytest.approx(4.0)
    assert 0 <= answered["queued_s"] <= answered["latency_s"]
    assert answered["on_time"] is True
    assert (rejected["variant"], rejected["status"], rejected["reason"]) == (None, "rejected", "unmet")
    assert rejected["min_accuracy"] == 1.0


def test_what_is_logged(play, caplog):
    """Every n-th request when asked for, with its trace; failures and degradations once a second per variant."""
    caplog.set_level("INFO", "warmfront")

    async def scene(stage):
        await stage.variant("a", ok, 0.5)
        for _ in range(4):
            await stage.ask(min_accuracy="0.9")
        await stage.variant("a", broken, 0.5)
        for _ in range(3):
            await stage.ask()

    play(scene, access_log=0.5)
    told = [(record.message, record.fields) for record in caplog.records if record.name.endswith("plane")]
    assert [fields["status"] for message, fields in told if message == "request"] == ["ok", "ok", "failed"]
    warnings = [message for message, _ in told if message != "request"]
    assert warnings == ["objective cannot be met, degraded", "variant failed: a answered 500"]


def test_what_the_selector_shows_says_what_it_is_for(play):
    """Estimates are for a nominal input, not an empty one; a variant of another protocol is named as such."""

    async def scene(stage):
        await stage.variant("a", ok)
        await stage.variant("tensors", ok, protocols=("open-inference",))
        url = f"http://127.0.0.1:{stage.port}"
        shown = json.loads((await stage.pool.fetch(url, "GET", "/tasks/t", [], b"", timeout_s=5)).body)
        assert shown["estimate_bytes"] == 100
        assert {one["variant"]: one["estimate"]["verdict"] for one in shown["variants"]} == {"a": "", "tensors": ""}
        decided = json.loads((await stage.ask(path="/decide/t")).body)
        verdicts = {one["variant"]: one["verdict"] for one in decided["candidates"]}
        assert verdicts.pop("a") == ""
        assert verdicts["tensors"].startswith("the body is no request of open-inference; send")

    play(scene)
