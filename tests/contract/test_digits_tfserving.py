"""TensorFlow Serving's REST API before a selector: every golden pair comes through, to the byte."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from tests.contract.conftest import Front, Platform
from tests.contract.half_plus import HalfPlus

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
