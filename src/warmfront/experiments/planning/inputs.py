"""From profiles, a trace and objectives to a scenario: files that `simulate` and `compare` play as well.

The folder holds `scenario.toml` and the tables it reads, so it can be played elsewhere and edited by hand.
"""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from warmfront.domain import Variant
from warmfront.errors import SetupError
from warmfront.experiments import csv_file
from warmfront.experiments.profiling import results
from warmfront.experiments.scenarios import Scenario, files, load
from warmfront.experiments.scenarios.schema import Trace
from warmfront.experiments.scenarios.traces import read as read_trace
from warmfront.experiments.scenarios.variants import read_table

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
    """Take a variants table, with what was measured beside it. Whether more than the table was there.

    Raises SetupError when it is no such table.
    """
    if not table.is_file():
        raise SetupError(f"{table}: no such file; wanted a CSV of variants, or the name of a task")
    read_table(table)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(table, folder / results.TABLE)
    base, predictions = table.parent / results.BASE, table.parent / results.PREDICTIONS
    measured = table.name == results.TABLE and base.is_file()
    if measured:
        shutil.copyfile(base, folder / results.BASE)
        if predictions.is_file():
            shutil.copyfile(predictions, folder / results.PREDICTIONS)
    return measured


def from_variants(variants: Sequence[Variant], measured: Path, folder: Path) -> tuple[bool, dict[str, str]]:
    """Take the variants of a task: as `profile` measured these very revisions, else as they declare themselves.

    Whether they were measured, and who is left out since neither a measurement nor its profile has all figures, with
    what is missing. Raises SetupError when that is all of them.
    """
    lacking = {variant.name: missing for variant in variants if (missing := _missing(variant))}
    known, there = _revisions(measured), {variant.name: variant.revision for variant in variants}
    if known and known.items() <= there.items() and there.keys() - known.keys() <= lacking.keys():
        return from_table(measured / results.TABLE, folder), {
            name: lacking[name] for name in there.keys() - known.keys()
        }
    complete = [variant for variant in variants if variant.name not in lacking]
    if not complete:
        said = "; ".join(f"{name} ({missing})" for name, missing in lacking.items())
        raise SetupError(
            f"the profiles lack figures: {said}; measure them: warmfront profile {variants[0].task} --apply"
        )
    folder.mkdir(parents=True, exist_ok=True)
    made = results.table([(variant, variant.profile, 0.0) for variant in complete])
    (folder / results.TABLE).write_text(made, encoding="utf-8")
    return False, lacking


def _missing(variant: Variant) -> str:
    """Which figures of its profile a simulation lacks."""
    wanted = ("accuracy", "latency_s", "cold_start_s", "memory_mb")
    return ", ".join(name for name in wanted if getattr(variant.profile, name) is None)


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
        f"task = {_text(task)}", f"duration_s = {duration!r}", "",
        "[variants]", f'table = "{results.TABLE}"', "",
        "[workload]", 'kind = "trace"', f"file = {_text(str(arrivals.path.resolve()))}",
        f"function = {_text(arrivals.function)}", f"from_s = {arrivals.from_s!r}",
        f"evenly = {str(arrivals.evenly).lower()}", "",
        "[workload.stand_in]", 'kind = "poisson"', f"rate = {count / duration!r}", "",
        "[[objective]]", f"deadlines_s = {list(objective.deadlines_s)}", f"on_miss = {_text(objective.on_miss)}",
        *([] if objective.min_accuracy is None else [f"min_accuracy = {objective.min_accuracy!r}"]), "",
        "[selector]", f"price_per_gb_s = {price!r}",
    ]  # fmt: skip
    path = folder / SCENARIO
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load(path, arrivals.path.resolve().parent, overrides)


def _extent(arrivals: Arrivals) -> tuple[int, float]:
    """How many requests the part has, and its length: to the end of the second or minute of the last one."""
    wanted = Trace(file=str(arrivals.path), function=arrivals.function, from_s=arrivals.from_s)
    if arrivals.function and "invocations" not in (columns := csv_file.read(arrivals.path, "a CSV of arrivals")[1]):
        raise SetupError(
            f"{arrivals.path}: found no functions, but the columns {', '.join(columns)}; wanted function, minute and "
            f"invocations, or no --function {arrivals.function}"
        )
    found = read_trace(wanted, arrivals.path, arrivals.duration_s or math.inf)
    if found.arrivals:
        return len(found.arrivals), math.floor(found.arrivals[-1].at_s) + 1.0
    count = sum(requests for _, requests in found.counts)
    if not count:
        raise SetupError(f"{arrivals.path}: found no arrivals from {arrivals.from_s:g} s on; wanted at least one")
    last = max(number for number, requests in found.counts if requests)
    return count, (last + 1) * found.unit_s - arrivals.from_s


def _revisions(measured: Path) -> dict[str, str]:
    """Which revision of each variant is in the table there; empty when none was measured."""
    try:
        figures = msgspec.json.decode((measured / results.FIGURES).read_bytes())
        names = {row["name"] for _, row in files.rows(measured / results.TABLE, ("name",))}
        return {one["variant"]: one["revision"] for one in figures if one["variant"] in names}
    except (OSError, SetupError, msgspec.DecodeError, KeyError, TypeError):
        return {}


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are all TOML's too."""
    return json.dumps(value, ensure_ascii=False)
