"""From tables to Truths: how variants really behave and what their profiles declare. No chance here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from warmfront.domain import Profile, Spread, Variant
from warmfront.errors import SetupError
from warmfront.experiments.csv_file import Row
from warmfront.experiments.scenarios import files
from warmfront.experiments.scenarios.schema import Declared, Drift, Place, Platform, ScenarioFile
from warmfront.experiments.simulation.world import Change, Truth

COLUMNS = (
    "name", "accuracy", "latency_p50_s", "latency_p95_s", "cold_start_p50_s", "cold_start_p95_s", "memory_mb",
    "concurrency", "max_scale",
)  # fmt: skip
Z95 = 1.6448536269514722
_TIMM_TABLE = "profiles/timm_imagenet_dev.csv"
_TIMM_COLUMNS = ("model", "img_size", "top1_pct", "params_m", "cpu_b1_ms_i7_12700h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A row of a variants table. `latency_per_kib_s`, `slowdown_s`, `min_scale` and `target_percent` may be absent."""

    name: str
    accuracy: float
    latency_s: Spread
    cold_start_s: Spread
    memory_mb: float
    concurrency: int
    max_scale: int
    latency_per_kib_s: float = 0.0
    slowdown_s: float = 0.0
    min_scale: int = 0
    target_percent: int | None = None
    network_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The variants there are at first, the changes to come, and the names in the order of recorded correctness."""

    truths: tuple[Truth, ...]
    changes: tuple[Change, ...]
    order: tuple[str, ...]
    source: str


def lognormal(p50: float, sigma: float) -> Spread:
    """The spread of a lognormal law by its median and the standard deviation of its logarithm."""
    return Spread(p50=p50, p95=p50 * math.exp(Z95 * sigma))


def cast(file: ScenarioFile, path: Path, data: Path | None) -> Cast:
    """All variants of a scenario."""
    facts, source = _facts(file, path, data)
    if file.variants.only and not file.variants.family:
        by_name = {one.name: one for one in facts}
        known(path, "variants.only", file.variants.only, by_name)
        facts = [by_name[name] for name in file.variants.only]
    if file.places:
        facts = _placed(file.places, path, facts)
    everyone = [one.name for one in facts]
    _check_names(file, path, everyone)
    accuracies = _declared_accuracies(file.declared, facts)
    truths = {one.name: _truth(file, one, accuracies[one.name]) for one in facts}
    drifts = sorted(file.drift, key=lambda drift: drift.at_s)
    late = [drift.variant for drift in drifts if drift.appears]
    changes, now = [], dict(truths)
    for drift in drifts:
        now[drift.variant] = _drifted(now[drift.variant], drift)
        changes.append(Change(at_s=drift.at_s, name=drift.variant, truth=None if drift.gone else now[drift.variant]))
    return Cast(
        truths=tuple(truths[name] for name in everyone if name not in late),
        changes=tuple(changes),
        order=tuple([name for name in everyone if name not in late] + late),
        source=source,
    )


def known(path: Path, field: str, given: Sequence[str], there: Mapping[str, object] | Sequence[str]) -> None:
    """Raise SetupError when a name is not there, or given twice."""
    if unknown := [name for name in given if name not in there]:
        raise SetupError(f"{path}: {field}: found {', '.join(unknown)}, wanted some of {', '.join(there)}")
    if twice := [name for i, name in enumerate(given) if name in given[:i]]:
        raise SetupError(f"{path}: {field}: found {', '.join(twice)} twice, wanted every name once")


def _check_names(file: ScenarioFile, path: Path, everyone: Sequence[str]) -> None:
    known(path, "platform.always", file.platform.always, everyone)
    known(path, "drift.variant", list(dict.fromkeys(drift.variant for drift in file.drift)), everyone)
    _check_drift(file, path, everyone)
    for i, declared in enumerate(file.declared):
        known(path, f"declared[{i}].variants", declared.variants, everyone)


def _check_drift(file: ScenarioFile, path: Path, everyone: Sequence[str]) -> None:
    """Somebody is there at first, and nobody changes before they appear or after they are gone."""
    if {drift.variant for drift in file.drift if drift.appears} == set(everyone):
        raise SetupError(f"{path}: drift: found that every variant appears later, wanted one that is there at first")
    gone, there = set[str](), set(everyone) - {drift.variant for drift in file.drift if drift.appears}
    for drift in sorted(file.drift, key=lambda drift: drift.at_s):
        name = drift.variant
        if name in gone or not (drift.appears or name in there):
            when = "after it is gone" if name in gone else "before it appears"
            raise SetupError(f"{path}: drift: found {name} at {drift.at_s:g} s, {when}; wanted nothing of it then")
        there.add(name)
        if drift.gone:
            gone.add(name)


def _placed(places: Mapping[str, Place], path: Path, facts: Sequence[Facts]) -> list[Facts]:
    """Every variant once per host that names it."""
    by_name = {one.name: one for one in facts}
    for host, place in places.items():
        known(path, f"places.{host}.variants", place.variants, by_name)
    return [
        replace(by_name[name], name=f"{name}-{host}", network_s=dict(place.network_s))
        for host, place in places.items()
        for name in place.variants
    ]


def _facts(file: ScenarioFile, path: Path, data: Path | None) -> tuple[list[Facts], str]:
    """The table's rows and where they are from."""
    if file.variants.family == "timm" and data is not None and (data / _TIMM_TABLE).is_file():
        return _timm(path, data / _TIMM_TABLE, file.variants.only), _TIMM_TABLE
    found = read_table(files.table(file.variants.table, path, "variants.table", COLUMNS))
    stand_in = "stand-in " if file.variants.family else ""
    return found, stand_in + file.variants.table


