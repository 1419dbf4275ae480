"""The selector as a process: what it imports, how it starts, how it ends."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from warmfront.kube.resources import TRIGGERS
from warmfront.wire.messages import Exchange

FOLDER = Path(__file__).parents[2] / "selector_fn"
#: What would cost the cold start dearly, or does not belong on the data path at all.
HEAVY = (
    "aiohttp", "click", "cloudevents", "flask", "functions_framework", "grpc", "gunicorn", "h2", "hpack",
    "httpx", "hyperframe", "jsonschema", "kubernetes", "numpy", "pandas", "requests", "rich", "sqlite3", "starlette",
    "tensorflow", "tensorflow_serving", "unittest", "uvicorn", "werkzeug", "yaml",
)  # fmt: skip


def python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=FOLDER, capture_output=True, text=True, timeout=30, check=False
    )


def test_the_import_budget():
    """The native front loads nothing heavy: cold start is a feature."""
    done = python("import sys, main; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    assert "google.protobuf" not in done.stdout.split()
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint(HEAVY)
    assert {"httptools", "msgspec", "uvloop", "warmfront"} <= loaded


def test_http2_is_loaded_by_the_first_who_speaks_it():
    """HTTP/1.1 does without; nothing of gRPC's own packages ever comes."""
    code = """
import asyncio, sys
from warmfront.wire.pool import Origin, Pool
from warmfront.gateway.app import App
from warmfront.wire.server import Server

def loaded():
    return sorted({'h2', 'hpack', 'grpc', 'google.protobuf', 'numpy'} & set(sys.modules))

async def main():
    server, pool = Server(lambda exchange: exchange.respond(200, [])), Pool()
    port = await server.listen("127.0.0.1", 0)
    for h2c in (False, True):
        await pool.fetch(Origin("127.0.0.1", port, h2c=h2c), "GET", "/", [], b"", timeout_s=9)
        print(*loaded(), sep=",")
    await pool.close()
    await server.close(1)

asyncio.run(main())
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["", "h2,hpack"]


def test_importing_starts_nothing():
    """No setting is read, no thread runs, no socket opens until a front is asked."""
    code = "import threading, main; print(threading.active_count(), main._fronts.cache_info().currsize)"
    done = python(code, WARMFRONT_POLICY="nosuch", KUBECONFIG="/nonexistent")
    assert (done.returncode, done.stdout.split()) == (0, ["1", "0"])


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"PORT": "http"}, "PORT is 'http'; it must be a port"),
        ({"KUBECONFIG": "/nonexistent/kubeconfig"}, "point KUBECONFIG at a kubeconfig"),
        ({"KUBECONFIG": "$KUBECONFIG", "WARMFRONT_POLICY": "nosuch"}, "choose one of cheapest, effective"),
    ],
)
def test_a_start_that_cannot_be(platform, environ, told):
    """Exit code 1 and one line that says what to put right; no traceback."""
    given = {name: text.replace("$KUBECONFIG", str(platform.kubeconfig)) for name, text in environ.items()}
    done = subprocess.run(
        [sys.executable, "main.py"], env=given, cwd=FOLDER, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port(platform, start):
    """The second selector on one port says so and ends."""
    front = start("native")
    environ = {"KUBECONFIG": str(platform.kubeconfig), "PORT": str(front.port), "HOST": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "main.py"], env=environ, cwd=FOLDER, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, "set PORT" in done.stderr) == (1, True)


def connects(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_sigterm_finishes_what_is_in_flight(platform, start):
    """On SIGTERM new connections are refused, the request in flight is answered, and the exit code is 0."""
    front = start("native")
    arrived = threading.Event()
    held: list[Exchange] = []

    def hold(exchange: Exchange) -> None:
        held.append(exchange)
        arrived.set()

    platform.variants["good"].answer = hold
    connection = front.open()
    connection.request("POST", "/tasks/lang", b"x")
    assert arrived.wait(10)
    front.process.terminate()
    while connects(front.port):
        pass
    platform.call(lambda: held[0].respond(200, [], b"finished"))
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"finished")
    connection.close()
    assert front.process.wait(10) == 0


def test_defaults_of_tasks_are_annotations(platform, start):
    """A Trigger's annotation is the default of the task it filters for, read from the API server."""
    metadata = {"name": "t", "namespace": "default", "annotations": {"warmfront.dev/default-deadline-ms": "1500"}}
    subscriber = {"ref": {"kind": "Service", "name": "sel", "apiVersion": "serving.knative.dev/v1"}}
    spec = {"broker": "default", "filter": {"attributes": {"subject": "lang"}}, "subscriber": subscriber}
    platform.call(lambda: platform.store.create(TRIGGERS, {"metadata": metadata, "spec": spec}))
    front = start("native", K_SERVICE="sel")
    until = time.monotonic() + 10
    while front.ask("POST", "/decide/lang", b"x").json["deadline_ms"] != 1500.0:
        assert time.monotonic() < until
    assert front.ask("GET", "/readyz").json["catalogue"]["defaults"] == "of the Service and of Triggers"
    reply = front.ask("POST", "/decide/lang", b"x", {"Warmfront-Deadline-Ms": "200"})
    assert reply.json["deadline_ms"] == 200.0
    assert front.ask("POST", "/decide/faults", b"x").json["deadline_ms"] is None
