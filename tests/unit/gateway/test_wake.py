"""The plan's starts are carried out by a real request to the variant, once at a time."""

import asyncio

from warmfront.domain import Start
from warmfront.wire.messages import Exchange


def test_a_variant_is_woken_by_its_readiness_path(play):
    """GET /readyz at the variant; while it is under way no second one; it counts as no inference."""

    async def scene(stage):
        arrived = asyncio.Event()
        held: list[Exchange] = []
        await stage.variant("a", lambda e: (held.append(e), arrived.set()), ready=0)
        for _ in range(2):
            stage.witness.planned = [Start(variant="a", reason="worth it"), Start(variant="gone", reason="?")]
            stage.gateway.tick()
        await asyncio.wait_for(arrived.wait(), 5)
        assert [(e.method, e.path) for e in held] == [("GET", "/readyz")]
        assert stage.gateway.waker.under_way == {"a"}
        held[0].respond(200, [])
        await stage.until(lambda: not stage.gateway.waker.under_way)
        assert stage.counter('warmfront_wakes_total{variant="a",result="ready"}') == 1
        assert stage.witness.outcomes == []

    play(scene)


def test_a_variant_that_does_not_wake_is_counted(play):
    """Refused, or a status that says no: the result names it, and the next plan may try again."""

    async def scene(stage):
        await stage.variant("dead", lambda e: None, url="http://127.0.0.1:1", ready=0)
        await stage.variant("sick", lambda e: e.respond(503, []), ready=0)
        stage.witness.planned = [Start(variant="dead", reason="x"), Start(variant="sick", reason="x")]
        stage.gateway.tick()
        await stage.until(lambda: not stage.gateway.waker.under_way)
        assert stage.counter('warmfront_wakes_total{variant="dead",result="connect"}') == 1
        assert stage.counter('warmfront_wakes_total{variant="sick",result="status-503"}') == 1

    play(scene)
