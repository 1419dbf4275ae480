"""Replicas of one selector over real sockets: what they tell, whom they believe, what they show."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from warmfront.domain import Lesson, Observation, PeerReport, Profile, Spread, Variant, Verdict
from warmfront.gateway import peers as exchange_module
from warmfront.gateway.app import build_selector, fault
from warmfront.gateway.gateway import Gateway
from warmfront.gateway.settings import Settings
from warmfront.wire.server import Server

LESSON = Lesson("v", "v-1", 100, 0.5, 0.4, 1.0, waited=False, cold=False, censored=False)
OBSERVATION = Observation(
    variant=Variant(
        name="v", task="t", revision="v-1", url="http://127.0.0.1:9", concurrency=2,
        profile=Profile(accuracy=0.9, latency_s=Spread(p50=0.1, p95=0.2)),
    ),
    ready=1,
)  # fmt: skip


@asynccontextmanager
async def replica(stage, **settings) -> AsyncIterator[tuple[Gateway, int]]:
    """One more selector beside the stage's own, at a port of its own."""
    settings = Settings(**settings)
    gateway = Gateway(settings, build_selector(settings), stage.pool)
    gateway.update(OBSERVATION)
    server = Server(gateway.handle, fault=fault)
    try:
        yield gateway, await server.listen("127.0.0.1", 0)
    finally:
        gateway.peers.close()
        await server.close(0)
        gateway.close()


def in_flight(gateway) -> int:
    """What `gateway` believes is in flight at the variant, its own and its peers'."""
    document = gateway._task_document("t")
    return document["variants"][0]["estimate"]["in_flight"]


async def post(stage, report, **headers):
    body = report if isinstance(report, bytes) else msgspec.json.encode(report)
    fields = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return await stage.pool.fetch(f"http://127.0.0.1:{stage.port}", "POST", "/peers", fields, body, timeout_s=20)


def test_two_replicas_count_each_others_requests(play):
    """A request held at one shows at the other within an exchange, and is gone there once it was answered."""

    async def scene(stage):
        held = []
        await stage.variant("v", held.append)
        async with replica(stage) as (other, port):
            for gateway in (stage.gateway, other):
                gateway.peers.members = lambda: frozenset({("127.0.0.1", stage.port), ("127.0.0.1", port)})
                gateway.peers.start()
            asked = asyncio.create_task(stage.ask())
            await stage.until(lambda: held and in_flight(other) == 1)
            await stage.until(lambda: in_flight(stage.gateway) == 1)  # its own, told to itself, is not counted twice
            held[0].respond(200, [], b"done")
            assert (await asked).status == 200
            await stage.until(lambda: in_flight(other) == 0)
            assert stage.gateway.peers.describe() == other.peers.describe() == "1 of 1 reached"
            shown = stage.gateway.peers.document()
            (peer,), (heard,) = shown["peers"], shown["heard"]
            assert peer["address"] == f"127.0.0.1:{port}"
            assert (heard["name"], heard["in_flight"]) == (other.peers.name, 0)
            reply = await stage.pool.fetch(f"http://127.0.0.1:{port}", "GET", "/peers", [], b"", timeout_s=20)
            assert json.loads(reply.body)["name"] == other.peers.name
        stage.gateway.peers.close()

    play(scene)


def test_nothing_new_is_told_once_a_second(play, monkeypatch):
    """At rest only heartbeats go out; with a request in flight every tick tells, and once more after its end."""

    async def scene(stage):
        now = [100.0]
        stage.gateway.plane.clock = lambda: now[0]
        told = []
        peers = stage.gateway.peers
        monkeypatch.setattr(peers, "_tell", lambda address, body: told.append(msgspec.json.decode(body)["in_flight"]))
        peers.tick()
        assert told == [], "nobody is there to be told"
        peers.members = lambda: frozenset({("10.0.0.9", 8080)})

        def ticks(number):
            before = len(told)
            for _ in range(number):
                now[0] += 0.25
                peers.tick()
            return len(told) - before

        assert ticks(40) == 10
        held = []
        await stage.variant("v", held.append)
        asked = asyncio.create_task(stage.ask())
        await stage.until(lambda: held)
        assert ticks(8) == 8
        held[0].respond(200, [], b"")
        await asked
        assert ticks(8) in (2, 3)
        assert (told[9], told[17], told[-1]) == ({}, {"v": 1}, {})

    play(scene)


