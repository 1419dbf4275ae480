"""How long a request waits for a start: until it is said to have failed or is overdue, for Knative may say nothing."""

import asyncio

from warmfront.domain import Observation, Status


def ok(exchange):
    exchange.respond(200, [], b"ok")


def silent(exchange):
    """Never answers."""


def broken(exchange):
    exchange.respond(500, [], b"no")


async def later(stage, name, seconds):
    """Once `name` is waited for: the time is `seconds` later, and the gateway's second has come."""
    await stage.until(lambda: stage.gateway.plane.targets[name].waiting)
    clock = stage.gateway.plane.clock
    stage.gateway.plane.clock = lambda: clock() + seconds
    stage.gateway.tick()


def test_a_start_that_is_overdue_is_waited_for_no_longer(play):
    """Of 20 starts 19 take 0.7 s; after 4 s it is still waited for, after 6 s the next best is asked."""

    async def scene(stage):
        await stage.variant("ghost", silent, 0.99, ready=0)
        await stage.variant("there", ok, 0.5, ready=0)
        asked = asyncio.create_task(stage.ask())
        await later(stage, "ghost", 4.0)
        assert not asked.done()
        await later(stage, "ghost", 2.0)
        reply = await asked
        assert (reply.status, reply.header(b"warmfront-variant")) == (200, b"there")
        first, second = stage.witness.outcomes
        assert (first.status, first.censored) == (Status.FAILED, True)
        assert first.upstream_s > 6
        assert second.status is Status.OK
        assert stage.counter('warmfront_retries_total{task="t",variant="ghost"}') == 1

    play(scene, platform="laptop")


def test_two_that_never_start_are_not_the_end(play):
    """Nothing was executed, so these are no tries: the third variant is asked, and may fail once like any other."""

    async def scene(stage):
        await stage.variant("ghost", silent, 0.99, ready=0)
        await stage.variant("shade", silent, 0.9, ready=0)
        await stage.variant("sick", broken, 0.8, ready=0)
        await stage.variant("there", ok, 0.5, ready=0)
        asked = asyncio.create_task(stage.ask())
        await later(stage, "ghost", 6.0)
        await later(stage, "shade", 6.0)
        assert (await asked).header(b"warmfront-variant") == b"there"

    play(scene, platform="laptop")


def test_the_deadline_has_no_say_in_it(play):
    """Its deadline is over; an answer of another variant now is better than none in a minute."""

    async def scene(stage):
        await stage.variant("ghost", silent, 0.99, ready=0)
        await stage.variant("there", ok, 0.5, ready=0)
        asked = asyncio.create_task(stage.ask(deadline_ms="3000"))
        await later(stage, "ghost", 6.0)
        assert (await asked).header(b"warmfront-variant") == b"there"
        assert [o.status for o in stage.witness.outcomes] == [Status.FAILED, Status.LATE]

    play(scene, platform="laptop")


def test_a_request_that_is_being_executed_is_left_alone(play):
    """The start is over, a replica is seen: what takes so long is the model's work."""

    async def scene(stage):
        held = []
        await stage.variant("slow", held.append, 0.99, ready=0)
        await stage.variant("there", ok, 0.5)
        asked = asyncio.create_task(stage.ask())
        await stage.until(lambda: held)
        slow = stage.gateway.plane.selector.catalogue["slow"].variant
        stage.gateway.update(Observation(variant=slow, ready=1))
        await later(stage, "slow", 60.0)
        held[0].respond(200, [])
        assert (await asked).header(b"warmfront-variant") == b"slow"

    play(scene)


def test_who_has_no_choice_is_patient(play):
    """The only variant takes a minute: what else could be done but wait."""

    async def scene(stage):
        held = []
        await stage.variant("only", held.append, ready=0)
        asked = asyncio.create_task(stage.ask())
        await later(stage, "only", 60.0)
        await stage.until(lambda: held)
        held[0].respond(200, [])
        assert (await asked).status == 200
        assert [o.status for o in stage.witness.outcomes] == [Status.OK]

    play(scene)


def test_who_waits_for_a_variant_that_cannot_start_goes_on_with_another(play):
    """Its image turns out to be missing: the waiting request is answered elsewhere at once, not at its timeout."""

    async def scene(stage):
        await stage.variant("ghost", silent, 0.99, ready=0)
        await stage.variant("there", ok, 0.5, ready=0)
        asked = asyncio.create_task(stage.ask())
        waiting = stage.gateway.plane.targets["ghost"].waiting
        await stage.until(lambda: waiting)
        ghost = stage.gateway.plane.selector.catalogue["ghost"].variant
        stage.gateway.update(Observation(variant=ghost, available=False, reason="ErrImagePull"))
        reply = await asked
        assert (reply.status, reply.header(b"warmfront-variant")) == (200, b"there")
        assert [o.status for o in stage.witness.outcomes] == [Status.FAILED, Status.OK]
        assert not waiting

    play(scene)


def test_who_waits_for_the_only_variant_waits_on(play):
    """There is nobody else to ask: perhaps it comes after all."""

    async def scene(stage):
        held = []
        await stage.variant("only", held.append, ready=0)
        asked = asyncio.create_task(stage.ask())
        await stage.until(lambda: held)
        only = stage.gateway.plane.selector.catalogue["only"].variant
        stage.gateway.update(Observation(variant=only, available=False, reason="ErrImagePull"))
        held[0].respond(200, [], b"late")
        assert (await asked).body == b"late"

    play(scene)


def test_who_waits_for_a_deleted_variant_goes_on_with_another(play):
    """Gone from the catalogue is as good as unable to start."""

    async def scene(stage):
        await stage.variant("gone", silent, 0.99, ready=0)
        await stage.variant("there", ok, 0.5)
        asked = asyncio.create_task(stage.ask())
        await stage.until(lambda: stage.gateway.plane.targets["gone"].waiting)
        gone = stage.gateway.plane.selector.catalogue["gone"].variant
        stage.gateway.update(Observation(variant=gone, gone=True))
        assert (await asked).header(b"warmfront-variant") == b"there"

    play(scene)
