"""The selector's hop: decision among four warm candidates, limits and metrics on, beside nginx and functions-framework.

    python -m benchmarks.hop

One selector process as it is deployed, told of its variants by an API server, one nginx behind all variants. Also how
long the selector takes from spawn to its first routed answer, listing the catalogue included.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks import harness, servers
from benchmarks.harness import Cell, Running

VARIANTS = 4
PATH = "/tasks/bench"
HEADERS = {"Warmfront-Deadline-Ms": "1000"}
FOLDER = Path(__file__).parents[1] / "selector_fn"


@contextmanager
def _platform() -> Iterator[tuple[int, dict[str, str]]]:
    """An upstream and an API server that knows it as four variants: its port, and a selector's environment."""
    with tempfile.TemporaryDirectory() as folder:
        upstream = servers.start_nginx_constant()
        kubeconfig = Path(folder) / "kubeconfig"
        port = servers.free_port()
        url = f"http://127.0.0.1:{upstream.port}"
        command = [sys.executable, "-m", "benchmarks.platform", str(port), str(kubeconfig), str(VARIANTS), url]
        api = servers.start_process(command, port)
        try:
            harness.pin(upstream.pid, measured=False)
            harness.pin(api.pid, measured=False)
            yield upstream.port, {"KUBECONFIG": str(kubeconfig), "WARMFRONT_LOG_LEVEL": "WARNING", "HOST": "127.0.0.1"}
        finally:
            api.stop()
            upstream.stop()


def _answers(port: int, process: subprocess.Popen[bytes] | None, within_s: float = 30.0) -> None:
    """Return with the first routed answer."""
    until = time.monotonic() + within_s
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("POST", PATH, b"x", HEADERS)
            status = connection.getresponse().status
            connection.close()
        except (OSError, HTTPException):
            status = 0
        if status == 200:
            return
        time.sleep(0.002)
    raise RuntimeError(f"no routed answer on port {port} within {within_s} s")


def _selector(environment: dict[str, str], *command: str) -> Running:
    port = servers.free_port()
    running = servers.start_process([*command], port, environment | {"PORT": str(port)}, FOLDER)
    try:
        _answers(port, None)
    except BaseException:
        running.stop()
        raise
    return running


def compare(rounds: int = 5, seconds: float = 3.0) -> dict[str, dict[str, float]]:
    """`nginx`, `selector` and `functions-framework` before the same upstream; see `harness.measure`."""
    with _platform() as (upstream, environment):
        flask = [str(Path(sys.executable).with_name("functions-framework")), "--target=handle"]
        cells = [
            Cell(name="nginx", start=lambda: servers.start_nginx_proxy(upstream), path=PATH, headers=HEADERS),
            Cell(
                name="selector",
                start=lambda: _selector(environment, sys.executable, "main.py"),
                path=PATH,
                headers=HEADERS,
            ),
            Cell(
                name="functions-framework",
                start=lambda: _selector(environment, *flask),
                path=PATH,
                headers=HEADERS,
            ),
        ]
        return harness.measure(cells, rounds, seconds)


def ready_ms(rounds: int = 7) -> list[float]:
    """Spawn to first routed answer, in milliseconds, one figure per round."""
    figures = []
    with _platform() as (_, environment):
        for _ in range(rounds):
            port = servers.free_port()
            begun = time.monotonic()
            env = os.environ | environment | {"PORT": str(port)}
            process = subprocess.Popen([sys.executable, "main.py"], env=env, cwd=FOLDER)
            try:
                _answers(port, process)
                figures.append((time.monotonic() - begun) * 1000)
            finally:
                process.terminate()
                process.wait()
    return figures


def main() -> None:
    """Print both measurements as JSON."""
    if missing := harness.missing_tools():
        raise SystemExit("\n".join(missing))
    results = compare()
    selector, nginx = results["selector"], results["nginx"]
    starts = ready_ms()
    summary = {"cpu_ratio_to_nginx": selector["cpu_us"] / nginx["cpu_us"], "ready_ms": statistics.median(starts)}
    sys.stdout.write(json.dumps(results | {"summary": summary}, indent=2) + "\n")


if __name__ == "__main__":
    main()
