"""TensorFlow Serving's REST API before a selector: every golden pair comes through, to the byte."""

import http.client
import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from tests.contract.conftest import Front, Platform
from tests.contract.half_plus import HalfPlus
from tests.tensorflow_function import environment, needs_tensorflow

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "tensorflow_serving"


class Pair(NamedTuple):
    """One request and its reply."""

    method: str
    path: str
    body: bytes
    status: int
    reply: bytes

    @classmethod
    def read(cls, file: Path) -> "Pair":
        """A golden file, see the README beside it."""
        asked, told = file.read_bytes().split(b"\n---\n")
        head, _, body = asked.partition(b"\n\n")
        status, _, reply = told.partition(b"\n\n")
        method, path = head.splitlines()[1].decode().split()
        return cls(method, path, body, int(status), reply)


PAIRS = {file.stem: Pair.read(file) for file in sorted(GOLDEN.glob("*.http"))}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Tasks `half_plus_two` and `half_plus_three`, served by models whose names have hyphens."""
    platform = Platform(tmp_path_factory.mktemp("platform"))
    server = HalfPlus({"half-plus-two": 2.0, "half-plus-three": 3.0})
    for task in ("half_plus_two", "half_plus_three"):
        name = task.replace("_", "-")
        platform.add(name, task, 0.9, "tensorflow-serving").answer = server.answer
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def front(start) -> Front:
    """One selector for all."""
    return start("native")


@pytest.mark.parametrize("name", PAIRS)
def test_the_model_server_is_as_documented(platform: Platform, name: str) -> None:
    """Without a selector: the other tests are worth something only if this one holds."""
    pair = PAIRS[name]
    connection = http.client.HTTPConnection(urlsplit(platform.variants["half-plus-two"].url).netloc)
    path = pair.path.replace("half_plus_two", "half-plus-two").replace("half_plus_three", "half-plus-three")
    connection.request(pair.method, path, pair.body)
    response = connection.getresponse()
    assert (response.status, response.read()) == (pair.status, pair.reply)
    connection.close()


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_comes_through(front: Front, platform: Platform, name: str) -> None:
    """Status and body as the server gave them, the request's body untouched, the model called as the variant is."""
    pair = PAIRS[name]
    for variant in platform.variants.values():
        variant.seen.clear()
    reply = front.ask(pair.method, pair.path, pair.body)
    assert (reply.status, reply.body) == (pair.status, pair.reply)
    assert reply.headers["content-type"] == "application/json"
    (seen,) = [exchange for variant in platform.variants.values() for exchange in variant.seen]
    assert (seen.method, seen.body) == (pair.method, pair.body)
    assert seen.path == pair.path.replace("half_plus_two", "half-plus-two").replace(
        "half_plus_three", "half-plus-three"
    )
    assert reply.headers["warmfront-variant"] in platform.variants


def test_an_unknown_model(front: Front) -> None:
    """404 and `error`, as a model server has it; the text says what to do."""
    for method, path in (
        ("POST", "/v1/models/half:predict"),
        ("GET", "/v1/models/half"),
        ("GET", "/v1/models/half/metadata"),
    ):
        reply = front.ask(method, path, b'{"instances": [1.0]}' if method == "POST" else None)
        assert (reply.status, list(reply.json)) == (404, ["error"])
        assert "no variant serves task 'half'" in reply.json["error"]


def test_an_unknown_verb(front: Front) -> None:
    """404 and 405 have the same shape, though no route knows the path."""
    reply = front.ask("POST", "/v1/models/half_plus_two:explain", b"{}")
    assert (reply.status, list(reply.json)) == (404, ["error"])
    reply = front.ask("GET", "/v1/models/half_plus_two:predict")
    assert (reply.status, list(reply.json), reply.headers["allow"]) == (405, ["error"], "POST")


def test_the_status_of_a_model(front: Front, platform: Platform) -> None:
    """The selector's own answer, by which nobody is woken: one version, AVAILABLE."""
    for variant in platform.variants.values():
        variant.seen.clear()
    told = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path, version in (("", "1"), ("/versions/123", "123"), ("/labels/stable", "1")):
        reply = front.ask("GET", f"/v1/models/half_plus_two{path}")
        assert (reply.status, reply.json) == (200, {"model_version_status": [{"version": version} | told]})
    assert front.ask("GET", "/v1/models").json == {"models": ["half_plus_three", "half_plus_two"]}
    assert not any(variant.seen for variant in platform.variants.values())


