"""Cold starts, split in three: asked for to process start, process start to ready, ready to the first answer.

Every Service is asked while it has no pod. The function says in its log when it was ready and how old its process was
then; the node's clock is the one here, or the split is off by their difference (the sum is not).

platform: scheduling, sandbox, container, queue-proxy, everything before the process.
load: interpreter, imports, model: what a profile's `cold_start_s` states.
answer: probes, endpoints, the activator's own turn, the first prediction.
"""

import asyncio
import json
import re
import statistics
import sys
import time
from datetime import datetime
from typing import NamedTuple

from benchmarks.cluster.place import Place, until

from warmfront.wire.pool import Origin, Pool

TEXT = "Wo ist bitte der nächste Bahnhof?".encode()
WINDOW = "6s"
_READY = re.compile(r"([0-9.]+) s after process start")


class Start(NamedTuple):
    """One cold start, in seconds."""

    platform: float
    load: float
    answer: float

    @property
    def total(self) -> float:
        """Asked for to first answer."""
        return sum(self)


def measure(place: Place, paths: dict[str, str], rounds: int) -> dict[str, list[Start]]:
    """`rounds` cold starts of each Service, one at a time; `paths` says where each is asked."""
    for service in paths:
        place.annotate(service, window=WINDOW, **{"min-scale": "0"})
    starts: dict[str, list[Start]] = {service: [] for service in paths}
    for turn in range(rounds + 1):  # the first of each fills the node's file cache and is not counted
        for service, path in paths.items():
            until(f"{service} has no pod", lambda service=service: not place.pods(service))
            start = _start(place, service, path)
            print(f"  {service} {' '.join(f'{part:.2f}' for part in start)} s", file=sys.stderr)
            if turn:
                starts[service].append(start)
    return starts


def _start(place: Place, service: str, path: str) -> Start:
    asked = time.time()
    status = asyncio.run(_ask(place.host(service), path))
    answered = time.time()
    if status != 200:
        raise SystemExit(f"{service} answered {status} to its first request; wanted 200")
    (pod,) = (pod["metadata"]["name"] for pod in place.pods(service))
    ready_at, age_s = _said(place.kubectl("logs", pod, "-c", "user-container"))
    return Start(platform=ready_at - age_s - asked, load=age_s, answer=answered - ready_at)


def _said(log: str) -> tuple[float, float]:
    """When the process was ready, and how old it was then."""
    for line in log.splitlines():
        entry = json.loads(line)
        if found := _READY.search(entry["message"]):
            return datetime.fromisoformat(entry["ts"]).timestamp(), float(found[1])
    raise SystemExit(f"no line about being ready in the log:\n{log}")


async def _ask(host: str, path: str) -> int:
    pool = Pool()
    try:
        reply = await pool.fetch(Origin(host, 80), "POST", path, [(b"content-type", b"text/plain")], TEXT, timeout_s=90)
    finally:
        await pool.close()
    return reply.status


def figures(starts: dict[str, list[Start]]) -> dict[str, dict[str, float]]:
    """Per Service: median of each part, median and largest of the whole, and how many there were."""
    return {
        service: {
            **{f"{part}_s": round(statistics.median(getattr(s, part) for s in each), 3) for part in Start._fields},
            "total_s": round(statistics.median(s.total for s in each), 3),
            "slowest_s": round(max(s.total for s in each), 3),
            "n": len(each),
        }
        for service, each in starts.items()
    }
