"""The selector's overhead: the same request to a warm variant, directly and through the selector, in turns.

Both ways begin at the cluster's ingress, so the difference is one more pass through it, the selector's queue-proxy, and
the selector itself. One request at a time, on a kept connection.
"""

import asyncio
import statistics
import time

from benchmarks.cluster.place import Place
from benchmarks.cluster.starts import TEXT

from warmfront.wire.pool import Origin, Pool

VARIANT = "langid-cld2"
WARM_UP = 200


def measure(place: Place, requests: int) -> dict[str, float]:
    """Milliseconds: p50 and p99 each way, and of the difference between neighbours in time."""
    for service in (VARIANT, "selector"):
        place.annotate(service, **{"min-scale": "1"})
    for other in ("langid-fasttext", "langid-py3langid", "langid-lingua"):
        place.kubectl("delete", "ksvc", other)
    return asyncio.run(_turns(place, requests))


async def _turns(place: Place, requests: int) -> dict[str, float]:
    pool = Pool()
    ways = {
        "direct": (Origin(place.host(VARIANT), 80), "/"),
        "selector": (Origin(place.host("selector"), 80), "/tasks/langid"),
    }
    took: dict[str, list[float]] = {way: [] for way in ways}
    try:
        for turn in range(WARM_UP + requests):
            for way, (origin, path) in ways.items():
                started = time.perf_counter()
                reply = await pool.fetch(origin, "POST", path, [(b"content-type", b"text/plain")], TEXT, timeout_s=30)
                if reply.status != 200:
                    raise SystemExit(f"{origin.authority}{path} answered {reply.status}; wanted 200")
                if turn >= WARM_UP:
                    took[way].append((time.perf_counter() - started) * 1000)
    finally:
        await pool.close()
    more = [through - direct for direct, through in zip(took["direct"], took["selector"], strict=True)]
    found = {"requests": float(requests)}
    for name, values in (*took.items(), ("overhead", more)):
        cuts = statistics.quantiles(values, n=100)
        found |= {f"{name}_p50_ms": round(cuts[49], 2), f"{name}_p99_ms": round(cuts[98], 2)}
    return found
