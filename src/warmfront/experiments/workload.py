"""Labelled texts with arrival times and deadlines: the same ones for every policy of a run.

What may live here: drawing a workload from a seed. What must not: sending it.
Times are seconds from the start of the run.
"""

import csv
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

DEADLINES_S = (0.2, 1.0, 3.0, 15.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledText:
    """A text and the language it is in (ISO 639-1)."""

    text: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One request that becomes due `at_s` into the run and is worth an answer for `deadline_s`."""

    id: str
    at_s: float
    deadline_s: float
    sample: LabelledText


def shipped_texts() -> list[LabelledText]:
    """The labelled texts that ship with the project; `data/NOTICE` names their sources and licences."""
    table = files("warmfront.experiments").joinpath("data/langid_texts.csv").read_text(encoding="utf-8")
    return [
        LabelledText(text=row["text"], language=row["lang"]) for row in csv.DictReader(io.StringIO(table, newline=""))
    ]


def draw(texts: Sequence[LabelledText], *, requests: int, seconds: float, seed: int) -> list[Arrival]:
    """A Poisson stream conditioned on its count: `requests` independent uniform instants, in order.

    Texts come in a shuffled order, repeated when there are fewer than `requests`; deadlines are equally likely.
    """
    times, order, deadlines = (random.Random(f"{seed}/{purpose}") for purpose in ("times", "order", "deadlines"))
    shuffled: list[LabelledText] = []
    while len(shuffled) < requests:
        shuffled += order.sample(list(texts), len(texts))
    instants = sorted(times.uniform(0.0, seconds) for _ in range(requests))
    return [
        Arrival(id=f"{number:05d}", at_s=at_s, deadline_s=deadlines.choice(DEADLINES_S), sample=sample)
        for number, (at_s, sample) in enumerate(zip(instants, shuffled, strict=False))
    ]