def read_table(table: Path) -> list[Facts]:
    """All rows of a variants table. Raises SetupError with file, line and column, also on one without rows."""
    found: dict[str, Facts] = {}
    for line, row in files.rows(table, COLUMNS):
        one = _row(table, line, row)
        if not one.name or one.name in found:
            said = f"a second row of {one.name!r}" if one.name else "no name"
            raise SetupError(f"{table}: line {line}: name: found {said}, wanted a name of its own for every variant")
        found[one.name] = one
    if not found:
        raise SetupError(f"{table}: found no rows below the header, wanted one per variant")
    return list(found.values())


def _row(table: Path, line: int, row: Row) -> Facts:
    def spread(of: str) -> Spread:
        p50 = files.number(table, line, row, f"{of}_p50_s", above=0)
        p95 = files.number(table, line, row, f"{of}_p95_s", above=0)
        if p95 < p50:
            raise SetupError(
                f"{table}: line {line}: {of}_p95_s: found {p95:g}, wanted {of}_p50_s, which is {p50:g}, or more"
            )
        return Spread(p50=p50, p95=p95)

    return Facts(
        name=(row["name"] or "").strip(), accuracy=files.number(table, line, row, "accuracy", most=1),
        latency_s=spread("latency"), cold_start_s=spread("cold_start"),
        memory_mb=files.number(table, line, row, "memory_mb", above=0),
        concurrency=files.whole(table, line, row, "concurrency"), max_scale=files.whole(table, line, row, "max_scale"),
        latency_per_kib_s=files.number(table, line, row, "latency_per_kib_s", 0.0),
        slowdown_s=files.number(table, line, row, "slowdown_s", 0.0),
        min_scale=files.whole(table, line, row, "min_scale", 0),
        target_percent=files.whole(table, line, row, "target_percent", 0, most=100) or None,
    )  # fmt: skip


