"""gRPC through the whole of it: official clients, a selector process, the embedded Knative, variants in grpcio.

Open Inference by Triton's own client. TensorFlow Serving by its stubs where their messages are installed
(tensorflow-serving-api imports TensorFlow's), and everywhere by hand: what matters of PredictRequest is a few bytes.
"""

import asyncio
import http.client
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import uvloop
from tritonclient.utils import InferenceServerException

from warmfront.errors import WarmfrontError
from warmfront.protocols.grpc_fields import text_field

SELECTOR = Path(__file__).parents[2] / "selector_fn"
VARIANT = """
import os, pathlib, signal, threading, time
from concurrent import futures

import grpc
from tritonclient.grpc import service_pb2 as v2, service_pb2_grpc

NAME = os.environ["K_SERVICE"]
time.sleep(float(os.environ.get("LOAD_S", "0")))


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    def ModelReady(self, request, context):
        return v2.ModelReadyResponse(ready=request.name == NAME)

    def ModelMetadata(self, request, context):
        return v2.ModelMetadataResponse(name=request.name, platform="test")

    def ModelInfer(self, request, context):
        said = {key: value for key, value in context.invocation_metadata()}
        if request.model_name != NAME:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model_name}")
        if request.id == "bad":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "100 % of \\u00e9 is wrong")
        if request.id == "busy":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the model is busy")
        if request.id == "slow":
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait(20)
            pathlib.Path(__file__).with_name("gone").touch()
            return v2.ModelInferResponse()
        reply = v2.ModelInferResponse(model_name=request.model_name, id=request.id)
        for given, raw in zip(request.inputs, request.raw_input_contents):
            reply.outputs.add(name=given.name, datatype=given.datatype, shape=given.shape)
            reply.raw_output_contents.append(raw)
        reply.parameters["deadline"].string_param = said.get("warmfront-deadline-ms", "")
        context.set_trailing_metadata((("x-own", "yes"), ("warmfront-label", "7")))
        return reply


class Predict(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method.startswith("/tensorflow.serving.PredictionService/"):
            name = details.method.rpartition("/")[2].encode()
            return grpc.unary_unary_rpc_method_handler(lambda message, context: name + b":" + message)


server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
server.add_generic_rpc_handlers((Predict(),))
service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Server(), server)
server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
server.start()
signal.signal(signal.SIGTERM, lambda *_: server.stop(0.5))
server.wait_for_termination()
"""


def variant(name="first", protocols="open-inference-grpc,tensorflow-serving-grpc", accuracy="0.9", **env):
    """The Service of a gRPC variant of task `digits`, asleep."""
    container = {
        "image": "dev.local/grpc-fn:v1",
        "ports": [{"name": "h2c", "containerPort": 8080}],
        "env": [{"name": key, "value": value} for key, value in env.items()],
    }
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "labels": {"warmfront.dev/task": "digits"},
            "annotations": {
                "warmfront.dev/protocols": protocols,
                "warmfront.dev/profile": f'{{"accuracy": {accuracy}, "latency_s": {{"p50": 0.005, "p95": 0.01}}}}',
            },
        },
        "spec": {
            "template": {
                "metadata": {"annotations": {"autoscaling.knative.dev/initial-scale": "0"}},
                "spec": {"containers": [container]},
            }
        },
    }


@pytest.fixture
def grpc_fn(tmp_path):
    """The folder of image `dev.local/grpc-fn:v1` below the world's root."""
    folder = tmp_path / "functions" / "grpc_fn"
    folder.mkdir(parents=True)
    (folder / "server.py").write_text(VARIANT)
    (folder / "Procfile").write_text("web: python server.py\n")
    return folder


