"""A tensor of 1 MB through the selector beside nginx, by gRPC (grpc_pass) and by REST (proxy_pass), in one run.

python -m benchmarks.tensors                # compare, medians of five rounds
python -m benchmarks.tensors PORT           # be the model server: takes both, answers in a few bytes

The client sends one request after another. Measured are the proxy's CPU per request and the time of each request.
"""

import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import grpc
import uvloop
from benchmarks import harness, hop, servers
from benchmarks.harness import Running

from warmfront.protocols.grpc_fields import number_field, text_field
from warmfront.wire.messages import Exchange
from warmfront.wire.server import Server

TENSOR_BYTES = 1_000_000
CALL = "/tensorflow.serving.PredictionService/Predict"
PATH = "/v1/models/bench:predict"
_REPLY = b"\0\0\0\0\0"
_LIMIT = [("grpc.max_send_message_length", -1)]

Ask = Callable[[], None]


def predict_request() -> bytes:
    """A PredictRequest for the model `bench`: model_spec.name, inputs["image"] = TensorProto(DT_FLOAT, content)."""
    tensor = number_field(1, 1) + text_field(4, bytes(TENSOR_BYTES))
    return text_field(1, text_field(1, "bench")) + text_field(2, text_field(1, "image") + text_field(2, tensor))


