"""gRPC through a gateway, by grpcio's client and Triton's messages; variants are servers of this process."""

import asyncio
import gzip

import grpc
import grpc.aio
import pytest
from tritonclient.grpc import service_pb2 as v2

from warmfront.domain import Start, Status
from warmfront.protocols.grpc import framed, unframed
from warmfront.wire.pool import Origin

SERVICE = "/inference.GRPCInferenceService/"
INFER = SERVICE + "ModelInfer"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
GRPC = ("open-inference-grpc",)


def request(name="t", **fields):
    """A ModelInferRequest."""
    return v2.ModelInferRequest(model_name=name, raw_input_contents=[b"tensor"], **fields).SerializeToString()


def answering(seen=None, code=0, message=b"", trailers=(), headers=()):
    """A variant that answers with the model's name, or with an error."""

    def answer(exchange):
        asked = v2.ModelInferRequest.FromString(bytes(unframed(exchange.body, b"identity", 1 << 20)))
        if seen is not None:
            seen.append((exchange, asked))
        exchange.trailers = [
            (b"grpc-status", b"%d" % code),
            *([(b"grpc-message", message)] if message else []),
            *trailers,
        ]
        reply = v2.ModelInferResponse(model_name=asked.model_name, id=asked.id).SerializeToString()
        kind = [(b"content-type", b"application/grpc"), *headers]
        exchange.respond(200, kind, b"" if code else framed(reply))

    return answer


