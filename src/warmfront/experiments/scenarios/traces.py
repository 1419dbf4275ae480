"""Recorded arrivals: a trace file read once, and the arrivals it gives per seed.

What may live here: the three formats (docs/design.md 3.6). What must not: generated workloads.
"""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from warmfront.errors import SetupError
from warmfront.experiments.scenarios import files
from warmfront.experiments.scenarios.arrivals import spread
from warmfront.experiments.scenarios.schema import Trace

_SHOWN = 5


class Arrival(NamedTuple):
    """When a request comes and how large it is (None: as the callers are)."""

    at_s: float
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The part of a trace that a scenario plays: single arrivals, or counts per numbered `unit_s`, from its start."""

    arrivals: tuple[Arrival, ...] = ()
    counts: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    unit_s: float = 1.0
    evenly: bool = False
    start_s: float = 0.0

    def draw(self, rng: Random) -> list[Arrival]:
        """The arrivals; where only counts are known, chance fills the seconds or minutes unless `evenly`."""
        if self.arrivals:
            return list(self.arrivals)
        filled = spread(self.counts, self.unit_s, evenly=self.evenly, rng=rng)
        return [Arrival(at - self.start_s) for at in filled]


def read(workload: Trace, path: Path, duration_s: float) -> Recording:
    """The trace's part from `from_s` on, for the duration. Raises SetupError on an unknown format or an empty file."""
    rows = files.rows(path, ())
    if not rows:
        raise SetupError(f"{path}: found no rows below a header; wanted arrivals")
    columns = rows[0][1]
    start, end = workload.from_s, workload.from_s + duration_s
    for column, unit in (("arrival_s", 1.0), ("arrival_ms", 1e-3)):
        if column in columns:
            return Recording(arrivals=_single(workload, path, column, unit, duration_s))
    if "invocations" in columns:
        files.rows(path, ("function", "minute"))
        counts = [
            (files.whole(path, line, row, "minute"), files.whole(path, line, row, "invocations"))
            for line, row in rows
            if row["function"] == workload.function
        ]
        if not counts:
            there = ", ".join(sorted({row["function"] or "" for _, row in rows})[:_SHOWN])
            raise SetupError(f"{path}: function: found no {workload.function!r} in it, wanted one such as {there}")
        unit_s = 60.0
    elif "requests" in columns:
        counts = [
            (files.whole(path, line, row, "second") if row.get("second") else number,
             files.whole(path, line, row, "requests"))
            for number, (line, row) in enumerate(rows)
        ]  # fmt: skip
        unit_s = 1.0
    else:
        raise SetupError(
            f"{path}: found the columns {', '.join(columns)}; wanted arrival_s, or second and requests, "
            "or function, minute and invocations"
        )
    part = tuple((n, count) for n, count in counts if start <= n * unit_s < end)
    return Recording(counts=part, unit_s=unit_s, evenly=workload.evenly, start_s=start)


def _single(workload: Trace, path: Path, column: str, unit: float, duration_s: float) -> tuple[Arrival, ...]:
    """In order of arrival, whatever the order of the rows."""
    start, found = workload.from_s, []
    for line, row in files.rows(path, (column, *filter(None, [workload.size_column]))):
        at = files.number(path, line, row, column) * unit - start
        size = files.number(path, line, row, workload.size_column) if workload.size_column else None
        if 0 <= at < duration_s:
            found.append(Arrival(at, None if size is None else round(size * workload.bytes_per_unit)))
    return tuple(sorted(found, key=lambda arrival: arrival.at_s))
