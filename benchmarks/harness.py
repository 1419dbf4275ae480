"""CPU per request of HTTP servers, side by side: wrk drives, the kernel's scheduler counts.

Every round runs every cell once, in turn, so that a noisy machine is noisy for all; medians over the rounds are
compared. CPU is the run time of the measured process and all its descendants, in nanoseconds of the scheduler's own
account. Measured processes get the first core, wrk and upstreams the others, as far as there are several.
"""

import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CONNECTIONS = 32
BODY_BYTES = 1024
EVENT_HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "4f1c2d3e-0001",
    "ce-source": "/benchmarks/hop",
    "ce-type": "dev.warmfront.inference.request",
    "ce-subject": "bench",
    "ce-time": "2026-11-01T12:00:00Z",
    "content-type": "application/json",
}
NEEDED = {"wrk": "apt-get install -y wrk", "nginx": "apt-get install -y nginx-light"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started server: where it listens, which process tree is measured, how it is ended."""

    port: int
    pid: int
    stop: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One server under test. `start` returns when it answers. `headers` are added to the event's."""

    name: str
    start: Callable[[], Running]
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of wrk against one cell."""

    requests: int
    failed: int
    requests_per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


def missing_tools() -> list[str]:
    """What is not installed here, each with the command that installs it."""
    return [f"{tool} is missing: {hint}" for tool, hint in NEEDED.items() if shutil.which(tool) is None]


def tree(pid: int) -> Iterator[int]:
    """The process and all its living descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from tree(int(child))


def cpu_ns(pid: int) -> int:
    """Nanoseconds on a core of all threads of the process tree so far (threads that have ended are not counted)."""
    return sum(
        int(stat.read_text().split()[0])
        for process in tree(pid)
        for stat in Path(f"/proc/{process}/task").glob("*/schedstat")
    )


def pin(pid: int, *, measured: bool) -> None:
    """Bind the process tree to the first core (measured) or to the others; nothing on a single core."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return
    for process in tree(pid):
        for task in Path(f"/proc/{process}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores[:1] if measured else cores[1:])


@contextmanager
def _script(cell: Cell) -> Iterator[Path]:
    fields = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in (EVENT_HEADERS | cell.headers).items())
    body = '{"inputs":[{"data":["' + "x" * (BODY_BYTES - 26) + '"]}]}'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "request.lua"
        path.write_text(f"wrk.method = \"POST\"\nwrk.body = '{body}'\n{fields}\n")
        yield path


def run_wrk(cell: Cell, running: Running, seconds: float) -> Sample:
    """Drive the cell and read its CPU; RuntimeError when wrk cannot, or when no request succeeded."""
    with _script(cell) as script:
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency", "-s", str(script)]
        before = cpu_ns(running.pid)
        with subprocess.Popen(
            [*command, f"http://127.0.0.1:{running.port}{cell.path}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as wrk:
            pin(wrk.pid, measured=False)
            output, _ = wrk.communicate()
        used = cpu_ns(running.pid) - before
    requests = re.search(r"(\d+) requests in", output)
    if wrk.returncode or requests is None or not int(requests[1]):
        raise RuntimeError(f"wrk got no answer from {cell.name}: {output.strip()[-300:]}")
    failed = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", output))
    failed += sum(sum(map(int, re.findall(r"\d+", line))) for line in re.findall(r"Socket errors: (.*)", output))
    total = int(requests[1])
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    return Sample(
        requests=total,
        failed=failed,
        requests_per_s=float(rate[1]) if rate else total / seconds,
        cpu_us=used / total / 1000,
        p50_ms=_milliseconds(output, "50%"),
        p99_ms=_milliseconds(output, "99%"),
    )


def _milliseconds(output: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)", output)
    if found is None:
        return float("nan")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def measure(cells: list[Cell], rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Per cell name the medians over the rounds, the lowest CPU, and all failures; whatever it starts it also stops.

    Keys: cpu_us, cpu_us_lowest, requests_per_s, p50_ms, p99_ms, failed. RuntimeError when a cell does not answer.
    """
    samples: dict[str, list[Sample]] = {cell.name: [] for cell in cells}
    with ExitStack() as stack:
        started = []
        for cell in cells:
            running = cell.start()
            stack.callback(running.stop)
            pin(running.pid, measured=True)
            run_wrk(cell, running, 1)  # warm-up: connections, caches, specialised byte code
            started.append((cell, running))
        for _ in range(rounds):
            for cell, running in started:
                samples[cell.name].append(run_wrk(cell, running, seconds))
    return {name: _medians(taken) for name, taken in samples.items()}


def _medians(taken: list[Sample]) -> dict[str, float]:
    return {
        "cpu_us": statistics.median(s.cpu_us for s in taken),
        "cpu_us_lowest": min(s.cpu_us for s in taken),
        "requests_per_s": statistics.median(s.requests_per_s for s in taken),
        "p50_ms": statistics.median(s.p50_ms for s in taken),
        "p99_ms": statistics.median(s.p99_ms for s in taken),
        "failed": float(sum(s.failed for s in taken)),
    }
