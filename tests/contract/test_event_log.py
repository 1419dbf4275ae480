"""The function event_log: what it keeps of events, what it counts, and that its reply is none."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from warmfront.cloudevents import CloudEvent, Headers, Mode, encode, encode_batch

FOLDER = Path(__file__).parents[2] / "functions" / "event_log"


@pytest.fixture
def function() -> ModuleType:
    """Its main.py, fresh."""
    spec = importlib.util.spec_from_file_location("event_log_main", FOLDER / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def event(id_: str, data: bytes = b"text", **extensions: str) -> CloudEvent:
    """An event of type `a`."""
    return CloudEvent(
        id=id_, source="/test", type="a", subject="s", datacontenttype="text/plain", extensions=extensions, data=data
    )


def kept(function: ModuleType) -> list[dict[str, str]]:
    """What /events tells."""
    return [json.loads(line) for line in function.handle.model.answer("GET", "/events", [], b"").body.splitlines()]


def post(function: ModuleType, message: tuple[Headers, bytes]) -> Any:
    """The reply to a message."""
    return function.handle.model.answer("POST", "/", *message)


def test_every_mode_is_kept_and_printed(function: ModuleType, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Binary, structured and batched events become one JSON line each; the reply is empty, as a Broker wants it."""
    messages = [encode(event("1")), encode(event("2"), Mode.STRUCTURED), encode_batch([event("3"), event("4")])]
    for message in messages:
        reply = post(function, message)
        assert (reply.status, reply.body) == (202, b"")
    wanted = {"source": "/test", "type": "a", "subject": "s", "datacontenttype": "text/plain", "data": "text"}
    lines = [{"id": id_} | wanted for id_ in "1234"]
    assert kept(function) == lines
    assert [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()] == lines


def test_dead_letters_are_counted_by_their_code(function: ModuleType) -> None:
    """The metric tells how many events of a type were given up with which status; others have none."""
    for id_, extensions in enumerate([{"knativeerrorcode": "422"}, {"knativeerrorcode": "422"}, {}]):
        post(function, encode(event(str(id_), **extensions)))
    text = function.handle.model.answer("GET", "/metrics", [], b"").body.decode()
    (family,) = text_string_to_metric_families(text)
    found = {(sample.labels["type"], sample.labels["code"]): sample.value for sample in family.samples}
    assert found == {("a", "422"): 2.0, ("a", ""): 1.0}


def test_what_is_kept_is_bounded(function: ModuleType) -> None:
    """Of many events the last are kept, of large data the beginning; a hundred types have a count of their own."""
    post(function, encode(event("large", b"x" * 10_000)))
    (line,) = kept(function)
    assert (len(line["data"]), line["data_bytes"]) == (4096, "10000")
    for number in range(250):
        post(function, encode(CloudEvent(id=str(number), source="/test", type=f"t{number}", data=b"\xff")))
    lines = kept(function)
    assert [line["id"] for line in lines] == [str(number) for number in range(50, 250)]
    assert lines[0]["data_base64"] == "/w=="
    text = function.handle.model.answer("GET", "/metrics", [], b"").body.decode()
    (family,) = text_string_to_metric_families(text)
    assert len(family.samples) == 101
    assert {s.value for s in family.samples if s.labels["type"] == "other"} == {151.0}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [("POST", "/", [], 400), ("PUT", "/", [], 405), ("GET", "/nothing", [], 404), ("GET", "/readyz", [], 200)],
)
def test_other_requests(function: ModuleType, method: str, path: str, headers: Headers, status: int) -> None:
    """What is no event is refused with a reason; health is there."""
    reply = function.handle.model.answer(method, path, headers, b"")
    assert reply.status == status
    assert status == 200 or json.loads(reply.body)["error"]
