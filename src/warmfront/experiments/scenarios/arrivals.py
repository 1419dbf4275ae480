"""When requests come: every kind of workload as instants, drawn from a seed. What must not live here: what they ask.

Instants are seconds of the run, rising.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random

from warmfront.experiments.scenarios.schema import Gamma, OnOff, Poisson, StandIn, Timer


def instants(workload: StandIn, duration_s: float, rng: Random) -> list[float]:
    """The arrivals of a generated workload within the duration."""
    if isinstance(workload, Poisson):
        return _poisson([(0.0, workload.rate), *workload.steps], duration_s, rng)
    if isinstance(workload, Gamma):
        scale = 1 / (workload.rate * workload.shape)
        return _renewal(lambda: rng.gammavariate(workload.shape, scale), duration_s)
    if isinstance(workload, Timer):
        count = math.floor(duration_s / workload.every_s)
        late = sorted(workload.every_s * (i + 1) + workload.jitter_s * rng.random() for i in range(count))
        return [at for at in late if at <= duration_s]
    return list(_bursts(workload, duration_s, rng))


def spread(counts: Sequence[tuple[int, int]], unit_s: float, *, evenly: bool, rng: Random) -> list[float]:
    """So many arrivals in each numbered unit of time (a second or a minute): at even distances or anywhere."""
    found: list[float] = []
    for number, count in counts:
        for i in range(count):
            share = (i + 0.5) / count if evenly else rng.random()
            found.append(unit_s * (number + share))
    return sorted(found)


def _renewal(gap: Callable[[], float], duration_s: float) -> list[float]:
    found, now = [], gap()
    while now <= duration_s:
        found.append(now)
        now += gap()
    return found


def _poisson(steps: Sequence[tuple[float, float]], duration_s: float, rng: Random) -> list[float]:
    """Piecewise constant rates; memoryless, so every piece may start afresh."""
    ordered = sorted(steps)
    ends = [at for at, _ in ordered[1:]] + [duration_s]
    found: list[float] = []
    for (start, rate), end in zip(ordered, ends, strict=True):
        if rate > 0:
            gap = partial(rng.expovariate, rate)
            found += [start + at for at in _renewal(gap, min(end, duration_s) - start)]
    return found


def _bursts(workload: OnOff, duration_s: float, rng: Random) -> Iterator[float]:
    now = 0.0
    while now < duration_s:
        end = min(now + rng.expovariate(1 / workload.on_s), duration_s)
        at = now + rng.expovariate(workload.rate)
        while at < end:
            yield at
            at += rng.expovariate(workload.rate)
        now = end + rng.expovariate(1 / workload.off_s)