def predict_body() -> bytes:
    """About as many bytes of TensorFlow Serving's JSON."""
    row = "[" + ",".join(["0.5"] * 784) + "]"
    return ('{"instances": [' + ",".join([row] * (TENSOR_BYTES // len(row))) + "]}").encode()


def _model_server(exchange: Exchange) -> None:
    if exchange.path == CALL:
        exchange.trailers = [(b"grpc-status", b"0")]
        exchange.respond(200, [(b"content-type", b"application/grpc")], _REPLY)
    else:
        exchange.respond(200, [(b"content-type", b"application/json")], b'{"predictions": [[0.5]]}')


async def _serve(port: int) -> None:
    server = Server(_model_server)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await server.listen("127.0.0.1", port)
    await stopped.wait()
    await server.close(1)


@contextmanager
def _platform(upstream: int, protocols: str) -> Iterator[dict[str, str]]:
    """An API server that knows the model server as four variants, and the environment of a selector before it."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig, port = Path(folder) / "kubeconfig", servers.free_port()
        arguments = [str(port), str(kubeconfig), str(hop.VARIANTS), f"http://127.0.0.1:{upstream}", protocols]
        api = servers.start_process([sys.executable, "-m", "benchmarks.platform", *arguments], port)
        try:
            harness.pin(api.pid, measured=False)
            yield {"KUBECONFIG": str(kubeconfig), "WARMFRONT_LOG_LEVEL": "WARNING", "HOST": "127.0.0.1"}
        finally:
            api.stop()


@contextmanager
def _selector(environment: dict[str, str]) -> Iterator[Running]:
    port = servers.free_port()
    running = servers.start_process(
        [sys.executable, "main.py"], port, environment | {"PORT": str(port)}, hop.FOLDER, poll_s=0.002
    )
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def _by_grpc(port: int) -> Iterator[Ask]:
    message = predict_request()
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=_LIMIT) as channel:
        call = channel.unary_unary(CALL)
        yield lambda: _expect(call(message, timeout=20, metadata=[("warmfront-deadline-ms", "10000")]) == b"")


@contextmanager
def _by_rest(port: int) -> Iterator[Ask]:
    body, headers = predict_body(), {"Content-Type": "application/json", "Warmfront-Deadline-Ms": "10000"}
    connection = HTTPConnection("127.0.0.1", port, timeout=20)

    def ask() -> None:
        connection.request("POST", PATH, body, headers)
        reply = connection.getresponse()
        _expect(reply.status == 200 and bool(reply.read()))

    try:
        yield ask
    finally:
        connection.close()


def _expect(met: bool) -> None:
    if not met:
        raise RuntimeError("not the model server's answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    name: str
    running: Running
    ask: Ask


def _until_answered(ask: Ask, within_s: float = 20.0) -> None:
    until = time.monotonic() + within_s
    while True:
        try:
            return ask()
        except (OSError, HTTPException, RuntimeError, grpc.RpcError):
            if time.monotonic() > until:
                raise
            time.sleep(0.002)


def _cells(stack: ExitStack) -> list[_Cell]:
    port = servers.free_port()
    upstream = servers.start_process([sys.executable, "-m", "benchmarks.tensors", str(port)], port)
    stack.callback(upstream.stop)
    harness.pin(upstream.pid, measured=False)
    grpc_nginx = servers.start_nginx_proxy(port, grpc=True)
    stack.callback(grpc_nginx.stop)
    rest_nginx = servers.start_nginx_proxy(port)
    stack.callback(rest_nginx.stop)
    by_grpc = stack.enter_context(_platform(port, "tensorflow-serving-grpc"))
    by_rest = stack.enter_context(_platform(port, "tensorflow-serving"))
    started = {
        "grpc nginx": (grpc_nginx, _by_grpc),
        "grpc selector": (stack.enter_context(_selector(by_grpc)), _by_grpc),
        "rest nginx": (rest_nginx, _by_rest),
        "rest selector": (stack.enter_context(_selector(by_rest)), _by_rest),
    }
    cells = []
    for name, (running, client) in started.items():
        harness.pin(running.pid, measured=True)
        ask = stack.enter_context(client(running.port))
        _until_answered(ask)
        cells.append(_Cell(name=name, running=running, ask=ask))
    return cells


def compare(rounds: int = 5, requests: int = 100) -> dict[str, dict[str, float]]:
    """Per cell the medians over the rounds: `cpu_ms` and `p50_ms` per request."""
    samples: dict[str, list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        cells = _cells(stack)
        for cell in cells:
            _round(cell, requests // 2)  # connections, caches, specialised byte code
        for _ in range(rounds):
            for cell in cells:
                samples.setdefault(cell.name, []).append(_round(cell, requests))
    return {
        name: {"cpu_ms": statistics.median(cpu for cpu, _ in taken), "p50_ms": statistics.median(ms for _, ms in taken)}
        for name, taken in samples.items()
    }


def _round(cell: _Cell, requests: int) -> tuple[float, float]:
    before, times = harness.cpu_ns(cell.running.pid), []
    for _ in range(requests):
        begun = time.perf_counter()
        cell.ask()
        times.append((time.perf_counter() - begun) * 1000)
    return (harness.cpu_ns(cell.running.pid) - before) / requests / 1e6, statistics.median(times)


def starts(rounds: int = 7) -> dict[str, float]:
    """From a selector's spawn to its first routed answer in milliseconds, by gRPC and by REST in turns: medians."""
    taken: dict[str, list[float]] = {"grpc": [], "rest": []}
    port = servers.free_port()
    upstream = servers.start_process([sys.executable, "-m", "benchmarks.tensors", str(port)], port)
    try:
        with _platform(port, "tensorflow-serving-grpc") as by_grpc, _platform(port, "tensorflow-serving") as by_rest:
            for _ in range(rounds):
                for name, environment, client in (("grpc", by_grpc, _by_grpc), ("rest", by_rest, _by_rest)):
                    begun = time.monotonic()
                    with _selector(environment) as running, client(running.port) as ask:
                        _until_answered(ask)
                        taken[name].append((time.monotonic() - begun) * 1000)
    finally:
        upstream.stop()
    return {name: statistics.median(times) for name, times in taken.items()}


def ratios(cells: dict[str, dict[str, float]]) -> dict[str, float]:
    """What the selector costs of nginx, by gRPC and by REST, in CPU and in time."""
    return {
        f"tensor_{way}_{what}_to_nginx": cells[f"{way} selector"][key] / cells[f"{way} nginx"][key]
        for way in ("grpc", "rest")
        for what, key in (("cpu", "cpu_ms"), ("time", "p50_ms"))
    }


def main() -> None:
    """Compare, or be the model server when a port is given."""
    if len(sys.argv) == 2:
        uvloop.run(_serve(int(sys.argv[1])))
        return
    if missing := harness.missing_tools():
        raise SystemExit("\n".join(missing))
    cells = compare()
    sys.stdout.write(json.dumps(cells | {"ratios": ratios(cells), "start_ms": starts()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
