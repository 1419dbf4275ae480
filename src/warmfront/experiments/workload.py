"""Labelled inputs with arrival times and deadlines: the same ones for every policy of a run.

What may live here: drawing a workload from a seed. What must not: sending it.
Times are seconds from the start of the run.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from warmfront.experiments.profiling.labelled import Sample

DEADLINES_S = (0.2, 1.0, 3.0, 15.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One request that becomes due `at_s` into the run and is worth an answer for `deadline_s`."""

    id: str
    at_s: float
    deadline_s: float
    sample: Sample


def draw(samples: Sequence[Sample], *, requests: int, seconds: float, seed: int) -> list[Arrival]:
    """A Poisson stream conditioned on its count: `requests` independent uniform instants, in order.

    Samples come in a shuffled order, repeated when there are fewer than `requests`; deadlines are equally likely.
    """
    times, order, deadlines = (random.Random(f"{seed}/{purpose}") for purpose in ("times", "order", "deadlines"))
    shuffled: list[Sample] = []
    while len(shuffled) < requests:
        shuffled += order.sample(list(samples), len(samples))
    instants = sorted(times.uniform(0.0, seconds) for _ in range(requests))
    return [
        Arrival(id=f"{number:05d}", at_s=at_s, deadline_s=deadlines.choice(DEADLINES_S), sample=sample)
        for number, (at_s, sample) in enumerate(zip(instants, shuffled, strict=False))
    ]
