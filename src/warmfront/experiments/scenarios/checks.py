"""What must hold between the fields of a scenario file, each of which is in its own range. Nothing is read here."""

from collections.abc import Iterator
from pathlib import Path

from warmfront.errors import SetupError
from warmfront.experiments.scenarios.schema import ScenarioFile


def check(file: ScenarioFile, path: Path) -> None:
    """Raise SetupError with the first that does not."""
    for said in _faults(file):
        raise SetupError(f"{path}: {said}")


def _faults(file: ScenarioFile) -> Iterator[str]:
    """What is said of every one: field, found, wanted."""
    yield from _spreads(file)
    if not file.objective:
        yield "objective: found none, wanted at least one [[objective]] table"
    yield from _phases(file)
    if any(p.from_share is not None for p in file.objective) and all(p.from_share != 0 for p in file.objective):
        yield "objective: found no phase from_share = 0, wanted one for the beginning"
    if file.variants.correctness != "nested" and any(drift.accuracy is not None for drift in file.drift):
        yield f"drift.accuracy: found correctness {file.variants.correctness!r}, wanted 'nested'"
    if not file.callers.regions or not file.callers.sizes_bytes:
        yield "callers: found an empty list, wanted at least one region and one size"


def _spreads(file: ScenarioFile) -> Iterator[str]:
    low, high = file.platform.start_p50_s, file.platform.start_p95_s
    if high < low:
        yield (
            f"platform.start_p50_s: found {low:g}, above platform.start_p95_s, which is {high:g}; "
            "wanted at most that: set both"
        )
    for name in ("network_s", "platform_start_s", "default_execution_s", "default_cold_start_s"):
        times = getattr(file.selector, name)
        if isinstance(times, tuple) and times[1] < times[0]:
            yield f"selector.{name}: found [{times[0]:g}, {times[1]:g}], wanted [p50, p95], p95 not below p50"


def _phases(file: ScenarioFile) -> Iterator[str]:
    for number, phase in enumerate(file.objective):
        field, multiple = f"objective[{number}].deadline_multiple", phase.deadline_multiple
        if multiple is None:
            continue
        if multiple[1] < multiple[0]:
            yield f"{field}: found [{multiple[0]:g}, {multiple[1]:g}], wanted [low, high]"
        if phase.deadlines_s:
            yield f"{field}: found deadlines_s beside it, wanted one of both; deadlines_s = [] is none"