async def call(stage, path=INFER, message=None, within_s=10, **metadata):
    """The answer, initial and trailing metadata; or the error's code, details and trailing metadata."""
    fields = [(name.replace("_", "-"), value) for name, value in metadata.items()]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{stage.port}") as channel:
        made = channel.unary_unary(path)(request() if message is None else message, metadata=fields, timeout=within_s)
        try:
            return await made, dict(await made.initial_metadata()), dict(await made.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details(), dict(error.trailing_metadata())


def test_a_call_goes_to_a_variant_under_its_own_name(play):
    """Only the name is another; metadata tell of the choice, trailers of the variant arrive, one outcome is seen."""

    async def scene(stage):
        seen = []
        notes = [(b"warmfront-label", b"7"), (b"warmfront-execution-ms", b"3.5")]  # grpcio's servers put them there
        variant = answering(seen, trailers=[(b"x-own", b"1"), *notes])
        await stage.variant("v", variant, protocols=GRPC)
        message = request(id="r7", inputs=[{"name": "image", "datatype": "FP32", "shape": [1, 2]}])
        answer, head, trailers = await call(stage, message=message, warmfront_deadline_ms="5000", traceparent="00-ab")
        assert v2.ModelInferResponse.FromString(answer) == v2.ModelInferResponse(model_name="v", id="r7")
        (exchange, asked), wanted = seen[0], v2.ModelInferRequest.FromString(message)
        wanted.model_name = "v"
        assert asked == wanted
        assert exchange.header(b"traceparent") == b"00-ab"
        assert 0 < int(exchange.header(b"warmfront-deadline-ms")) <= 5000
        assert (head["warmfront-variant"], head["warmfront-cold-start"]) == ("v", "false")
        assert head["warmfront-label"] == "7"
        assert trailers == {"x-own": "1"}
        assert [(o.status, o.execution_s) for o in stage.witness.outcomes] == [(Status.OK, 0.0035)]
        assert stage.gateway.plane.labels.recall(head["warmfront-decision-id"]) == "7"

    play(scene)


@pytest.mark.parametrize(
    ("metadata", "parameters", "timeout", "asked_ms"),
    [
        ({}, {}, 4, 4000),
        ({"warmfront_deadline_ms": "3000"}, {}, 4, 3000),
        ({}, {"deadlinems": 2000}, 4, 2000),
        ({"warmfront_deadline_ms": "3000"}, {"deadlinems": 2000}, 4, 3000),
    ],
)
def test_whose_deadline_holds(play, metadata, parameters, timeout, asked_ms):
    """Metadata, else the message's parameters, else grpc-timeout."""

    async def scene(stage):
        seen = []
        await stage.variant("v", answering(seen), protocols=GRPC)
        message = v2.ModelInferRequest(model_name="t")
        for name, value in parameters.items():
            message.parameters[name].int64_param = value
        await call(stage, message=message.SerializeToString(), within_s=timeout, **metadata)
        left_ms = int(seen[0][0].header(b"warmfront-deadline-ms"))
        assert asked_ms - 900 < left_ms <= asked_ms

    play(scene)


@pytest.mark.parametrize(
    ("path", "message", "metadata", "code", "told"),
    [
        (INFER, request("nosuch"), {}, "NOT_FOUND", "no variant serves task 'nosuch'"),
        (INFER, b"", {}, "INVALID_ARGUMENT", "ModelInfer names no model"),
        (INFER, b"\xff", {}, "INVALID_ARGUMENT", "not a protobuf message"),
        (INFER, request(), {"warmfront_deadline_ms": "soon"}, "INVALID_ARGUMENT", "Warmfront-Deadline-Ms is 'soon'"),
        (INFER, request(), {"warmfront_deadline_ms": "0.001", "warmfront_on_miss": "reject"}, "FAILED_PRECONDITION",
         "no variant of 't' meets the objective (v: 0% likely in time, expected after "),
        (SERVICE + "ModelStreamInfer", b"", {}, "UNIMPLEMENTED", "ModelStreamInfer"),
        ("/any.Service/Any", b"", {}, "UNIMPLEMENTED", "/any.Service/Any"),
        (PREDICT, b"\x0a\x03\x0a\x01t", {}, "UNIMPLEMENTED", "v speaks open-inference-grpc"),
        (INFER, request() + bytes(2000), {}, "RESOURCE_EXHAUSTED", "body above 1000 bytes"),
        (SERVICE + "ModelMetadata", b"\x0a\x06nosuch", {}, "NOT_FOUND", "no variant serves task 'nosuch'"),
        (SERVICE + "ModelReady", b"\x0a\x06nosuch", {}, "NOT_FOUND", "no variant serves task 'nosuch'"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_a_status_with_its_reason(play, path, message, metadata, code, told):
    """Each error has the code that gRPC clients expect, and says what was found."""

    async def scene(stage):
        await stage.variant("v", answering(), protocols=GRPC)
        found = await call(stage, path, message, **metadata)
        assert found[0] == code
        assert told in found[1]

    play(scene, max_body_bytes=1000)


def test_what_a_variant_says_of_the_request_passes(play):
    """Its status and message, as they were: no other variant is asked."""

    async def scene(stage):
        await stage.variant("good", answering(code=3, message=b"100 %25 of %C3%A9 is wrong"), 0.9, protocols=GRPC)
        await stage.variant("other", answering(), 0.5, protocols=GRPC)
        code, told, trailers = await call(stage)
        assert (code, told) == ("INVALID_ARGUMENT", "100 % of é is wrong")
        assert trailers["warmfront-variant"] == "good"
        assert [outcome.status for outcome in stage.witness.outcomes] == [Status.REJECTED]

    play(scene)


@pytest.mark.parametrize("code", [2, 4, 8, 13, 14])
def test_another_variant_is_asked_when_one_fails(play, code):
    """UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE are the variant's, not the request's."""

    async def scene(stage):
        await stage.variant("good", answering(code=code), 0.9, protocols=GRPC)
        await stage.variant("other", answering(), 0.5, protocols=GRPC)
        answer, head, _ = await call(stage)
        assert v2.ModelInferResponse.FromString(answer).model_name == "other"
        assert head["warmfront-variant"] == "other"
        assert [outcome.status for outcome in stage.witness.outcomes] == [Status.FAILED, Status.OK]

    play(scene)


def test_when_all_fail_the_client_is_told_what_each_said(play):
    """UNAVAILABLE, with a hint when to try again."""

    async def scene(stage):
        await stage.variant("a", answering(code=14, message=b"the model is busy"), 0.9, protocols=GRPC)
        await stage.variant("b", answering(code=13), 0.5, protocols=GRPC)
        code, told, trailers = await call(stage)
        assert (code, told) == (
            "UNAVAILABLE", "a answered UNAVAILABLE: the model is busy, then b answered INTERNAL; try again later"
        )  # fmt: skip
        assert trailers["grpc-retry-pushback-ms"] == "1000"
        assert trailers["warmfront-decision-id"]

    play(scene)


def test_replies_that_are_not_grpc(play):
    """A proxy in between answers in plain HTTP: its status and words are told."""

    async def scene(stage):
        def proxy(exchange):
            exchange.respond(404, [(b"content-type", b"text/plain")], b"no such host here")

        await stage.variant("v", proxy, protocols=GRPC)
        assert (await call(stage))[:2] == ("NOT_FOUND", "no such host here")

    play(scene)


def test_too_much_and_nobody_there(play):
    """An overlong reply and a connection that is refused are failures of the variant."""

    async def scene(stage):
        def endless(exchange):
            exchange.respond(200, [(b"content-type", b"application/grpc")], bytes(5000))

        await stage.variant("long", endless, protocols=GRPC)
        code, told, _ = await call(stage)
        assert (code, "long answered RESOURCE_EXHAUSTED: more than 1000 bytes" in told) == ("UNAVAILABLE", True)
        await stage.variant("gone", endless, 0.99, protocols=GRPC, url="http://127.0.0.1:1")
        code, told, _ = await call(stage)
        assert "gone 127.0.0.1:1: cannot connect" in told

    play(scene, max_reply_bytes=1000)


def test_a_client_that_leaves_stops_the_variants_work(play):
    """Its cancellation reaches the variant; what the wait taught is kept as a lower bound."""

    async def scene(stage):
        held, gone = asyncio.Event(), asyncio.Event()

        def hold(exchange):
            exchange.on_disconnect = gone.set
            held.set()

        await stage.variant("v", hold, protocols=GRPC)
        asking = asyncio.create_task(call(stage))
        await held.wait()
        asking.cancel()
        await gone.wait()
        await stage.until(lambda: stage.witness.outcomes)
        assert [(o.status, o.censored) for o in stage.witness.outcomes] == [(Status.LATE, True)]

    play(scene)


def test_packed_messages_are_unpacked_on_the_way(play):
    """The name is inside; the variant gets the message plain, and no grpc-encoding."""

    async def scene(stage):
        seen = []
        await stage.variant("v", answering(seen), protocols=GRPC)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{stage.port}", compression=grpc.Compression.Gzip) as channel:
            await channel.unary_unary(INFER)(request(id="x" * 5000))
        exchange, asked = seen[0]
        assert (asked.id, exchange.header(b"grpc-encoding")) == ("x" * 5000, None)

    play(scene)


def test_what_the_selector_answers_itself(play):
    """About itself and about its tasks, without waking anybody and without an outcome."""

    async def scene(stage):
        await stage.variant("v", answering(), protocols=(*GRPC, "tensorflow-serving-grpc"), ready=0)
        live, _, _ = await call(stage, SERVICE + "ServerLive", b"")
        ready, _, _ = await call(stage, SERVICE + "ServerReady", b"")
        server, _, _ = await call(stage, SERVICE + "ServerMetadata", b"")
        model, _, _ = await call(stage, SERVICE + "ModelReady", b"\x0a\x01t")
        status, _, _ = await call(stage, STATUS, b"\x0a\x03\x0a\x01t")
        stage.gateway.draining = True
        draining, _, _ = await call(stage, SERVICE + "ServerReady", b"")
        assert v2.ServerLiveResponse.FromString(live).live
        assert v2.ServerReadyResponse.FromString(ready).ready
        assert not v2.ServerReadyResponse.FromString(draining).ready
        assert v2.ServerMetadataResponse.FromString(server).name == "warmfront"
        assert v2.ModelReadyResponse.FromString(model).ready
        assert status == b"\x0a\x06\x08\x01\x10\x1e\x1a\x00"  # version 1 AVAILABLE
        assert stage.witness.outcomes == []

    play(scene)


def test_metadata_come_from_a_variant_and_teach_nothing(play):
    """Asked under its own name; an error passes as it is."""

    async def scene(stage):
        def metadata(exchange):
            asked = v2.ModelMetadataRequest.FromString(bytes(unframed(exchange.body, b"identity", 1000)))
            exchange.trailers = [(b"grpc-status", b"5" if asked.version else b"0"), (b"grpc-message", b"no%20version")]
            reply = framed(v2.ModelMetadataResponse(name=asked.name, platform="p").SerializeToString())
            exchange.respond(200, [(b"content-type", b"application/grpc")], reply)

        await stage.variant("v", metadata, protocols=GRPC)
        answer, head, _ = await call(stage, SERVICE + "ModelMetadata", b"\x0a\x01t")
        found = v2.ModelMetadataResponse.FromString(answer)
        assert (found.name, found.platform, head["warmfront-variant"]) == ("v", "p", "v")
        other = v2.ModelMetadataRequest(name="t", version="9").SerializeToString()
        assert (await call(stage, SERVICE + "ModelMetadata", other))[:2] == ("NOT_FOUND", "no version")
        assert stage.witness.outcomes == []

    play(scene)


def test_rest_and_grpc_do_not_mix(play):
    """REST to gRPC variants is 415 with what they speak; a gRPC path wants gRPC's content type, and HTTP/2."""

    async def scene(stage):
        await stage.variant("v", answering(), protocols=GRPC)
        url = f"http://127.0.0.1:{stage.port}"
        rest = await stage.pool.fetch(url, "POST", "/v2/models/t/infer", [], b"{}", timeout_s=9)
        assert (rest.status, b"v speaks open-inference-grpc" in rest.body) == (415, True)
        bare = await stage.pool.fetch(url, "POST", INFER, [], b"{}", timeout_s=9)
        assert (bare.status, bare.header(b"grpc-status")) == (200, b"12")
        assert b"takes application/grpc" in bare.header(b"grpc-message")
        kind = [(b"content-type", b"application/grpc")]
        old = await stage.pool.fetch(url, "POST", INFER, kind, framed(request()), timeout_s=9)
        assert (old.status, old.header(b"grpc-status")) == (200, b"12")
        assert b"name the port of the selector's Service h2c" in old.header(b"grpc-message")

    play(scene)


def test_rest_by_http2_is_rest(play):
    """The version of HTTP is the connection's affair: tasks are asked by it as by HTTP/1.1."""

    async def scene(stage):
        await stage.variant("v", lambda exchange: exchange.respond(200, [], gzip.compress(exchange.body, mtime=0)))
        origin = Origin("127.0.0.1", stage.port, h2c=True)
        reply = await stage.pool.fetch(origin, "POST", "/tasks/t", [], b"abc", timeout_s=9)
        assert (reply.status, gzip.decompress(reply.body)) == (200, b"abc")
        assert reply.header(b"warmfront-variant") == b"v"

    play(scene)


def test_a_variant_of_both_is_asked_for_both_by_http2(play):
    """Knative gives it one port, whose name is h2c for REST, too; a streamed reply comes through whole."""

    async def scene(stage):
        def answer(exchange):
            assert exchange.carries_trailers
            exchange.start(200, [(b"content-type", b"text/plain")])
            for piece in (exchange.body, b"-", bytes(300_000)):
                exchange.write(piece)
            exchange.finish()

        await stage.variant("v", answer, protocols=("open-inference-grpc", "raw"))
        reply = await stage.ask(b"abc")
        assert (reply.status, reply.body[:4], len(reply.body)) == (200, b"abc-", 300_004)
        assert reply.header(b"warmfront-variant") == b"v"

    play(scene)


def test_a_sleeping_grpc_variant_is_woken_by_a_call(play):
    """What asks for its readiness is a call of its own service; one that is not ready counts as not woken."""

    async def scene(stage):
        seen = []

        def answer(exchange):
            seen.append((exchange.method, exchange.path, exchange.body))
            code = b"0" if len(seen) == 1 else b"14"
            exchange.respond(200, [(b"content-type", b"application/grpc"), (b"grpc-status", code)])

        await stage.variant("v", answer, protocols=GRPC, ready=0)
        for result in ("ready", "status-503"):
            stage.gateway.waker.wake(Start(variant="v", reason="test"))
            line = f'warmfront_wakes_total{{variant="v",result="{result}"}}'
            await stage.until(lambda line=line: stage.counter(line) == 1)
        assert seen[0] == ("POST", SERVICE + "ModelReady", framed(b"\x0a\x01v"))

    play(scene)
