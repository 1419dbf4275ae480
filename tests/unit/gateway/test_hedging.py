"""A second variant asked beside the first, over real sockets: who wins, what the client is told, what is counted."""

import asyncio
import json

import pytest

from warmfront.domain import Observation, Status
from warmfront.wire.messages import Exchange

# the last safe moment is about the middle of the deadline, and a second asked 0.2 s late may still answer in time
DEADLINE_MS, DEADLINE_S, P95_S = "600", 0.6, 0.3


def ok(exchange: Exchange) -> None:
    exchange.respond(200, [(b"content-type", b"text/plain")], b"second")


def broken(exchange: Exchange) -> None:
    exchange.respond(500, [], b"no")


class Held:
    """A variant that answers when it is told to."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.gone: list[Exchange] = []

    def __call__(self, exchange: Exchange) -> None:
        exchange.on_disconnect = lambda: self.gone.append(exchange)
        self.exchanges.append(exchange)

    @property
    def left(self) -> int:
        """How many were cancelled by the selector."""
        return len(self.gone)

    def answer(self, status=200, body=b"first") -> None:
        self.exchanges[-1].respond(status, [(b"content-type", b"text/plain")], body)


@pytest.fixture
def first() -> Held:
    return Held()


@pytest.fixture
def second() -> Held:
    return Held()


def hedges(stage, variant, result) -> float:
    return stage.counter(f'warmfront_hedges_total{{task="t",variant="{variant}",result="{result}"}}')


async def both(stage, first, second, **variants) -> None:
    """The first is chosen, for it is right more often. 19 of 20 answers are said to take 0.3 s at most."""
    await stage.variant("first", first, 0.9, p95_s=P95_S)
    await stage.variant("second", second, 0.8, p95_s=P95_S, **variants)


def idle(stage) -> bool:
    return not stage.gateway.plane.selector.report("me", stage.gateway.plane.clock()).in_flight


def test_a_second_answers_when_the_first_hangs(play, first, tmp_path):
    """The reply says whose it is and that two were asked; the first is left, and what it took is a lower bound."""

    async def scene(stage):
        await both(stage, first, ok)
        reply = await stage.ask(deadline_ms=DEADLINE_MS)
        assert (reply.status, reply.body) == (200, b"second")
        assert (reply.header(b"warmfront-variant"), reply.header(b"warmfront-hedged")) == (b"second", b"true")
        cut, answered = stage.witness.outcomes
        assert (cut.status, cut.censored) == (Status.LATE, True)
        assert answered.status in (Status.OK, Status.LATE)
        assert not answered.censored
        assert reply.header(b"warmfront-decision-id").decode() == answered.decision_id != cut.decision_id
        await stage.until(lambda: first.left)
        assert idle(stage)
        assert hedges(stage, "second", "won") == 1
        assert stage.counter('warmfront_retries_total{task="t",variant="first"}') == 0

    play(scene, hedge=True, records=tmp_path / "rows.jsonl")
    (row,) = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert (row["hedged"], row["variant"]) == (True, "second")


def test_who_answers_in_time_is_alone(play, second):
    """No second one, and no word of it."""

    async def scene(stage):
        await both(stage, ok, second)
        reply = await stage.ask(deadline_ms=DEADLINE_MS)
        assert reply.header(b"warmfront-hedged") is None
        await asyncio.sleep(DEADLINE_S)
        assert not second.exchanges
        assert len(stage.witness.outcomes) == 1

    play(scene, hedge=True)


def test_it_is_off_by_default(play, first, second):
    """The first is waited for, whatever it takes."""

    async def scene(stage):
        await both(stage, first, second)
        asked = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await asyncio.sleep(DEADLINE_S)
        first.answer()
        assert (await asked).header(b"warmfront-hedged") is None
        assert not second.exchanges

    play(scene)


def test_the_first_may_still_win(play, first, second):
    """Its answer comes while the second is at work: that one is cancelled, no failure and no lesson but a bound."""

    async def scene(stage):
        await both(stage, first, second)
        asked = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await stage.until(lambda: second.exchanges)
        first.answer()
        reply = await asked
        assert (reply.body, reply.header(b"warmfront-variant")) == (b"first", b"first")
        assert reply.header(b"warmfront-hedged") == b"true"
        await stage.until(lambda: second.left)
        cut, answered = stage.witness.outcomes
        assert (cut.status, cut.censored) == (Status.LATE, True)
        assert reply.header(b"warmfront-decision-id").decode() == answered.decision_id
        assert idle(stage)
        assert hedges(stage, "second", "lost") == 1

    play(scene, hedge=True)


def test_a_first_that_streams_has_won(play, first, second):
    """A reply without length goes to the client as it comes: from then on there is no other."""

    async def scene(stage):
        await both(stage, first, second)
        asked = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await stage.until(lambda: second.exchanges)
        first.exchanges[0].start(200, [])
        await stage.until(lambda: second.left)
        first.exchanges[0].write(b"in ")
        first.exchanges[0].write(b"pieces")
        first.exchanges[0].finish()
        assert (await asked).body == b"in pieces"

    play(scene, hedge=True)


def test_a_second_that_streams_wins_when_it_is_whole(play, first):
    """Its pieces are collected as long as the first may answer."""

    def pieces(exchange):
        exchange.start(200, [])
        exchange.write(b"second, ")
        exchange.write(b"in pieces")
        exchange.finish()

    async def scene(stage):
        await both(stage, first, pieces)
        assert (await stage.ask(deadline_ms=DEADLINE_MS)).body == b"second, in pieces"

    play(scene, hedge=True)


@pytest.mark.parametrize("status", [400, 415, 429, 500, 503])
def test_a_second_without_an_answer_leaves_it_to_the_first(play, first, status):
    """It fails, is overloaded or turns the input down: the first one's answer counts."""

    async def scene(stage):
        await both(stage, first, lambda exchange: exchange.respond(status, [], b"no"))
        asked = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await stage.until(lambda: stage.witness.outcomes)
        refused = status in (400, 415)
        assert stage.witness.outcomes[0].status is (Status.REJECTED if refused else Status.FAILED)
        assert not asked.done()
        first.answer()
        assert (await asked).body == b"first"
        assert hedges(stage, "second", "failed") == 1

    play(scene, hedge=True)


