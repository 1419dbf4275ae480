"""Replies in another protocol than the client's, as variants send them: in pieces, too large, broken off."""

import asyncio
import json

import pytest

from warmfront.wire.messages import Exchange

JSON = [(b"content-type", b"application/json")]
TENSORS = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}]}).encode()
PATH = "/v2/models/t/infer"


def pieces(status: int, *parts: bytes, finish: bool = True):
    """A reply of unknown length."""

    def answer(exchange: Exchange) -> None:
        exchange.start(status, JSON)
        for part in parts:
            exchange.write(part)
        if finish:
            exchange.finish()
        else:
            asyncio.get_running_loop().call_later(0.05, exchange.abort)

    return answer


def test_a_reply_in_pieces_is_put_together(play):
    """And answered whole, with the length of what it became."""

    async def scene(stage):
        await stage.variant("a", pieces(200, b'{"outputs": [0.', b"5]}"), protocols=("tensorflow-serving",))
        reply = await stage.ask(TENSORS, PATH)
        (output,) = json.loads(reply.body)["outputs"]
        assert (reply.status, output["data"]) == (200, [0.5])
        assert int(reply.header(b"content-length")) == len(reply.body)
        assert reply.header(b"warmfront-variant") == b"a"

    play(scene)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (pieces(200, b'{"outputs": ' + b" " * 3000), "replied with more than 2000 bytes"),
        (pieces(200, b'{"outputs": ', finish=False), "a broke off its reply"),
        (pieces(200, b"<html>"), "a answered neither outputs nor predictions"),
    ],
)
def test_a_reply_that_cannot_be_converted(play, answer, told):
    """Nothing was sent yet, so it is an error of the client's protocol, not a cut reply."""

    async def scene(stage):
        await stage.variant("a", answer, protocols=("tensorflow-serving",))
        reply = await stage.ask(TENSORS, PATH)
        assert reply.status == 502
        assert told in json.loads(reply.body)["error"]

    play(scene, max_reply_bytes=2000)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b'{"error": "no such signature"}', "no such signature"),
        (b'{"type": "about:blank", "title": "x", "status": 400, "detail": "too dark"}', "too dark"),
    ],
)
def test_a_variants_error_is_told_in_the_clients_shape(play, said, expected):
    """Problem details for HTTP, `error` for a model server's client; the status is the variant's."""

    async def scene(stage):
        await stage.variant("a", pieces(400, said), protocols=("tensorflow-serving",))
        reply = await stage.ask(b'{"instances": [1]}')
        problem = json.loads(reply.body)
        assert (reply.status, problem["status"], problem["detail"]) == (400, 400, expected)
        assert reply.header(b"content-type") == b"application/problem+json"
        reply = await stage.ask(TENSORS, PATH)
        assert (reply.status, json.loads(reply.body)) == (400, {"error": expected})

    play(scene)


def test_an_error_without_words_stays(play):
    """What is in no known shape passes as it is."""

    async def scene(stage):
        await stage.variant("a", pieces(404, b"<html>"), protocols=("kserve-v1",))
        reply = await stage.ask(b'{"instances": [1]}')
        assert (reply.status, reply.body, reply.header(b"content-type")) == (404, b"<html>", b"application/json")

    play(scene)


def test_a_second_try_may_speak_another_protocol(play):
    """The first variant fails in TensorFlow Serving's, the second answers the client's own, untouched."""
    untouched = b'{"outputs" : []}'

    async def scene(stage):
        await stage.variant("a", pieces(500, b"no"), 0.9, protocols=("tensorflow-serving",))
        await stage.variant("b", lambda e: e.respond(200, JSON, untouched), 0.5, protocols=("open-inference",))
        reply = await stage.ask(TENSORS, PATH)
        assert (reply.status, reply.body, reply.header(b"warmfront-variant")) == (200, untouched, b"b")

    play(scene)


def test_a_second_try_that_cannot_take_it(play):
    """The first fails, the second cannot be told the request: what is told is the failure."""

    async def scene(stage):
        await stage.variant("a", pieces(500, b"no"), 0.9, protocols=("open-inference",))
        await stage.variant("b", pieces(200, b"{}"), 0.5, protocols=("kserve-v1",))
        body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [], "data": [1.0]}]}).encode()
        reply = await stage.ask(body, PATH)
        assert (reply.status, json.loads(reply.body)["error"]) == (502, "a answered 500; no reply from a variant")

    play(scene)


def test_compressed_bodies_are_not_read(play):
    """A request in Content-Encoding is refused; a variant is not asked to compress what must be read."""
    seen: list[Exchange] = []

    def answer(exchange: Exchange) -> None:
        seen.append(exchange)
        exchange.respond(200, JSON, b'{"outputs": [0.5]}')

    async def scene(stage):
        await stage.variant("a", answer, protocols=("tensorflow-serving",))
        headers = [(b"accept-encoding", b"gzip"), (b"accept", b"application/json")]
        url = f"http://127.0.0.1:{stage.port}"
        reply = await stage.pool.fetch(url, "POST", PATH, headers, TENSORS, timeout_s=10)
        assert reply.status == 200
        assert (seen[0].header(b"accept-encoding"), seen[0].header(b"accept")) == (None, b"application/json")
        headers = [(b"content-encoding", b"gzip")]
        reply = await stage.pool.fetch(url, "POST", PATH, headers, TENSORS, timeout_s=10)
        assert (reply.status, b"is not converted; send it without" in reply.body) == (422, True)

    play(scene)
