"""What a mistake in the selector itself leaves behind: an answer for everyone, and nothing open."""

import asyncio

from warmfront.domain import Request
from warmfront.gateway import events, replies
from warmfront.wire.messages import Exchange


def ok(exchange: Exchange) -> None:
    exchange.respond(200, [(b"content-type", b"text/plain")], b"ok")


def broken(*_: object, **__: object) -> None:
    """A mistake."""
    raise KeyError("a mistake")


def assert_ended(stage) -> None:
    """Nobody waits for an event any more, and the selector was told how each try ended."""
    assert list(stage.gateway.events.duplicates.in_flight()) == []
    now = stage.gateway.plane.clock()
    decision = stage.witness.decide(Request(id="1", task="t", size_bytes=1, arrival_at=now), now)
    assert [one.in_flight for one in decision.alternatives] == [0]


def test_a_mistake_while_a_reply_event_is_made_ends_the_events_flight(play, detail, monkeypatch, caplog):
    """Everyone who joined the execution gets a 500, and the next delivery runs again."""

    async def scene(stage):
        held: list[Exchange] = []
        await stage.variant("a", held.append)
        deliveries = [asyncio.ensure_future(stage.event()) for _ in range(2)]
        await stage.until(lambda: held and stage.counter('warmfront_duplicates_total{answer="joined"}'))
        with monkeypatch.context() as patch:
            patch.setattr(events.EventReply, "_response", broken)
            ok(held.pop())
            replies_ = await asyncio.gather(*deliveries)
        assert [reply.status for reply in replies_] == [500, 500]
        assert "an error inside the selector" in detail(replies_[0])
        assert_ended(stage)
        again = asyncio.ensure_future(stage.event())
        await stage.until(lambda: held)
        ok(held.pop())
        assert (await again).status == 200

    play(scene)
    assert "KeyError: 'a mistake'" in caplog.text


def test_a_mistake_before_an_event_is_sent_ends_its_flight(play, monkeypatch, caplog):
    """Be it in the request or in the refusal that was to be sent."""

    async def scene(stage):
        await stage.variant("a", ok)
        with monkeypatch.context() as patch:
            patch.setattr(stage.gateway.intake, "request", broken)
            assert (await stage.event("1")).status == 500
        with monkeypatch.context() as patch:
            patch.setattr(events.EventReply, "_rejected", broken)
            assert (await stage.event("2", minaccuracy="1", onmiss="reject")).status == 422
        assert_ended(stage)
        assert (await stage.event("1")).status == 200

    play(scene)
    assert caplog.text.count("KeyError: 'a mistake'") == 2


def test_a_mistake_while_a_reply_is_passed_on_is_a_500(play, detail, monkeypatch, caplog):
    """The client is told and not left to wait; the request counts as failed, the variant's try does not."""

    async def scene(stage):
        await stage.variant("a", ok)
        with monkeypatch.context() as patch:
            patch.setattr(replies, "explain", broken)
            reply = await stage.ask()
        assert (reply.status, "an error inside the selector" in detail(reply)) == (500, True)
        assert stage.counter('warmfront_requests_total{task="t",variant="a",status="failed"}') == 1
        assert stage.witness.outcomes[0].status.value == "ok"
        assert_ended(stage)
        assert (await stage.ask()).status == 200

    play(scene)
    assert "KeyError: 'a mistake'" in caplog.text


def test_a_mistake_in_the_second_try_is_a_500(play, detail, monkeypatch, caplog):
    """Nothing above the pool's callback would answer the client."""

    async def scene(stage):
        await stage.variant("a", lambda e: e.respond(500, []), 0.99)
        await stage.variant("b", ok, 0.5)
        started, tries = stage.gateway.plane.selector.started, []

        def second_breaks(decision, now):
            tries.append(decision)
            started(decision, now)
            if len(tries) == 2:
                broken()

        monkeypatch.setattr(stage.gateway.plane.selector, "started", second_breaks, raising=False)
        reply = await stage.ask()
        assert (reply.status, "an error inside the selector" in detail(reply)) == (500, True)

    play(scene)
    assert "KeyError: 'a mistake'" in caplog.text
