"""From profiles, a trace and objectives to a scenario: files that `simulate` and `compare` play as well.

The folder holds `scenario.toml` and the tables it reads, so it can be played elsewhere and edited by hand.
"""

import csv
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from warmfront.domain import Variant
from warmfront.errors import SetupError
from warmfront.experiments.profiling import results
from warmfront.experiments.scenarios import Scenario, load
from warmfront.experiments.scenarios.schema import Poisson, Trace
from warmfront.experiments.scenarios.traces import read as read_trace

SCENARIO = "scenario.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is asked of the answers. Deadlines in seconds are equally likely; none: waiting has a price."""

    deadlines_s: tuple[float, ...] = ()
    min_accuracy: float | None = None
    on_miss: str = "degrade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """A trace file, in it the function (where it counts by function), and the part that is played, in s."""

    path: Path
    function: str = ""
    from_s: float = 0.0
    duration_s: float | None = None
    evenly: bool = False


def from_table(table: Path, folder: Path) -> bool:
    """Take a variants table, with what was measured beside it. Whether more than the table was there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not table.is_file():
        raise SetupError(f"{table}: no such file; wanted a CSV of variants, or the name of a task")
    shutil.copyfile(table, folder / results.TABLE)
    base, predictions = table.parent / results.BASE, table.parent / results.PREDICTIONS
    measured = table.name == results.TABLE and base.is_file()
    if measured:
        shutil.copyfile(base, folder / results.BASE)
        if predictions.is_file():
            shutil.copyfile(predictions, folder / results.PREDICTIONS)
    return measured


def from_variants(variants: Sequence[Variant], measured: Path, folder: Path) -> bool:
    """Take the variants of a task: as `profile` measured these very revisions, else as they declare themselves.

    Raises SetupError when a declaration lacks what a simulation needs. Whether they were measured.
    """
    if _revisions(measured) == {variant.name: variant.revision for variant in variants}:
        return from_table(measured / results.TABLE, folder)
    lacking = [
        f"{variant.name} ({', '.join(missing)})" for variant in variants
        if (missing := [name for name in ("accuracy", "latency_s", "cold_start_s", "memory_mb")
                        if getattr(variant.profile, name) is None])
    ]  # fmt: skip
    if lacking:
        raise SetupError(
            f"the profiles lack figures: {'; '.join(lacking)}; "
            f"measure them: warmfront profile {variants[0].task} --apply"
        )
    folder.mkdir(parents=True, exist_ok=True)
    made = results.table([(variant, variant.profile, 0.0) for variant in variants])
    (folder / results.TABLE).write_text(made, encoding="utf-8")
    return False


def scenario(
    folder: Path, task: str, arrivals: Arrivals, objective: Objective, *, price: float, measured: bool,
    overrides: Sequence[str] = (),
) -> Scenario:  # fmt: skip
    """Write and read the scenario. Raises SetupError for a trace that cannot be read or is empty."""
    count, length_s = _extent(arrivals)
    duration = arrivals.duration_s or length_s
    lines = [
        *(['extends = "measured"'] if measured else []),
        f"description = {_text(f'{task}, arrivals of {arrivals.path.name}')}",
        f"task = {_text(task)}", f"duration_s = {duration:g}", "",
        "[variants]", f'table = "{results.TABLE}"', "",
        "[workload]", 'kind = "trace"', f"file = {_text(str(arrivals.path.resolve()))}",
        f"function = {_text(arrivals.function)}", f"from_s = {arrivals.from_s:g}",
        f"evenly = {str(arrivals.evenly).lower()}", "",
        "[workload.stand_in]", 'kind = "poisson"', f"rate = {count / duration:g}", "",
        "[[objective]]", f"deadlines_s = {list(objective.deadlines_s)}", f"on_miss = {_text(objective.on_miss)}",
        *([] if objective.min_accuracy is None else [f"min_accuracy = {objective.min_accuracy:g}"]), "",
        "[selector]", f"price_per_gb_s = {price!r}",
    ]  # fmt: skip
    path = folder / SCENARIO
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load(path, arrivals.path.resolve().parent, overrides)


def _extent(arrivals: Arrivals) -> tuple[int, float]:
    """How many requests the part has, and its length: to the end of the second or minute of the last one."""
    wanted = Trace(
        file=str(arrivals.path), stand_in=Poisson(rate=0.0), function=arrivals.function, from_s=arrivals.from_s
    )
    try:
        found = read_trace(wanted, arrivals.path, arrivals.duration_s or math.inf)
    except (UnicodeDecodeError, OSError, ValueError, csv.Error) as error:
        raise SetupError(f"{arrivals.path}: cannot be read as arrivals ({error}); wanted a CSV of them") from None
    if found.arrivals:
        return len(found.arrivals), math.floor(found.arrivals[-1].at_s) + 1.0
    count = sum(requests for _, requests in found.counts)
    if not count:
        raise SetupError(f"{arrivals.path}: found no arrivals from {arrivals.from_s:g} s on; wanted at least one")
    last = max(number for number, requests in found.counts if requests)
    return count, (last + 1) * found.unit_s - arrivals.from_s


def _revisions(measured: Path) -> dict[str, str]:
    """Which revision of each variant was measured there; empty when none was."""
    try:
        found = msgspec.json.decode((measured / results.FIGURES).read_bytes())
        return {one["variant"]: one["revision"] for one in found}
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return {}


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are all TOML's too."""
    return json.dumps(value, ensure_ascii=False)
