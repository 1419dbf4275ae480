"""The input of `infer` and `explain`: bytes as they come, and of which kind they are."""

import json

import pytest
from click.testing import CliRunner

from warmfront.cli.app import cli
from warmfront.cli.question import input_of
from warmfront.cli.selector import Selector
from warmfront.cloudevents import decode
from warmfront.wire.messages import Response

PIXELS = bytes(range(256)) * 3 + bytes(16)
DECISION = {"chosen": None, "reason": "none", "deadline_ms": None, "candidates": []}


@pytest.fixture
def asked(monkeypatch):
    """The requests that were made, as (path, headers, body); every answer is an empty decision."""
    seen = []

    def request(_self, _method, path, headers, body=b""):
        seen.append((path, list(headers), body))
        return Response(status=200, headers=[(b"warmfront-variant", b"v")], body=json.dumps(DECISION).encode())

    monkeypatch.setattr(Selector, "request", request)
    return seen


@pytest.mark.parametrize("command", ["infer", "explain"])
def test_an_image_on_standard_input(asked, command):
    """784 bytes that are no UTF-8 arrive as they were, and are called octets."""
    done = CliRunner().invoke(cli, [command, "digits", "-", "-o", "json"], input=PIXELS, catch_exceptions=False)
    assert done.exit_code == 0
    for _, headers, body in asked:
        assert body == PIXELS
        assert (b"content-type", b"application/octet-stream") in headers


@pytest.mark.parametrize("command", ["infer", "explain"])
def test_a_content_type_that_is_given(asked, command):
    """It is what the request bears."""
    args = [command, "digits", '{"image": [0]}', "--content-type", "application/json", "-o", "json"]
    assert CliRunner().invoke(cli, args, catch_exceptions=False).exit_code == 0
    assert {headers[-1] for _, headers, _ in asked} == {(b"content-type", b"application/json")}


def test_the_content_type_of_an_event(asked):
    """It is the event's."""
    CliRunner().invoke(cli, ["infer", "digits", "-", "--event"], input=PIXELS)
    event = decode(*asked[-1][1:])
    assert (event.data, event.datacontenttype) == (PIXELS, "application/octet-stream")


def test_a_content_type_that_is_none(asked):
    """Says what to write; nothing is sent."""
    done = CliRunner().invoke(cli, ["explain", "digits", "x", "--content-type", "json"])
    assert done.exit_code == 2
    assert "'json' is not a media type; write one such as application/json" in " ".join(done.output.split())
    assert not asked


def test_text_is_text():
    """As typed; what is no UTF-8 among the arguments is octets too."""
    assert input_of("Größe", None) == ("Größe".encode(), "text/plain; charset=utf-8")
    assert input_of("\udcff", None) == (b"\xff", "application/octet-stream")
