"""functions/digits_tfserving as a process: TensorFlow Serving's documented REST API, and gRPC by the official stubs.

Needs TensorFlow, which the development packages are without: skipped until `warmfront build digits_tfserving` has made
its environment in .warmfront of this project.
"""

import base64
import http.client
import json
import math
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.tensorflow_function import environment, needs_tensorflow

from warmfront.experiments.profiling import labelled

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "functions" / "digits_tfserving"
PREDICT = "/v1/models/digits:predict"

pytestmark = needs_tensorflow

DIGITS = labelled.shipped("digits").samples[:20]


def pixels(digit: labelled.Sample) -> list[float]:
    """From 0 to 1."""
    return [level / 255 for level in digit.body]


class Server(NamedTuple):
    """A running function and its two ports."""

    process: subprocess.Popen[str]
    http: int
    grpc: int

    def ask(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> tuple[int, Any]:
        """Status and JSON of one request; NaN is read as Python reads it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=60)
        content = body if isinstance(body, bytes | str | None) else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": content_type})
        reply = connection.getresponse()
        said = reply.read()
        connection.close()
        return reply.status, json.loads(said)


def begin(**settings: str) -> tuple[subprocess.Popen[str], str]:
    """The process, once it has said that it listens, and all that it has said."""
    found = environment()
    assert found is not None
    variables = {"PATH": found.path, "HOME": os.environ.get("HOME", "/"), "HOST": "127.0.0.1", **settings}
    process = subprocess.Popen(found.command, cwd=FOLDER, env=variables, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    wanted = "speaks gRPC on port" if settings.get("PROTOCOL") == "grpc" else "is ready on port"
    said = []
    for line in process.stderr:
        said.append(line)
        if wanted in line:
            return process, "".join(said)
    process.communicate()
    raise AssertionError(f"ended with {process.returncode} and said {''.join(said)}")


def end(process: subprocess.Popen[str]) -> int:
    """SIGTERM and the exit status."""
    process.terminate()
    process.communicate(timeout=30)
    return process.returncode


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One process for all tests, both protocols on ports of their own."""
    port = free_port()
    process, said = begin(PORT="0", GRPC_PORT=str(port), K_SERVICE="digits-tfserving")
    found = re.search(r"is ready on port (\d+)", said)
    assert found
    yield Server(process, int(found[1]), port)
    assert end(process) == 0


@pytest.mark.parametrize(
    "path", [PREDICT, "/v1/models/digits-tfserving:predict", "/v1/models/digits/versions/1:predict"]
)
def test_rows(server: Server, path: str) -> None:
    """`instances`, bare or named, are answered by `predictions`: ten probabilities for each."""
    one, two = DIGITS[:2]
    status, reply = server.ask("POST", path, {"instances": [pixels(one), pixels(two)]})
    named = server.ask("POST", path, {"instances": [{"image": pixels(one)}, {"image": pixels(two)}]})
    assert (status, named) == (200, (200, reply))
    assert list(reply) == ["predictions"]
    assert [str(row.index(max(row))) for row in reply["predictions"]] == [one.label, two.label]
    assert [sum(row) for row in reply["predictions"]] == pytest.approx([1, 1], abs=1e-5)


def test_columns(server: Server) -> None:
    """`inputs` are answered by `outputs`; the signature may be named; the numbers are those of rows."""
    given = [pixels(digit) for digit in DIGITS[:2]]
    rows = server.ask("POST", PREDICT, {"instances": given})[1]["predictions"]
    for inputs in (given, {"image": given}):
        asked = {"signature_name": "serving_default", "inputs": inputs}
        assert server.ask("POST", PREDICT, asked) == (200, {"outputs": rows})


def test_most_are_right(server: Server) -> None:
    """The model is the one that MANIFEST.json calls right about 99 of 100."""
    rows = server.ask("POST", PREDICT, {"instances": [pixels(digit) for digit in DIGITS]})[1]["predictions"]
    right = [str(row.index(max(row))) == digit.label for row, digit in zip(rows, DIGITS, strict=True)]
    assert sum(right) >= 19


def test_not_a_number() -> None:
    """NaN and Infinity go in and come out as bare words, as TensorFlow Serving has it; the linear model keeps them."""
    process, said = begin(PORT="0", DIGITS_MODEL="linear")
    found = re.search(r"is ready on port (\d+)", said)
    assert found
    body = '{"instances": [[' + ", ".join(["NaN", "-Infinity", *["0"] * 782]) + "]]}"
    status, reply = Server(process, int(found[1]), 0).ask("POST", PREDICT, body)
    assert status == 200
    assert all(math.isnan(value) for value in reply["predictions"][0])
    assert end(process) == 0


def test_classify(server: Server) -> None:
    """Examples of features give ten classes with scores each; a context is part of every example."""
    one = DIGITS[0]
    path = "/v1/models/digits:classify"
    status, reply = server.ask("POST", path, {"signature_name": "classify", "examples": [{"image": pixels(one)}]})
    shared = {"signature_name": "classify", "context": {"image": pixels(one)}, "examples": [{}]}
    assert (status, server.ask("POST", path, shared)) == (200, (200, reply))
    (classes,) = reply["results"]
    assert [label for label, _ in classes] == list("0123456789")
    assert max(classes, key=lambda pair: pair[1])[0] == one.label


def test_regress(server: Server) -> None:
    """One number an example: the digit that the model expects."""
    asked = {"signature_name": "regress", "examples": [{"image": pixels(digit)} for digit in DIGITS[:5]]}
    status, reply = server.ask("POST", "/v1/models/digits:regress", asked)
    assert status == 200
    assert reply["results"] == pytest.approx([float(digit.label) for digit in DIGITS[:5]], abs=0.5)


def test_status_and_metadata(server: Server) -> None:
    """The documented status, of the model and of its version; metadata name every signature's tensors."""
    status = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/digits", "/v1/models/digits/versions/1"):
        assert server.ask("GET", path) == (200, {"model_version_status": [status]})
    _, reply = server.ask("GET", "/v1/models/digits/metadata")
    assert reply["model_spec"] == {"name": "digits", "signature_name": "", "version": "1"}
    signatures = reply["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "classify", "regress"}
    image = signatures["serving_default"]["inputs"]["image"]
    assert image["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in image["tensor_shape"]["dim"]] == ["-1", "784"]


IMAGE = [0.0] * 784
CLASSIFY, REGRESS = "/v1/models/digits:classify", "/v1/models/digits:regress"
BAD: list[tuple[str, str, Any, int, str]] = [
    ("model", "/v1/models/other:predict", {"instances": [IMAGE]}, 404, "not found for request: Latest(other)"),
    ("version", "/v1/models/digits/versions/9:predict", {"instances": [IMAGE]}, 404, "Specific(digits, 9)"),
    ("a label", "/v1/models/digits/labels/canary:predict", {"instances": [IMAGE]}, 404, "label: canary"),
    ("another verb", "/v1/models/digits:explain", {}, 400, "Malformed request: POST /v1/models/digits:explain"),
    ("no JSON", PREDICT, b"{", 400, "JSON Parse error"),
    ("no object", PREDICT, [1], 400, "expected an object"),
    ("neither format", PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
    ("both formats", PREDICT, {"instances": [IMAGE], "inputs": [IMAGE]}, 400, "only one of 'instances' or 'inputs'"),
    ("no rows", PREDICT, {"instances": []}, 400, "one value or more"),
    (
        "another signature",
        PREDICT,
        {"instances": [IMAGE], "signature_name": "x"},
        400,
        '"x" not found in signature def',
    ),
    ("a signature of no name", PREDICT, {"instances": [IMAGE], "signature_name": 5}, 400, "must be a string"),
    ("another input", PREDICT, {"instances": [{"picture": IMAGE}]}, 400, "does not have named input: picture"),
    ("rows that differ", PREDICT, {"instances": [{"image": IMAGE}, IMAGE]}, 400, "must name the same inputs"),
    ("text", PREDICT, {"instances": [["1"] * 784]}, 400, 'JSON Value: "1" Type: String is not of expected type'),
    ("true", PREDICT, {"instances": [[True] * 784]}, 400, "not of expected type: float"),
    ("ragged", PREDICT, {"instances": [IMAGE, IMAGE[1:]]}, 400, "unexpected size: 783 at level: 1 expected size: 784"),
    ("another shape", PREDICT, {"instances": [[1, 2, 3]]}, 400, "has shape [1, 3]; the signature wants (None, 784)"),
    ("no example", PREDICT, {"inputs": {"inputs": ["x"]}, "signature_name": "classify"}, 400, "Could not parse"),
    ("base64", PREDICT, {"inputs": {"inputs": [{"b64": "?"}]}, "signature_name": "classify"}, 400, "base64"),
    ("classify by tensors", CLASSIFY, {"examples": [{"image": IMAGE}]}, 400, "name another"),
    ("no examples", CLASSIFY, {"signature_name": "classify"}, 400, "key 'examples' is expected"),
    ("a feature lacks", CLASSIFY, {"signature_name": "classify", "examples": [{}]}, 400, "image"),
    ("mixed", REGRESS, {"signature_name": "regress", "examples": [{"image": [1, "x"]}]}, 400, "feature 'image'"),
]


@pytest.mark.parametrize(("path", "body", "status", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_errors(server: Server, path: str, body: Any, status: int, said: str) -> None:
    """Every fault is `{"error": ...}` with the status that TensorFlow Serving gives it; the next request works."""
    found, reply = server.ask("POST", path, body)
    assert (found, list(reply)) == (status, ["error"])
    assert said in reply["error"]
    assert server.ask("GET", "/v1/models/digits")[0] == 200


def framed(number: int, content: bytes) -> bytes:
    """A field of a message in protobuf's encoding."""
    size, length = len(content), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_examples_in_base64(server: Server) -> None:
    """A serialised Example goes to the same signature by predict; several outputs are rows of names."""
    values = b"".join(struct.pack("<f", pixel) for pixel in pixels(DIGITS[0]))
    feature = framed(1, framed(1, b"image") + framed(2, framed(2, framed(1, values))))
    example = base64.b64encode(framed(1, feature)).decode()
    asked = {"signature_name": "classify", "instances": [{"b64": example}]}
    status, reply = server.ask("POST", PREDICT, asked)
    assert status == 200
    (row,) = reply["predictions"]
    assert set(row) == {"classes", "scores"}
    assert row["classes"][row["scores"].index(max(row["scores"]))] == DIGITS[0].label


def test_other_protocols_of_a_function(server: Server) -> None:
    """Raw bytes and Open Inference are answered as by every digit function."""
    one = DIGITS[0]
    status, reply = server.ask("POST", "/", one.body, "application/octet-stream")
    assert (status, reply["label"]) == (200, one.label)
    tensor = {"name": "image", "shape": [1, 784], "datatype": "UINT8", "data": list(one.body)}
    status, reply = server.ask("POST", "/v2/models/digits/infer", {"inputs": [tensor]})
    assert (status, reply["outputs"][0]["data"]) == (200, [one.label])
    assert server.ask("GET", "/readyz") == (200, {"ready": True})


@pytest.fixture(scope="module")
def told(server: Server) -> dict[str, Any]:
    """What the official stubs get from the server."""
    return client(server.grpc)


def client(port: int) -> dict[str, Any]:
    """Run the client in the function's own environment."""
    found = environment()
    assert found is not None
    command = [found.command[0], str(Path(__file__).with_name("tensorflow_client.py")), str(port)]
    variables = {"PATH": found.path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([*command, DIGITS[0].body.hex()], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_grpc_predict(told: dict[str, Any]) -> None:
    """The stub's tensors come back as tensors, under either name of the model, with how long the model took."""
    answer = told["predict"]
    assert answer["spec"] == ["digits", 1, "serving_default"]
    assert (answer["shape"], str(answer["label"]), answer["nan"]) == ([1, 10], DIGITS[0].label, False)
    assert "warmfront-execution-ms" in answer["told"]
    assert told["as the service"]["spec"] == ["digits-tfserving", 1, "serving_default"]
    assert told["two images"]["shape"] == [2, 10]
    assert told["filter"]["label"] == answer["label"]


def test_grpc_other_methods(told: dict[str, Any]) -> None:
    """Classify, Regress, GetModelMetadata and GetModelStatus say what REST says."""
    assert told["classify"] == [10, DIGITS[0].label]
    assert told["regress"] == pytest.approx([float(DIGITS[0].label)] * 2, abs=0.5)
    assert told["metadata"] == ["classify", "regress", "serving_default"]
    assert told["status"] == [1, 30, 0]  # AVAILABLE, OK


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("another model", "NOT_FOUND", "Latest(other)"),
        ("another version", "NOT_FOUND", "Specific(digits, 7)"),
        ("another signature", "INVALID_ARGUMENT", '"other" not found in signature def'),
        ("another input", "INVALID_ARGUMENT", "Missing but required: ['image']"),
        ("another output", "INVALID_ARGUMENT", "logits"),
        ("another shape", "INVALID_ARGUMENT", "shape [1, 3]"),
        ("another type", "INVALID_ARGUMENT", "is int32; the signature wants float32"),
        ("no status", "NOT_FOUND", "Latest(other)"),
        ("no examples", "INVALID_ARGUMENT", "Input is empty"),
        ("multi", "UNIMPLEMENTED", ""),
    ],
)
def test_grpc_errors(told: dict[str, Any], name: str, code: str, said: str) -> None:
    """Errors are gRPC's status codes with the same reasons."""
    assert told[name][0] == code
    assert said in told[name][1]


def test_grpc_alone() -> None:
    """PROTOCOL=grpc puts gRPC on PORT, for a Knative port named h2c; NaN comes through; SIGTERM ends it with 0."""
    port = free_port()
    process, _ = begin(PORT=str(port), PROTOCOL="grpc", DIGITS_MODEL="linear")
    found = client(port)
    assert found["status"] == [1, 30, 0]
    assert found["not a number"]["nan"]
    assert end(process) == 0


def test_a_model_that_is_not_there() -> None:
    """A start without its model ends with status 2 and one line that says where it looked."""
    with pytest.raises(AssertionError, match=r"ended with 2 and said (.|\n)*huge holds no version of a SavedModel"):
        begin(PORT="0", DIGITS_MODEL="huge")


def test_by_stubs_through_a_selector(tmp_path: Path) -> None:
    """The official stubs ask the selector for the task by gRPC; the sleeping variant of digits-grpc starts for them."""
    manifests, state = tmp_path / "knative", tmp_path / "state"
    manifests.mkdir()
    shutil.copy(ROOT / "knative/components/digits-grpc/digits-tfserving-grpc.yaml", manifests)
    state.mkdir()
    (state / "environments").symlink_to(ROOT / ".warmfront" / "environments")
    programs = Path(sys.executable).parent
    command = ["up", "-f", str(manifests), "--root", str(ROOT), "--state", str(state), "--port", "0", "--plain"]
    up = subprocess.Popen([str(programs / "warmfront"), *command], stdout=subprocess.PIPE, text=True)
    selector = None
    try:
        assert up.stdout is not None
        assert any("export KUBECONFIG" in line for line in up.stdout)
        port = free_port()
        settings = os.environ | {"KUBECONFIG": str(state / "kubeconfig"), "PORT": str(port), "HOST": "127.0.0.1"}
        selector = subprocess.Popen([sys.executable, "main.py"], cwd=ROOT / "selector_fn", env=settings)
        known(port)
        found = client(port)
        assert str(found["predict"]["label"]) == DIGITS[0].label
        assert found["classify"] == [10, DIGITS[0].label]
        assert found["metadata"] == ["classify", "regress", "serving_default"]
        assert found["another shape"][0] == "INVALID_ARGUMENT"
        assert found["another model"][0] == "NOT_FOUND"
    finally:
        for process in filter(None, (selector, up)):
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        assert up.stdout is not None
        up.stdout.close()


def known(port: int, within_s: float = 20.0) -> None:
    """Wait until the selector knows a variant of the task."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/tasks/digits")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise AssertionError("the selector never knew of the task")