def test_a_second_that_cannot_be_reached_leaves_it_to_the_first(play, first):
    """Nobody listens there."""

    async def scene(stage):
        await both(stage, first, ok, url="http://127.0.0.1:1")
        asked = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await stage.until(lambda: stage.witness.outcomes)
        first.answer()
        assert (await asked).body == b"first"

    play(scene, hedge=True)


def test_a_second_with_too_much_to_say_leaves_it_to_the_first(play, first):
    """Ten bytes are the limit of a reply here."""

    async def scene(stage):
        await both(stage, first, lambda exchange: exchange.respond(200, [], b"x" * 11))
        asked = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await stage.until(lambda: stage.witness.outcomes)
        first.answer()
        assert (await asked).body == b"first"

    play(scene, hedge=True, max_reply_bytes=10)


@pytest.mark.parametrize("late", [False, True])
def test_a_first_that_fails_leaves_it_to_the_second(play, first, second, late):
    """The second goes on alone, its head come already or not; a third is not asked."""
    third = Held()

    async def scene(stage):
        await both(stage, first, second)
        await stage.variant("third", third, 0.3)
        asked = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await stage.until(lambda: second.exchanges)
        if late:
            second.exchanges[0].start(200, [(b"content-length", b"6")])
            second.exchanges[0].write(b"sec")
            await asyncio.sleep(0.02)
        first.answer(500)
        await stage.until(lambda: stage.witness.outcomes)
        if late:
            second.exchanges[0].write(b"ond")
            second.exchanges[0].finish()
        else:
            second.answer(body=b"second")
        reply = await asked
        assert (reply.status, reply.body, reply.header(b"warmfront-hedged")) == (200, b"second", b"true")
        assert [o.status is Status.FAILED for o in stage.witness.outcomes] == [True, False]
        assert not third.exchanges
        assert idle(stage)

    play(scene, hedge=True)


def test_both_fail(play, first, detail):
    """502 that names both; nobody else is asked."""
    third = Held()

    async def scene(stage):
        await both(stage, first, broken)
        await stage.variant("third", third, 0.3)
        reply = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await stage.until(lambda: stage.witness.outcomes)
        first.answer(500)
        told = await reply
        assert told.status == 502
        assert detail(told) == "second answered 500, then first answered 500; no reply from a variant"
        assert not third.exchanges

    play(scene, hedge=True)


def test_a_first_that_fails_early_is_tried_elsewhere_once(play, second):
    """Before the last safe moment that is a second try as ever, and then nobody is asked beside it."""
    third = Held()

    async def scene(stage):
        await both(stage, broken, second)
        await stage.variant("third", third, 0.3)
        asked = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await stage.until(lambda: second.exchanges)
        await asyncio.sleep(DEADLINE_S)
        assert not third.exchanges
        second.answer(body=b"second")
        reply = await asked
        assert (reply.body, reply.header(b"warmfront-hedged")) == (b"second", None)

    play(scene, hedge=True)