def test_an_objective_is_told_in_headers(front: Front) -> None:
    """Met, and refused in this protocol's shape."""
    body = b'{"instances": [1.0]}'
    reply = front.ask("POST", "/v1/models/half_plus_two:predict", body, {"Warmfront-Deadline-Ms": "5000"})
    assert (reply.status, float(reply.headers["warmfront-probability"]) > 0) == (200, True)
    asked = {"Warmfront-Min-Accuracy": "0.95", "Warmfront-On-Miss": "reject"}
    reply = front.ask("POST", "/v1/models/half_plus_two:predict", body, asked)
    assert (reply.status, list(reply.json)) == (422, ["error"])
    assert "meets the objective" in reply.json["error"]
    reply = front.ask("POST", "/v1/models/half_plus_two:predict", body, {"Warmfront-Deadline-Ms": "soon"})
    assert (reply.status, list(reply.json)) == (400, ["error"])


# -- a real model in TensorFlow ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits(platform: Platform, front: Front) -> Iterator[int]:
    """Task `digits`: functions/digits_tfserving in its own environment; the port of the function."""
    function = environment()
    assert function is not None
    settings = {"PATH": function.path, "HOST": "127.0.0.1", "PORT": "0", "K_SERVICE": "digits-tfserving"}
    process = subprocess.Popen(function.command, cwd=function.folder, env=settings, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    found = next(filter(None, (re.search(r"is ready on port (\d+)", line) for line in process.stderr)))
    platform.add("digits-tfserving", "digits", 0.99, "tensorflow-serving", f"http://127.0.0.1:{found[1]}")
    while front.ask("GET", "/v1/models/digits").status != 200:
        pass
    yield int(found[1])
    process.terminate()
    process.communicate(timeout=30)


IMAGE = [level / 784 for level in range(784)]
ASKED = {
    "rows": (":predict", {"instances": [IMAGE]}),
    "columns": (":predict", {"inputs": {"image": [IMAGE]}}),
    "a version": ("/versions/1:predict", {"instances": [{"image": IMAGE}]}),
    "classify": (":classify", {"signature_name": "classify", "examples": [{"image": IMAGE}]}),
    "regress": (":regress", {"signature_name": "regress", "context": {"image": IMAGE}, "examples": [{}, {}]}),
    "not finite": (":predict", {"instances": [[math.nan, math.inf, *IMAGE[2:]]]}),
    "both formats": (":predict", {"instances": [IMAGE], "inputs": [IMAGE]}),
    "another signature": (":predict", {"signature_name": "wrong", "instances": [IMAGE]}),
    "another version": ("/versions/7:predict", {"instances": [IMAGE]}),
    "another shape": (":predict", {"instances": [[1.0]]}),
    "metadata": ("/metadata", None),
}


@needs_tensorflow
@pytest.mark.parametrize("name", ASKED)
def test_tensorflow_answers_through_a_selector_as_without_it(front: Front, digits: int, name: str) -> None:
    """Status and body are those of the server itself, good answers and errors."""
    path, document = ASKED[name]
    method, body = ("GET", None) if document is None else ("POST", json.dumps(document))
    connection = http.client.HTTPConnection("127.0.0.1", digits, timeout=60)
    connection.request(method, f"/v1/models/digits-tfserving{path}", body)
    response = connection.getresponse()
    alone = response.status, response.read()
    connection.close()
    reply = front.ask(method, f"/v1/models/digits{path}", None if body is None else body.encode())
    assert (reply.status, reply.body) == alone
    assert (reply.status == 200) == (
        name not in {"both formats", "another signature", "another version", "another shape"}
    )


@needs_tensorflow
def test_an_open_inference_client_reaches_tensorflow(front: Front, digits: int) -> None:
    """Its tensor becomes a column, the probabilities a tensor: the numbers that TensorFlow Serving's client gets."""
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 784], "data": IMAGE}
    asked = {"id": "7", "inputs": [tensor], "outputs": [{"name": "probabilities"}]}
    reply = front.ask("POST", "/v2/models/digits/infer", json.dumps(asked).encode())
    (row,) = front.ask("POST", "/v1/models/digits:predict", json.dumps({"instances": [IMAGE]}).encode()).json[
        "predictions"
    ]
    output = {"name": "probabilities", "datatype": "FP32", "shape": [1, 10], "data": row}
    assert reply.json == {"model_name": "digits-tfserving", "id": "7", "outputs": [output]}
