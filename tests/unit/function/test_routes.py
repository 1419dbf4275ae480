"""The routes inside a model function and the headers that tell how warm it was."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from warmfront.function import ModelFunction, Prediction, Text

TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize("path", ["/healthz", "/v2/health/live", "/health/liveness"])
def test_alive(client: FlaskClient, path: str) -> None:
    """A running process says so under the names of Kubernetes, Open Inference and Knative Functions."""
    reply = client.get(path)
    assert (reply.status_code, reply.json) == (200, {"live": True})


@pytest.mark.parametrize("path", ["/readyz", "/v2/health/ready", "/health/readiness", "/v2/models/langid/ready"])
def test_ready_once_loaded(path: str) -> None:
    """Readiness means a loaded model: 503 before, 200 after, 503 again while the process ends."""
    model = ModelFunction("langid", lambda: lambda text: Prediction("de", 1.0), accept=Text())
    assert model.answer("GET", path, [], b"").status == 503
    assert model.answer("POST", "/", [], b"Guten Tag").status == 503
    model.load()
    assert model.answer("GET", path, [], b"").status == 200
    model.draining = True
    assert model.answer("GET", path, [], b"").status == 503


def test_raw_text(client: FlaskClient) -> None:
    """A text in is a label and a score out, with no framing at all."""
    reply = client.post("/", data="Guten Tag", headers=TEXT)
    assert (reply.status_code, reply.json) == (200, {"label": "de", "score": 0.75})
    assert reply.content_type == "application/json"


def test_what_curl_sends(client: FlaskClient) -> None:
    """`curl -d` calls a sentence a form; it is a sentence all the same."""
    reply = client.post("/", data=b"Guten Tag", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert reply.json == {"label": "de", "score": 0.75}


def test_json_text(client: FlaskClient) -> None:
    """With a JSON content type the text is the content of the JSON string."""
    assert client.post("/", json="Guten Tag").json == {"label": "de", "score": 0.75}


def test_tells_how_warm_it_was(client: FlaskClient) -> None:
    """Only the first prediction of a process is the first; load and uptime count from process start."""
    client.get("/readyz")
    first, second = (client.post("/", data="Guten Tag", headers=TEXT).headers for _ in range(2))
    assert (first["Warmfront-First-Request"], second["Warmfront-First-Request"]) == ("true", "false")
    assert 0 < float(first["Warmfront-Load-Ms"]) <= float(first["Warmfront-Uptime-Ms"])
    assert first["Warmfront-Load-Ms"] == second["Warmfront-Load-Ms"]
    assert float(first["Warmfront-Uptime-Ms"]) <= float(second["Warmfront-Uptime-Ms"])
    assert 0 <= float(first["Warmfront-Execution-Ms"]) < float(first["Warmfront-Uptime-Ms"])


def test_label_is_percent_encoded(client: FlaskClient) -> None:
    """A label of any script fits into a header."""
    reply = client.post("/", data="x", headers=TEXT)
    assert reply.headers["Warmfront-Label"] == "gr%C3%B6%C3%9Fer"
    assert reply.json["label"] == "größer"


BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("not UTF-8", {"data": b"\xff\xfe", "headers": TEXT}, 400, "not UTF-8: invalid start byte at byte 0"),
    ("empty", {"data": b"", "headers": TEXT}, 400, "empty"),
    ("blank", {"data": b" \n", "headers": TEXT}, 400, "empty"),
    ("another charset", {"data": b"x", "headers": {"Content-Type": 'text/plain; charset="latin1"'}}, 415, "latin1"),
    ("JSON object", {"json": {"text": "Guten Tag"}}, 400, "not one string"),
    ("broken JSON", {"data": b'"Gu', "headers": {"Content-Type": "application/json"}}, 400, "not one string"),
    ("too long", {"data": b"a" * 1001, "headers": TEXT}, 413, "exceeds 1000 bytes"),
    ("model fails", {"data": b"crash", "headers": TEXT}, 500, "the replica's log"),
]


@pytest.mark.parametrize(("request_", "status", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input(client: FlaskClient, request_: dict[str, Any], status: int, said: str) -> None:
    """Bad input gets a status and a reason that says what to change; the next good request works."""
    reply = client.post("/", **request_)
    assert reply.status_code == status
    assert said in reply.json["error"]
    assert "secret" not in reply.json["error"]
    assert client.post("/", data="Guten Tag", headers=TEXT).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("get", "/", "POST, OPTIONS"),
        ("put", "/", "POST, OPTIONS"),
        ("post", "/readyz", "GET"),
        ("delete", "/healthz", "GET"),
        ("get", "/v2/models/langid/infer", "POST"),
        ("post", "/v2/models/langid", "GET"),
    ],
)
def test_wrong_method(client: FlaskClient, method: str, path: str, allow: str) -> None:
    """A route with another method says which it has."""
    reply = getattr(client, method)(path)
    assert (reply.status_code, reply.headers["Allow"]) == (405, allow)


@pytest.mark.parametrize("path", ["/nothing", "/v2", "/v2/models", "/v2/models/other", "/v2/models/langid/explain"])
def test_unknown_route(client: FlaskClient, path: str) -> None:
    """What does not exist is a 404 with a reason."""
    reply = client.get(path)
    assert reply.status_code == 404
    assert reply.json["error"]


def test_options(client: FlaskClient) -> None:
    """An event source that asks first learns that POST is taken."""
    reply = client.options("/")
    assert (reply.status_code, reply.headers["Allow"]) == (204, "POST, OPTIONS")


def test_head_is_get_without_body(client: FlaskClient, handle: Callable[[Any], object]) -> None:
    """Health may be asked with HEAD."""
    reply = client.head("/readyz")
    assert (reply.status_code, reply.data) == (200, b"")