def test_reports_are_taken_from_replicas_only(play, detail):
    """No replica's address, or through a proxy: 401 with the reason. A replica's address, directly: taken."""

    async def scene(stage):
        report = PeerReport(peer="p", in_flight={"v": 3})
        refused = await post(stage, report)
        assert (refused.status, "127.0.0.1 is none" in detail(refused)) == (401, True)
        stage.gateway.peers.members = lambda: frozenset({("127.0.0.1", 1)})
        assert (await post(stage, report, x_forwarded_for="10.0.0.1")).status == 401
        assert (await post(stage, report, forwarded="for=10.0.0.1")).status == 401
        assert stage.gateway.peers.document()["heard"] == []
        taken = await post(stage, report)
        assert (taken.status, json.loads(taken.body)) == (200, {"peer": stage.gateway.peers.name})
        assert stage.gateway.peers.document()["heard"][0]["in_flight"] == 3

    play(scene)


def test_a_token_replaces_the_address(play):
    """With a token set, whoever has it may tell, from anywhere; replicas send it to each other."""

    async def scene(stage):
        report = PeerReport(peer="p", in_flight={})
        assert (await post(stage, report)).status == 401
        assert (await post(stage, report, authorization="Bearer wrong")).status == 401
        assert (await post(stage, report, authorization="Bearer s3cret")).status == 200
        async with replica(stage, token="s3cret") as (other, _):
            other.peers.members = lambda: frozenset({("127.0.0.1", stage.port)})
            other.peers.tick()
            await stage.until(lambda: other.peers.describe() == "1 of 1 reached")

    play(scene, token="s3cret")


@pytest.mark.parametrize(
    "report",
    [
        b"no JSON",
        b"{}",
        PeerReport(peer="p", in_flight={"v": -1}),
        PeerReport(peer="p", in_flight={"v": 10**9}),
        PeerReport(peer="p", in_flight={}, lessons=(LESSON._replace(upstream_s=0.0),)),
        PeerReport(peer="p", in_flight={}, lessons=(LESSON._replace(execution_s=-1.0),)),
        PeerReport(peer="p", in_flight={}, lessons=(LESSON._replace(z=1e300),)),
        PeerReport(peer="p", in_flight={}, verdicts=(Verdict("v", "v-1", 10, 1.5),)),
    ],
)
def test_a_report_that_cannot_be_is_refused_whole(play, detail, report):
    """400, and nothing of it is believed."""

    async def scene(stage):
        stage.gateway.peers.members = lambda: frozenset({("127.0.0.1", 1)})
        reply = await post(stage, report)
        assert (reply.status, "only selectors post here" in detail(reply)) == (400, True)
        assert stage.gateway.peers.document()["heard"] == []

    play(scene)


def test_peers_that_do_not_answer_are_told_apart(play):
    """Refused, a server that is no selector, one that says no: none counts as reached, and telling goes on."""

    async def scene(stage):
        async def nonsense(status):
            server = Server(lambda exchange: exchange.respond(status, [], b"hello"))
            stage.servers.append(server)
            return await server.listen("127.0.0.1", 0)

        stage.servers.append(gone := Server(lambda _: None))
        closed = await gone.listen("127.0.0.1", 0)
        await gone.close(0)
        stage.servers.remove(gone)
        peers = stage.gateway.peers
        addresses = frozenset({("127.0.0.1", port) for port in (closed, await nonsense(200), await nonsense(404))})
        peers.members = lambda: addresses
        peers.tick()
        peers._beat_at = 0.0
        peers.tick()  # while the first is under way
        await stage.until(lambda: not peers._under_way)
        assert peers.describe() == "0 of 3 reached"
        assert {peer["reached_ms_ago"] for peer in peers.document()["peers"]} == {None}

    play(scene)


def test_those_long_silent_are_shown_no_more(play):
    """A minute after its last report a peer is not listed; its counts went after two seconds."""

    async def scene(stage):
        now = [100.0]
        stage.gateway.plane.clock = lambda: now[0]
        stage.gateway.update(OBSERVATION)
        peers = stage.gateway.peers
        peers.members = lambda: frozenset({("127.0.0.1", 1)})
        await post(stage, PeerReport(peer="p", in_flight={"v": 3}))
        assert in_flight(stage.gateway) == 3
        now[0] += 2.0
        assert in_flight(stage.gateway) == 0
        assert len(peers.document()["heard"]) == 1
        now[0] += exchange_module.FORGOTTEN_AFTER_S
        peers.members = frozenset
        peers.tick()
        assert peers.document()["heard"] == []

    play(scene)