def test_a_client_that_leaves_leaves_both(play, first, second):
    """Both are stopped, both outcomes are bounds."""

    async def scene(stage):
        await both(stage, first, second)
        asked = asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS))
        await stage.until(lambda: second.exchanges)
        asked.cancel()
        await stage.until(lambda: first.left and second.left)
        assert [(o.status, o.censored) for o in stage.witness.outcomes] == [(Status.LATE, True)] * 2
        assert idle(stage)

    play(scene, hedge=True)


def test_an_event_has_one_answer_however_many_were_asked(play, first):
    """Delivered again while two are at work it joins them; delivered once more it gets the kept answer."""

    async def scene(stage):
        await both(stage, first, ok)
        one = asyncio.create_task(stage.event("e1", deadlinems=DEADLINE_MS))
        await stage.until(lambda: first.exchanges)
        two = asyncio.create_task(stage.event("e1", deadlinems=DEADLINE_MS))
        replies = [await one, await two]
        first.answer()
        replies.append(await stage.event("e1", deadlinems=DEADLINE_MS))
        assert {reply.body for reply in replies} == {b"second"}
        assert {reply.header(b"ce-id") for reply in replies} == {replies[0].header(b"ce-id")}
        assert [reply.header(b"ce-hedged") for reply in replies] == [b"true"] * 3
        assert {reply.header(b"ce-variant") for reply in replies} == {b"second"}
        assert len(first.exchanges) == 1

    play(scene, hedge=True)


def test_a_start_that_turns_out_impossible_leaves_it_to_the_second(play, first, second):
    """The first was waited for; its image is missing, says the platform, while the second is at work."""

    async def scene(stage):
        await stage.variant("first", first, 0.99, ready=0)
        await stage.variant("second", second, 0.3, p95_s=P95_S)
        asked = asyncio.create_task(stage.ask(deadline_ms="1500"))
        await stage.until(lambda: second.exchanges)
        variant = stage.gateway.plane.selector.catalogue["first"].variant
        stage.gateway.update(Observation(variant=variant, available=False, reason="no image"))
        await stage.until(lambda: stage.witness.outcomes)
        second.answer(body=b"second")
        assert (await asked).body == b"second"

    play(scene, hedge=True, platform="laptop")


def test_a_start_that_comes_too_late_is_left(play, first):
    """The first was waited for by this request alone; when the second has answered nobody waits for it."""

    async def scene(stage):
        await stage.variant("first", first, 0.99, ready=0)
        await stage.variant("second", ok, 0.3, p95_s=P95_S)
        reply = await stage.ask(deadline_ms="1500")
        assert (reply.body, reply.header(b"warmfront-cold-start")) == (b"second", b"false")
        assert not stage.gateway.plane.targets["first"].waiting

    play(scene, hedge=True, platform="laptop")


def test_feedback_on_a_second_ones_answer(play, first):
    """It names the decision that the reply names."""

    async def scene(stage):
        await both(stage, first, ok)
        id_ = (await stage.ask(deadline_ms=DEADLINE_MS)).header(b"warmfront-decision-id").decode()
        body = json.dumps({"decision_id": id_, "correct": True}).encode()
        assert (await stage.event("f", body, type="dev.warmfront.feedback")).status == 202
        assert [told.decision_id for told in stage.witness.feedback] == [id_]

    play(scene, hedge=True)


def test_a_decision_tells_when_a_second_one_would_be_asked(play):
    """`/decide` asks nobody; null when it is off."""

    async def told(stage) -> float | None:
        await both(stage, ok, ok)
        body = (await stage.ask(path="/decide/t", deadline_ms=DEADLINE_MS)).body
        return json.loads(body)["hedge_after_ms"]

    async def on(stage):
        assert 200 < await told(stage) < 500

    async def off(stage):
        assert await told(stage) is None

    play(on, hedge=True)
    play(off)


def test_of_many_that_hang_few_are_asked_twice(play, first):
    """Two in ten at most, here: one to begin with and one of five more; the others wait for the first."""

    async def scene(stage):
        await both(stage, first, ok)
        asked = [asyncio.create_task(stage.ask(deadline_ms=DEADLINE_MS)) for _ in range(8)]
        await stage.until(lambda: len(first.exchanges) == 8)
        await asyncio.sleep(DEADLINE_S + 0.2)
        hedged = [one for one in asked if one.done()]
        assert 1 <= len(hedged) <= 2
        for exchange in first.exchanges:
            if exchange not in first.gone:
                exchange.respond(200, [], b"first")
        replies = await asyncio.gather(*asked)
        assert sorted(reply.body for reply in replies) == [b"first"] * (8 - len(hedged)) + [b"second"] * len(hedged)
        assert idle(stage)

    play(scene, hedge=True, hedge_share=0.2)
