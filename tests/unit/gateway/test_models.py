"""What model servers' clients ask besides inference, over real sockets: who answers, and what when nobody can."""

import json

from warmfront.domain import Observation, Variant
from warmfront.wire.messages import Exchange, Response

TENSORS = ("open-inference",)


async def get(stage, path: str) -> Response:
    """GET from the gateway."""
    return await stage.pool.fetch(f"http://127.0.0.1:{stage.port}", "GET", path, [], b"", timeout_s=10)


def broken_variant(stage, protocols: tuple[str, ...]) -> None:
    """Task `t` has one variant, which the platform cannot start."""
    variant = Variant(name="a", task="t", revision="a-1", url="", protocols=protocols)
    stage.gateway.update(Observation(variant=variant, available=False, reason="image not found"))


def test_a_task_that_cannot_be_asked(play):
    """Each protocol says so in its way: a state, a status, and why."""

    async def scene(stage):
        broken_variant(stage, ("tensorflow-serving", "kserve-v1"))
        reply = await get(stage, "/v1/models/t")
        told = {"error_code": "UNAVAILABLE", "error_message": "a: image not found"}
        expected = {"model_version_status": [{"version": "1", "state": "END", "status": told}]}
        assert (reply.status, json.loads(reply.body)) == (200, expected)
        reply = await get(stage, "/v2/models/t/ready")
        assert (reply.status, json.loads(reply.body)) == (503, {"name": "t", "ready": False})
        broken_variant(stage, ("kserve-v1",))
        reply = await get(stage, "/v1/models/t")
        assert (reply.status, json.loads(reply.body)) == (503, {"name": "t", "ready": False})

    play(scene)


def test_a_task_that_sleeps_can_be_asked(play):
    """Nobody is woken to say so."""

    async def scene(stage):
        await stage.variant("a", lambda e: e.abort(), ready=0, protocols=TENSORS)
        assert (await get(stage, "/v2/models/t/ready")).status == 200
        assert stage.gateway.plane.pool is stage.pool

    play(scene)


def test_metadata_of_one_that_is_awake(play):
    """The better one sleeps and is left alone; when all sleep the best is asked, which wakes it."""
    asked: list[str] = []

    def named(name: str):
        def answer(exchange: Exchange) -> None:
            asked.append(f"{name} {exchange.path}")
            exchange.respond(200, [], name.encode())

        return answer

    async def scene(stage):
        await stage.variant("raw", named("raw"), 0.99)
        await stage.variant("better", named("better"), 0.95, ready=0, protocols=TENSORS)
        await stage.variant("awake", named("awake"), 0.5, protocols=TENSORS)
        assert (await get(stage, "/v2/models/t")).body == b"awake"
        await stage.variant("awake", named("awake"), 0.5, ready=0, protocols=TENSORS)
        reply = await get(stage, "/v2/models/t/versions/2")
        assert (reply.body, reply.header(b"warmfront-variant")) == (b"better", b"better")
        assert asked == ["awake /v2/models/awake", "better /v2/models/better/versions/2"]
        assert stage.witness.outcomes == []

    play(scene)


def test_metadata_that_cannot_be_had(play):
    """A variant that does not listen is 502, a task without a variant of the protocol 415, in the protocol's shape."""

    async def scene(stage):
        await stage.variant("dead", lambda e: e.abort(), protocols=TENSORS, url="http://127.0.0.1:1")
        reply = await get(stage, "/v2/models/t")
        assert (reply.status, list(json.loads(reply.body))) == (502, ["error"])
        reply = await get(stage, "/v1/models/t/metadata")
        assert (reply.status, list(json.loads(reply.body))) == (415, ["error"])
        assert b"dead speaks open-inference" in reply.body

    play(scene)
