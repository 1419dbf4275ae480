"""A scenario: a world, and the requests of every seed. One stream of chance per purpose, so that a change of one thing
leaves the others as they were.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Any

from msgspec import UNSET

from warmfront.domain import OnMiss, Request, Spread, Weights
from warmfront.errors import SetupError
from warmfront.experiments.scenarios import files
from warmfront.experiments.scenarios.arrivals import instants
from warmfront.experiments.scenarios.checks import check
from warmfront.experiments.scenarios.schema import Phase, ScenarioFile, Streams, Timer, Trace
from warmfront.experiments.scenarios.traces import Arrival, Recording
from warmfront.experiments.scenarios.traces import read as read_trace
from warmfront.experiments.scenarios.variants import Cast, cast
from warmfront.experiments.simulation.world import Case, World
from warmfront.selection.settings import SelectorSettings

_NO_TIME = Spread(p50=1e-9, p95=1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What `load` makes of a file. `settings` are for the selectors in it; `sources` says which data was read."""

    name: str
    path: Path
    file: ScenarioFile
    world: World
    settings: SelectorSettings
    sources: dict[str, str]
    order: tuple[str, ...]
    recorded: tuple[tuple[int, tuple[bool, ...]], ...] = field(repr=False)
    trace: Recording | None = field(repr=False)

    @property
    def duration_s(self) -> float:
        """How long a run is, at least."""
        return self.file.duration_s

    @property
    def price_per_gb_s(self) -> float:
        """What memory costs, in right answers in time: for the selectors and for the judge."""
        return self.settings.price_per_gb_s

    def cases(self, seed: int) -> list[Case]:
        """The requests, in order of arrival: the same for every policy, others for every seed."""
        streams = {purpose: Random(f"{seed}/{purpose}") for purpose in _PURPOSES}
        draw = _Draw(self, streams)
        return [draw.case(i, arrival) for i, arrival in enumerate(self.arrivals(seed))]

    def arrivals(self, seed: int) -> list[Arrival]:
        """When requests come; those of a closed loop all at 0, since it is the answers that decide.

        Raises SetupError when none comes.
        """
        workload, rng = self.file.workload, Random(f"{seed}/arrivals")
        if isinstance(workload, Streams):
            return [Arrival(0.0)] * workload.requests
        if self.trace is not None:
            found = self.trace.draw(rng)
        else:
            drawn = workload.stand_in if isinstance(workload, Trace) else workload
            assert drawn is not None  # as `load` sees to
            found = [Arrival(at) for at in instants(drawn, self.duration_s, rng)]
        if not found:
            raise SetupError(
                f"{self.name}: found no request in the {self.duration_s:g} s that are played (seed {seed}), wanted one "
                f"at least: set a longer duration_s or {self._remedy()}"
            )
        return found

    def _remedy(self) -> str:
        """Which field of the workload makes requests come."""
        workload, field = self.file.workload, "workload"
        if isinstance(workload, Trace):
            if self.trace is not None:
                return "another workload.from_s"
            workload, field = workload.stand_in or workload, "workload.stand_in"
        return f"a shorter {field}.every_s" if isinstance(workload, Timer) else f"a higher {field}.rate"


_PURPOSES = ("phase", "deadline", "region", "size", "input", "hardness", "luck")


class _Draw:
    """Makes cases; holds what is the same for all of them."""

    def __init__(self, scenario: Scenario, streams: dict[str, Random]) -> None:
        file = scenario.file
        self._scenario, self._streams, self._file = scenario, streams, file
        self._fastest_s = min(truth.execution_s.p50 for truth in scenario.world.truths)
        self._timed = any(phase.from_share is not None for phase in file.objective)
        self._shares = list(accumulate(phase.share for phase in file.objective))
        by_name = {truth.variant.name: truth for truth in scenario.world.truths}
        by_name |= {change.name: change.truth for change in scenario.world.changes if change.truth is not None}
        normal = NormalDist()
        self._thresholds = [normal.inv_cdf(min(max(by_name[name].accuracy, 1e-9), 1 - 1e-9)) for name in scenario.order]

    def case(self, number: int, arrival: Arrival) -> Case:
        file, streams = self._file, self._streams
        phase = self._phase(number, arrival.at_s)
        size, right = self._input()
        at, budget = arrival.at_s, self._budget(phase)
        weight = phase.latency_weight
        request = Request(
            id=f"r{number}", task=file.task, size_bytes=size if arrival.size_bytes is None else arrival.size_bytes,
            arrival_at=at, deadline_at=None if budget is None else at + budget, min_accuracy=phase.min_accuracy,
            on_miss=OnMiss(phase.on_miss),
            weights=None if weight is None else Weights(latency=weight, accuracy=1 - weight),
            region=streams["region"].choice(file.callers.regions),
        )  # fmt: skip
        return Case(request, streams["hardness"].random(), streams["luck"].gauss(0.0, 1.0), right)

    def _phase(self, number: int, at_s: float) -> Phase:
        phases, drawn = self._file.objective, self._streams["phase"].random()
        if self._timed:
            workload = self._file.workload
            passed = at_s / self._scenario.duration_s
            if isinstance(workload, Streams):
                passed = number / workload.requests
            return max((p for p in phases if (p.from_share or 0.0) <= passed), key=lambda p: p.from_share or 0.0)
        return next(p for p, up_to in zip(phases, self._shares, strict=True) if drawn * self._shares[-1] < up_to)

    def _budget(self, phase: Phase) -> float | None:
        drawn = self._streams["deadline"].random()
        if phase.deadline_multiple is not None:
            low, high = phase.deadline_multiple
            return self._fastest_s * (low + drawn * (high - low))
        if not phase.deadlines_s:
            return None
        return phase.deadlines_s[int(drawn * len(phase.deadlines_s))]

    def _input(self) -> tuple[int, tuple[bool, ...] | None]:
        """Size, and by whom it is answered right, when that does not follow from the case's hardness."""
        streams, recorded = self._streams, self._scenario.recorded
        size = streams["size"].choice(self._file.callers.sizes_bytes)
        if recorded:
            seen, right = recorded[streams["input"].randrange(len(recorded))]
            return seen or size, right
        if self._file.variants.correctness != "copula":
            return size, None
        loading = self._file.variants.common_factor
        own = math.sqrt(1 - loading * loading)
        gauss = streams["input"].gauss
        common = loading * gauss(0.0, 1.0)
        return size, tuple(common + own * gauss(0.0, 1.0) < threshold for threshold in self._thresholds)


