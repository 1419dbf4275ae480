"""Open Inference by the official client, Triton's, over HTTP: JSON and binary tensors, through a selector process."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tests.contract import speakers
from tests.contract.conftest import Front, Platform
from tests.contract.processes import ROOT, Starter, starter
from tritonclient.utils import InferenceServerException

ONES = np.full((1, 784), 255, dtype=np.uint8)


@pytest.fixture(scope="module")
def start_function() -> Iterator[Starter]:
    """Starts function folders."""
    yield from starter()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, start_function: Starter) -> Iterator[Platform]:
    """Task `digits`: a real function. Tasks `halves` and `rows`: other protocols, numbers called x."""
    platform = Platform(tmp_path_factory.mktemp("platform"))
    function = start_function(
        ROOT / "functions" / "digits_linear", K_SERVICE="digits-linear", K_REVISION="digits-linear-1"
    )
    platform.add("digits-linear", "digits", 0.9, "open-inference", f"http://127.0.0.1:{function.port}")
    platform.add("v-halves", "halves", 0.9, "tensorflow-serving").answer = speakers.tensorflow_serving("v-halves")
    platform.add("v-rows", "rows", 0.9, "kserve-v1").answer = speakers.kserve_v1
    platform.add("v-tensors", "tensors", 0.9, "open-inference")
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def front(start) -> Front:
    """One selector for all."""
    return start("native")


@pytest.fixture(scope="module")
def client(front: Front) -> Iterator[triton.InferenceServerClient]:
    """Triton's own."""
    with triton.InferenceServerClient(f"127.0.0.1:{front.port}") as client:
        yield client


def tensor(name: str, array: np.ndarray, datatype: str, *, binary: bool) -> triton.InferInput:
    """An input with its data."""
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def test_what_it_asks_before_it_asks_a_model(client: triton.InferenceServerClient) -> None:
    """Liveness, readiness, who is there, what the model takes."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["name"] == "warmfront"
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "1")
    assert not client.is_model_ready("nothing")
    metadata = client.get_model_metadata("digits")
    assert metadata["name"] == "digits-linear"
    assert [one["name"] for one in metadata["inputs"]] == ["image"]
    with pytest.raises(InferenceServerException, match=r"\[404\] no variant serves task 'nothing'"):
        client.get_model_metadata("nothing")


def test_a_real_model_answers(client: triton.InferenceServerClient) -> None:
    """A white square is some digit, with a score; the objective among the parameters is met."""
    image = tensor("image", ONES, "UINT8", binary=False)
    found = client.infer("digits", [image], request_id="7", parameters={"deadlinems": 60000, "minaccuracy": 0.5})
    assert found.get_response()["id"] == "7"
    (label,) = found.as_numpy("label")
    assert label in {str(digit) for digit in range(10)}
    assert 0 < found.as_numpy("score")[0] <= 1


def test_an_objective_that_cannot_be_met(client: triton.InferenceServerClient) -> None:
    """Parameters count as headers do, and the client shows the reason."""
    image = tensor("image", ONES, "UINT8", binary=False)
    with pytest.raises(InferenceServerException, match=r"\[422\] no variant of 'digits' meets the objective"):
        client.infer("digits", [image], parameters={"warmfront-min-accuracy": "0.99", "warmfront-on-miss": "reject"})
    with pytest.raises(InferenceServerException, match=r"\[400\] parameters\.deadlinems is 'soon'"):
        client.infer("digits", [image], parameters={"deadlinems": "soon"})


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(("task", "output"), [("halves", "outputs"), ("rows", "predictions")])
def test_tensors_reach_servers_of_other_protocols(
    client: triton.InferenceServerClient, task: str, output: str, *, binary: bool
) -> None:
    """As columns or rows, be they binary or JSON, and back as tensors."""
    x = tensor("x", np.array([1.0, 3.5], dtype=np.float32), "FP32", binary=binary)
    found = client.infer(task, [x])
    assert found.as_numpy(output).tolist() == [0.5, 1.75]
    assert found.get_response()["model_name"] == f"v-{task}"
    named = client.infer(task, [x], outputs=[triton.InferRequestedOutput("y")], request_id="1")
    assert (named.as_numpy("y").tolist(), named.get_response()["id"]) == ([0.5, 1.75], "1")


def test_binary_tensors_pass_untouched(front: Front, platform: Platform) -> None:
    """Head and tail come as they were sent; the parameters are read from the head alone."""
    variant = platform.variants["v-tensors"]
    x = tensor("x", np.arange(4, dtype=np.float32), "FP32", binary=True)
    body, size = triton.InferenceServerClient.generate_request_body([x], parameters={"deadlinems": 5000})
    variant.answer = lambda exchange: exchange.respond(
        200, [(b"inference-header-content-length", b"2"), (b"content-type", b"application/octet-stream")], b"{}\0\1\2"
    )
    headers = {"Inference-Header-Content-Length": str(size), "Content-Type": "application/octet-stream"}
    reply = front.ask("POST", "/v2/models/tensors/infer", body, headers)
    assert (reply.status, reply.body, reply.headers["inference-header-content-length"]) == (200, b"{}\0\1\2", "2")
    seen = variant.seen[-1]
    assert (seen.path, seen.body) == ("/v2/models/v-tensors/infer", body)
    assert seen.header(b"inference-header-content-length") == str(size).encode()
    assert int(seen.header(b"warmfront-deadline-ms") or 0) <= 5000
    reply = front.ask("POST", "/v2/models/tensors/infer", body, headers | {"Inference-Header-Content-Length": "99999"})
    assert (reply.status, "Inference-Header-Content-Length is '99999'" in reply.json["error"]) == (400, True)


def test_what_the_client_cannot_have(client: triton.InferenceServerClient) -> None:
    """Its error shows status and reason."""
    x = tensor("x", np.array([[1.0], [2.0]], dtype=np.float32), "FP32", binary=True)
    y = tensor("y", np.array([1.0], dtype=np.float32), "FP32", binary=True)
    with pytest.raises(InferenceServerException, match=r"\[422\].*v-rows speaks kserve-v1 .*first dimension"):
        client.infer("rows", [x, y])