@asynccontextmanager
async def selector(world, *manifests) -> AsyncIterator[str]:
    """A selector process over the world's API that knows these variants; where it listens."""
    world.runtime.apply(list(manifests))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = os.environ | {"KUBECONFIG": str(world.runtime.kubeconfig), "PORT": str(port), "HOST": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(sys.executable, "main.py", cwd=SELECTOR, env=env)
    try:
        async with asyncio.timeout(20):
            while not await knows(world, port, len(manifests)):
                assert process.returncode is None
                await asyncio.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def knows(world, port, variants):
    """Whether the selector sees so many variants that can be asked."""
    try:
        reply = await world.pool.fetch(f"http://127.0.0.1:{port}", "GET", "/tasks", [], b"", timeout_s=5)
    except WarmfrontError:
        return False
    return reply.body.count(b'"available":true') >= variants


def play(world, client, *manifests):
    """What `client(address)` returns, run in a thread beside the world and a selector."""

    async def story():
        async with world, selector(world, *manifests) as address:
            return await asyncio.to_thread(client, address)

    return uvloop.run(story())


def rest(address, method, path):
    """Status and body of a request by HTTP/1.1."""
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.request(method, path, b"x")
    reply = connection.getresponse()
    found = reply.status, reply.read().decode()
    connection.close()
    return found


def tensor(array):
    """Triton's input of an array."""
    given = triton.InferInput("image", list(array.shape), "FP32")
    given.set_data_from_numpy(array)
    return given


IMAGE = np.arange(2 * 784, dtype=np.float32).reshape(2, 784)


def test_a_sleeping_variant_is_woken_and_the_cold_start_is_counted(world, grpc_fn):
    """The first call is held while the variant starts, the others find it awake. The tensor comes back bit for bit."""

    def ask(address):
        message = triton.service_pb2.ModelInferRequest(model_name="digits").SerializeToString()
        with triton.InferenceServerClient(address) as client, grpc.insecure_channel(address) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            cold = call.with_call(message, timeout=20)[1]
            reply = client.infer("digits", [tensor(IMAGE)], request_id="r", headers={"warmfront-deadline-ms": "9000"})
            warm = call.with_call(message, timeout=20)[1]
            metadata = [dict(done.initial_metadata()) for done in (cold, warm)]
            return metadata, dict(warm.trailing_metadata()), reply, rest(address, "GET", "/metrics")[1]

    (cold, warm), trailers, reply, metrics = play(world, ask, variant(LOAD_S="0.3"))
    assert (cold["warmfront-variant"], cold["warmfront-cold-start"], warm["warmfront-cold-start"]) == (
        "first", "true", "false",
    )  # fmt: skip
    assert 'warmfront_cold_requests_total{task="digits",variant="first"} 1' in metrics
    assert trailers["x-own"] == "yes"
    assert (reply.as_numpy("image") == IMAGE).all()
    as_json = reply.get_response(as_json=True)
    assert (as_json["model_name"], as_json["id"]) == ("first", "r")
    assert 0 < int(as_json["parameters"]["deadline"]["string_param"]) <= 9000


def test_tritons_other_questions(world, grpc_fn):
    """Live, ready, metadata of the server without a variant; those of the model from one."""

    def ask(address):
        with triton.InferenceServerClient(address) as client:
            own = client.is_server_live(), client.is_server_ready(), client.is_model_ready("digits")
            return own, client.get_server_metadata().name, client.get_model_metadata("digits")

    own, server, model = play(world, ask, variant())
    assert own == (True, True, True)
    assert server == "warmfront"
    assert (model.name, model.platform) == ("first", "test")


def test_errors_as_tritons_client_tells_them(world, grpc_fn, eventually):
    """The variant's own, an unknown task, a deadline that is over: which reaches the variant as a cancellation."""

    def ask(address):
        told = {}
        with triton.InferenceServerClient(address) as client:
            client.infer("digits", [tensor(IMAGE)])
            for name, task, id_, within_s in (
                ("bad", "digits", "bad", 9), ("unknown", "nosuch", "", 9), ("busy", "digits", "busy", 9),
                ("slow", "digits", "slow", 0.5),
            ):  # fmt: skip
                with pytest.raises(InferenceServerException) as error:
                    client.infer(task, [tensor(IMAGE)], request_id=id_, client_timeout=within_s)
                told[name] = error.value.status(), error.value.message()
        return told

    async def story():
        async with world, selector(world, variant()) as address:
            told = await asyncio.to_thread(ask, address)
            await eventually((grpc_fn / "gone").exists)
            return told

    told = uvloop.run(story())
    assert told["bad"] == ("StatusCode.INVALID_ARGUMENT", "100 % of é is wrong")
    assert told["unknown"][0] == "StatusCode.NOT_FOUND"
    assert "no variant serves task 'nosuch'" in told["unknown"][1]
    assert told["busy"][0] == "StatusCode.UNAVAILABLE"
    assert "first answered UNAVAILABLE: the model is busy" in told["busy"][1]
    assert told["slow"][0] == "StatusCode.DEADLINE_EXCEEDED"


def test_a_large_tensor_passes_in_both_directions(world, grpc_fn):
    """12 MB, above every default of gRPC but the selector's own limit of 16 MiB."""
    image = np.arange(3_000_000, dtype=np.float32).reshape(1, -1)

    def ask(address):
        with triton.InferenceServerClient(address) as client:
            return client.infer("digits", [tensor(image)]).as_numpy("image")

    assert (play(world, ask, variant()) == image).all()


@pytest.mark.parametrize("method", ["Predict", "Classify", "Regress", "MultiInference"])
def test_tensorflow_serving_by_hand(world, grpc_fn, method):
    """model_spec.name is the variant's, the tensors are untouched; of MultiInference in every task."""
    spec = text_field(1, "digits") + text_field(3, "serving_default")
    named = text_field(1, text_field(1, spec)) * 2 if method == "MultiInference" else text_field(1, spec)
    message = named + text_field(2, bytes(range(256)) * 40)

    def ask(address):
        with grpc.insecure_channel(address) as channel:
            return channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")(message, timeout=20)

    wanted = message.replace(text_field(1, spec), text_field(1, text_field(1, "first") + spec[8:]))
    if method == "MultiInference":
        wanted = text_field(1, text_field(1, text_field(1, "first") + spec[8:])) * 2 + message[len(named) :]
    assert play(world, ask, variant()) == method.encode() + b":" + wanted


def test_tensorflow_serving_by_its_stubs(world, grpc_fn):
    """The stubs that people have. Skipped where predict_pb2 cannot be imported, for which it needs TensorFlow's own."""
    pytest.importorskip("tensorflow.core.framework.tensor_pb2", reason="needs TensorFlow's messages (extra tensorflow)")
    predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2", reason="needs tensorflow-serving-api")
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "digits", "serving_default"
    request.inputs["image"].float_val.extend([0.5] * 784)

    def ask(address):
        with grpc.insecure_channel(address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            with pytest.raises(grpc.RpcError) as error:  # the variant of this test answers no PredictResponse
                stub.Predict(request, timeout=20)
            raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            return error.value.code(), raw(request.SerializeToString(), timeout=20)

    code, answer = play(world, ask, variant())
    assert code is grpc.StatusCode.INTERNAL
    request.model_spec.name = "first"
    assert predict_pb2.PredictRequest.FromString(answer.removeprefix(b"Predict:")) == request


def test_where_client_and_variant_differ(world, grpc_fn):
    """UNIMPLEMENTED or 415, with what the variants speak."""

    def ask(address):
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            with pytest.raises(grpc.RpcError) as error:
                call(text_field(1, text_field(1, "digits")), timeout=20)
        return error.value.code(), error.value.details(), rest(address, "POST", "/tasks/digits")

    code, details, (status, body) = play(world, ask, variant(protocols="open-inference-grpc"))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "first speaks open-inference-grpc" in details
    assert (status, "first speaks open-inference-grpc" in body) == (415, True)


def test_a_second_variant_answers_for_a_busy_one(world, grpc_fn):
    """Both are gRPC; the first says UNAVAILABLE, the other one's name is in the message it gets."""

    def ask(address):
        with triton.InferenceServerClient(address) as client:
            names = {client.infer("digits", [tensor(IMAGE)]).get_response().model_name for _ in range(3)}
            with pytest.raises(InferenceServerException) as error:
                client.infer("digits", [tensor(IMAGE)], request_id="busy")
            return names, error.value.message()

    names, told = play(world, ask, variant("first"), variant("second", accuracy="0.5"))
    assert names <= {"first", "second"}
    assert "first answered UNAVAILABLE" in told
    assert "second answered UNAVAILABLE" in told


def selector_service(world, **container):
    """The selector as a Service of the world, and how it is called through the ingress."""
    (world.root / "selector_fn").symlink_to(SELECTOR)
    service = variant("selector")
    del service["metadata"]["labels"]
    spec = service["spec"]["template"]["spec"]
    spec["serviceAccountName"] = "warmfront-selector"
    spec["containers"][0] |= {"image": "dev.local/selector-fn:v1", **container}
    return service


def through_the_ingress(port, message, host="selector"):
    """Answer and metadata of a Predict to this Service."""
    options = [("grpc.default_authority", f"{host}.default.localhost:{port}")]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        answer, done = call.with_call(message, timeout=30)
        return answer, dict(done.initial_metadata())


def test_the_ingress_holds_calls_too(world, grpc_fn):
    """Without a selector: the Service's own host, a gRPC client, a revision at zero."""

    async def story():
        async with world:
            world.runtime.apply([variant()])
            message, port = text_field(1, text_field(1, "first")), world.runtime.addresses.port
            answer, _ = await asyncio.to_thread(through_the_ingress, port, message, "first")
            return answer, world.revision("first-00001").traffic

    answer, traffic = uvloop.run(story())
    assert answer == b"Predict:\x0a\x07\x0a\x05first"
    assert (traffic.requests, traffic.failures) == (1, 0)


def test_the_selector_as_a_service_takes_calls_where_its_port_is_named_so(world, grpc_fn):
    """By one ingress to the selector and on to the variant; REST of the same Service goes by HTTP/2, too."""
    service = selector_service(world, readinessProbe={"httpGet": {"path": "/readyz"}})

    async def story():
        async with world:
            world.runtime.apply([service, variant()])
            message, port = text_field(1, text_field(1, "digits")), world.runtime.addresses.port
            answer, metadata = await asyncio.to_thread(through_the_ingress, port, message)
            live = await world.get("/v2/health/live", host="selector.default")
            return answer, metadata["warmfront-variant"], live.body

    assert uvloop.run(story()) == (b"Predict:\x0a\x07\x0a\x05first", "first", b'{"live":true}')


def test_calls_by_http11_are_told_what_is_missing(world, grpc_fn):
    """A Service whose port has another name is spoken to by HTTP/1.1, which has no trailers for grpcio to end with."""
    service = selector_service(world, ports=[{"containerPort": 8080}])

    async def story():
        async with world:
            world.runtime.apply([service])
            with pytest.raises(grpc.RpcError) as error:
                await asyncio.to_thread(through_the_ingress, world.runtime.addresses.port, b"")
            return error.value.code(), error.value.details()

    code, told = uvloop.run(story())
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "name the port of the selector's Service h2c" in told