def load(name_or_path: str | Path, data_dir: Path | None = None, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario: shipped by that name, or a file.

    Measured traces and profiles come from `data_dir`, WARMFRONT_DATA or ../shared/data; where they are absent the
    scenario's own stand-in is used, and `Scenario.sources` says so. A trace may lie beside the scenario's file as well.
    `overrides` are FIELD=VALUE. Raises SetupError, which names the override that is to blame.
    """
    path = files.find(str(name_or_path))
    try:
        return _loaded(path, data_dir, overrides)
    except SetupError as error:
        blamed = _blamed(path, data_dir, overrides)
        if blamed is None:
            raise
        said = str(error).removeprefix(f"{path}: ")
        raise SetupError(said if said.startswith("--set ") else f"--set {blamed}: {said}") from None


def _blamed(path: Path, data_dir: Path | None, overrides: Sequence[str]) -> str | None:
    """The last override with which loading began to fail; None when it fails without any."""
    for count in reversed(range(len(overrides))):
        try:
            _loaded(path, data_dir, overrides[:count])
        except SetupError:
            continue
        return overrides[count]
    return None


def _loaded(path: Path, data_dir: Path | None, overrides: Sequence[str]) -> Scenario:
    file = files.read(path, overrides)
    check(file, path)
    data = files.data_folder(data_dir)
    people = cast(file, path, data)
    sources = {"variants": people.source}
    recorded: tuple[tuple[int, tuple[bool, ...]], ...] = ()
    if file.variants.correctness == "recorded":
        recorded = _predictions(file, path, people.order)
    trace = None
    if isinstance(file.workload, Trace):
        where = files.trace(file.workload.file, path, data)
        if where is not None:
            trace = read_trace(file.workload, where, file.duration_s)
        elif file.workload.stand_in is None or files.names_a_trace(path, overrides):
            raise SetupError(
                f"{path}: workload.file: found no {file.workload.file!r} beside the scenario, nor in "
                f"{data or 'a data folder, since none is named (--data)'}; wanted a trace there, or a workload.stand_in"
            )
        sources["arrivals"] = file.workload.file if trace else f"stand-in for {file.workload.file}"
    return Scenario(
        name=path.stem, path=path, file=file, world=_world(file, people), settings=_settings(file),
        sources=sources, order=people.order, recorded=recorded, trace=trace,
    )  # fmt: skip


def _world(file: ScenarioFile, people: Cast) -> World:
    platform = file.platform
    start_s = Spread(p50=platform.start_p50_s, p95=platform.start_p95_s)
    loop = file.workload if isinstance(file.workload, Streams) else None
    return World(
        truths=people.truths, changes=people.changes, platform_start_s=_NO_TIME if platform.start_as_one else start_s,
        hop_s=platform.hop_s, selectors=file.selectors.count, exchange_s=file.selectors.exchange_s or None,
        feedback_share=file.feedback.share, feedback_delay_s=file.feedback.delay_s,
        observed_after_s=platform.observed_after_s, streams=loop.streams if loop else 0,
        pause_s=loop.pause_s if loop else 0.0,
    )  # fmt: skip


def _settings(file: ScenarioFile) -> SelectorSettings:
    """The selectors know the platform's share of a start; `selector` sets whatever else they are told."""
    platform = file.platform
    values: dict[str, Any] = {"platform_start_s": Spread(p50=platform.start_p50_s, p95=platform.start_p95_s)}
    for name in file.selector.__struct_fields__:
        value = getattr(file.selector, name)
        if value is not UNSET:
            values[name] = Spread(p50=value[0], p95=value[1]) if isinstance(value, tuple) else value
    return SelectorSettings(**values)


def _predictions(file: ScenarioFile, path: Path, order: Sequence[str]) -> tuple[tuple[int, tuple[bool, ...]], ...]:
    """Per recorded input its size (0: not recorded) and who is right about it."""
    columns = ("label", *order)
    table = files.table(file.variants.predictions, path, "variants.predictions", columns)
    found = []
    for line, row in files.rows(table, columns):
        size = int(files.number(table, line, row, "bytes", 0.0))
        found.append((size, tuple(row[name] == row["label"] for name in order)))
    if not found:
        raise SetupError(f"{table}: found no rows below the header, wanted one per input")
    return tuple(found)