def _timm(path: Path, table: Path, models: Sequence[str]) -> list[Facts]:
    """Image classifiers by timm's published results: ImageNet top-1 and batch-1 latency on an i7-12700H plus 5 ms.

    A start loads fp32 weights at 60 MB/s after 0.6 s (and the platform's share); memory is 0.35 GB and twice them.
    """
    rows = files.rows(table, _TIMM_COLUMNS)
    published = {f"{row['model']}@{row['img_size']}": (line, row) for line, row in rows}
    known(path, "variants.only", models, published)
    found = []
    for name in models:
        line, row = published[name]
        weights_mb = 4 * files.number(table, line, row, "params_m", above=0)
        latency_s = files.number(table, line, row, "cpu_b1_ms_i7_12700h", above=0) / 1000 + 0.005
        found.append(
            Facts(
                name=name, accuracy=files.number(table, line, row, "top1_pct", most=100) / 100,
                latency_s=lognormal(latency_s, 0.2),
                cold_start_s=lognormal(0.6 + weights_mb / 60, 0.25), memory_mb=350 + 2 * weights_mb,
                concurrency=1, max_scale=4, target_percent=100,
            )
        )  # fmt: skip
    return found


def _declared_accuracies(declared: Sequence[Declared], facts: Sequence[Facts]) -> dict[str, float]:
    said = {one.name: one.accuracy for one in facts}
    for change in declared:
        mine = [one.name for one in facts if not change.variants or one.name in change.variants]
        if change.accuracies == "reversed":
            ranked = sorted(mine, key=lambda name: said[name])
            said |= dict(zip(ranked, [said[name] for name in reversed(ranked)], strict=True))
        said |= {name: min(max(said[name] + change.accuracy_offset, 0.0), 1.0) for name in mine}
    return said


def _truth(file: ScenarioFile, facts: Facts, accuracy: float) -> Truth:
    execution = cold = 1.0
    for declared in file.declared:
        if not declared.variants or facts.name in declared.variants:
            execution *= declared.execution_factor
            cold *= declared.cold_start_factor
    profile = Profile(
        accuracy=accuracy, latency_s=_times(facts.latency_s, execution),
        latency_per_kib_s=facts.latency_per_kib_s * execution, cold_start_s=_times(facts.cold_start_s, cold),
        memory_mb=facts.memory_mb,
    )  # fmt: skip
    variant = Variant(
        name=facts.name, task=file.task, revision=f"{facts.name}-00001", url="", profile=profile,
        concurrency=facts.concurrency, max_replicas=facts.max_scale,
    )  # fmt: skip
    load_s = facts.cold_start_s
    if file.platform.start_as_one:
        load_s = _times(load_s, (load_s.p50 + file.platform.start_p50_s) / load_s.p50)
    return Truth(
        variant=variant, accuracy=facts.accuracy, execution_s=facts.latency_s, load_s=load_s, memory_mb=facts.memory_mb,
        execution_per_kib_s=facts.latency_per_kib_s, slowdown_s=facts.slowdown_s,
        annotations=_annotations(file.platform, facts), network_s=facts.network_s,
    )  # fmt: skip


def _annotations(platform: Platform, facts: Facts) -> dict[str, str]:
    values = {
        "initial-scale": 0, "target-burst-capacity": 0, "window": f"{platform.window_s}s",
        "target-utilization-percentage": facts.target_percent or platform.target_percent, "max-scale": facts.max_scale,
    }  # fmt: skip
    least = max(facts.min_scale, int(facts.name in platform.always))
    if least:
        values["min-scale"] = least
    if platform.retention_s:
        values["scale-to-zero-pod-retention-period"] = f"{platform.retention_s}s"
    return {f"autoscaling.knative.dev/{key}": str(value) for key, value in values.items()}


def _drifted(truth: Truth, drift: Drift) -> Truth:
    return replace(
        truth,
        execution_s=_times(truth.execution_s, drift.execution_factor),
        load_s=_times(truth.load_s, drift.cold_start_factor),
        accuracy=truth.accuracy if drift.accuracy is None else drift.accuracy,
        failure_rate=truth.failure_rate if drift.failure_rate is None else drift.failure_rate,
    )


def _times(spread: Spread, factor: float) -> Spread:
    return Spread(p50=spread.p50 * factor, p95=spread.p95 * factor)
