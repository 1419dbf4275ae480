"""Policies compared on a scenario: run by seed, over all cores, picked up where they stopped, and summed up.

A run is remembered in `runs/` of the output folder with a digest of the scenario, of all data that it read and of the
code that made it; one with another digest is run again. Same scenario, policies and seeds, same `summary.json`,
however many cores there are.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from warmfront.errors import SetupError
from warmfront.experiments import cocktail, metrics
from warmfront.experiments.contenders import OPTIMUM, contender
from warmfront.experiments.metrics import COMPARED, Attainment, Bin, Interval, Part, Summary
from warmfront.experiments.oracles.offline import offline_optimum
from warmfront.experiments.scenarios import Scenario, load
from warmfront.telemetry.records import ReplicaRow

_MOST_VARIANTS = 10  # for which the optimum is computed: its time doubles with each
_MANY_DEADLINES = 12  # up to so many are shown one by one
_CODE = (
    "domain.py", "autoscaling", "selection", "experiments/simulation", "experiments/scenarios", "experiments/oracles",
    "experiments/several.py", "experiments/cocktail.py", "experiments/contenders.py", "experiments/metrics.py",
)  # fmt: skip


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a run. `replicas` are its replica rows; the optimum has none."""

    digest: str
    policy: str
    seed: int
    summary: Summary
    calibration: list[Bin]
    attainment: list[Attainment]
    over_time: list[Part]
    replicas: list[ReplicaRow]
    end_s: float


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One policy over all seeds: means with 95 % intervals, everything else pooled."""

    utility: Interval
    effective_accuracy: Interval
    on_time: Interval
    gb_s_per_request: Interval
    cold_wait_share: Interval | None
    starts_per_1000: Interval | None
    regret: Interval
    also: dict[str, float | None]
    calibration: list[Bin]
    attainment: list[Attainment]
    over_time: list[Part]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`summary.json`. `regret` is against `reference`: the offline optimum if it was run, else the best policy.

    What utility is made of (metrics.gained): `weighted` says whether requests have weights, `waiting_price_per_s` what
    a second costs those without a deadline; None: there are none, or it costs nothing.
    """

    scenario: str
    description: str
    sources: dict[str, str]
    overrides: list[str]
    seeds: list[int]
    price_per_gb_s: float
    waiting_price_per_s: float | None
    weighted: bool
    reference: str
    digest: str
    policies: dict[str, Standing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything a worker needs for one run."""

    scenario: str
    overrides: tuple[str, ...]
    data: str | None
    policy: str
    seed: int
    digest: str

    def path(self, folder: Path) -> Path:
        """Where its result is remembered."""
        return folder / "runs" / self.policy.replace("/", "_") / f"{self.seed}.json"


@cache
def _loaded(scenario: str, overrides: tuple[str, ...], data: str | None, digest: str) -> Scenario:  # noqa: ARG001
    """Read once per process and digest: data that changed is read again."""
    return load(scenario, None if data is None else Path(data), overrides)


def digest(scenario: Scenario) -> str:
    """A name for the scenario, what was read for it (table, predictions, trace), and the code that plays it."""
    read = (scenario.world, scenario.order, scenario.recorded, scenario.trace)
    made = hashlib.sha256(msgspec.json.encode((scenario.file, sorted(scenario.sources.items()), read)))
    root = Path(str(files("warmfront")))
    for part in _CODE:
        place = root / part
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            made.update(path.read_bytes())
    return made.hexdigest()[:16]


def play(job: Job) -> Result:
    """One run and its figures."""
    scenario = _loaded(job.scenario, job.overrides, job.data, job.digest)
    if job.policy == OPTIMUM:
        return _optimum(scenario, job)
    run = contender(job.policy).play(scenario, job.seed)
    return Result(
        digest=job.digest, policy=job.policy, seed=job.seed,
        summary=metrics.summarise(
            run.requests, run.replicas, price_per_gb_s=scenario.price_per_gb_s,
            waiting_price_per_s=scenario.settings.waiting_price_per_s,
        ),
        calibration=metrics.calibration(run.requests),
        attainment=metrics.attainment(run.requests, few=_few_deadlines(scenario)),
        over_time=metrics.over_time(run.requests, scenario.duration_s),
        replicas=sorted(run.replicas, key=lambda one: (one.requested_s, one.variant)), end_s=run.end_s,
    )  # fmt: skip


def compare(
    scenario: Scenario, policies: Sequence[str], seeds: Sequence[int], folder: Path, *,
    overrides: Sequence[str] = (), data: Path | None = None, workers: int = 1,
) -> Iterator[Result]:  # fmt: skip
    """Every policy with every seed: those remembered in `folder` first, then the others as they end.

    Raises SetupError before anything runs when a policy is unknown, or the optimum or Cocktail cannot be had.
    """
    for policy in policies:
        contender(policy).world(scenario)
    if OPTIMUM in policies:
        _check_optimum(scenario)
    if cocktail.NAME in policies:
        cocktail.check(scenario.world)
    made, where = digest(scenario), None if data is None else str(data.resolve())
    jobs = [
        Job(scenario=str(scenario.path), overrides=tuple(overrides), data=where, policy=policy, seed=seed, digest=made)
        for seed in seeds
        for policy in policies
    ]
    left = []
    for job in jobs:
        remembered = _remembered(job, folder)
        if remembered is None:
            left.append(job)
        else:
            yield remembered
    for job, result in _played(left, workers):
        path = job.path(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(result))
        part.replace(path)
        yield result


def summarise(scenario: Scenario, overrides: Sequence[str], results: Sequence[Result]) -> Comparison:
    """All runs together. Policies in the order of their mean utility, the best first."""
    by_policy: dict[str, dict[int, Result]] = {}
    for result in results:
        by_policy.setdefault(result.policy, {})[result.seed] = result
    seeds = sorted({result.seed for result in results})
    utilities = {policy: [runs[seed].summary.utility for seed in seeds] for policy, runs in by_policy.items()}
    ranked = sorted(utilities, key=lambda policy: (-fmean(utilities[policy]), policy))
    reference = OPTIMUM if OPTIMUM in utilities else ranked[0]
    regrets = metrics.regrets(utilities, reference)
    return Comparison(
        scenario=scenario.name, description=scenario.file.description, sources=scenario.sources,
        overrides=list(overrides), seeds=seeds, price_per_gb_s=scenario.price_per_gb_s,
        waiting_price_per_s=_waiting_price_per_s(scenario),
        weighted=any(phase.latency_weight is not None for phase in scenario.file.objective), reference=reference,
        digest=results[0].digest,
        policies={
            policy: _standing([by_policy[policy][seed] for seed in seeds], regrets[policy]) for policy in ranked
        },
    )  # fmt: skip


def write(comparison: Comparison, folder: Path) -> Path:
    """Write `summary.json` there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "summary.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(comparison), indent=1) + b"\n")
    return path


def _waiting_price_per_s(scenario: Scenario) -> float | None:
    """None where nobody pays it: with a deadline, or with no weight on latency."""
    waiting = any(
        not phase.deadlines_s and phase.deadline_multiple is None and phase.latency_weight != 0
        for phase in scenario.file.objective
    )
    return (waiting and scenario.settings.waiting_price_per_s) or None


def _few_deadlines(scenario: Scenario) -> bool:
    """Whether a figure per deadline can be shown, in all runs alike; else they are put together."""
    phases = scenario.file.objective
    return all(phase.deadline_multiple is None for phase in phases) and (
        len({deadline for phase in phases for deadline in phase.deadlines_s}) <= _MANY_DEADLINES
    )


def _standing(runs: Sequence[Result], regret: Sequence[float]) -> Standing:
    means: dict[str, Any] = {field: _interval([getattr(run.summary, field) for run in runs]) for field in COMPARED}
    others = [name for name in Summary.__struct_fields__ if name not in COMPARED]
    also: dict[str, float | None] = {}
    for name in others:
        values = [value for run in runs if (value := getattr(run.summary, name)) is not None]
        also[name] = fmean(values) if values else None
    return Standing(
        **means, regret=metrics.interval(list(regret)), also=also,
        calibration=metrics.pool([run.calibration for run in runs]),
        attainment=metrics.pool_attainment([run.attainment for run in runs]),
        over_time=metrics.pool_parts([run.over_time for run in runs]),
    )  # fmt: skip


def _interval(values: Sequence[float | None]) -> Interval | None:
    there = [value for value in values if value is not None]
    return metrics.interval(there) if there else None


def _remembered(job: Job, folder: Path) -> Result | None:
    try:
        found = msgspec.json.decode(job.path(folder).read_bytes(), type=Result)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.digest == job.digest else None


def _played(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Result]]:
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, play(job)
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as executor:
        futures = {executor.submit(play, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            executor.shutdown(cancel_futures=True)


def _check_optimum(scenario: Scenario) -> None:
    if len(scenario.order) > _MOST_VARIANTS:
        raise SetupError(f"{OPTIMUM}: found {len(scenario.order)} variants, wanted at most {_MOST_VARIANTS}")
    if any(phase.latency_weight for phase in scenario.file.objective) or scenario.world.changes:
        raise SetupError(f"{OPTIMUM}: found weights or drift in {scenario.name}, wanted a scenario without")


def _optimum(scenario: Scenario, job: Job) -> Result:
    """The figures of what the oracle would have done, by the correctness that the cases record."""
    cases = scenario.cases(job.seed)
    price = scenario.price_per_gb_s
    best = offline_optimum(scenario.world, cases, hold_s=float(scenario.file.platform.window_s), price_per_gb_s=price)
    count = len(cases)
    utility, gb_s = best.realised(scenario.world, cases, price), best.gb_s / count
    on_time = fmean(best.in_time)
    summary = Summary(
        requests=count, utility=utility, effective_accuracy=utility + price * gb_s, on_time=on_time,
        gb_s_per_request=gb_s, cold_wait_share=None, starts_per_1000=None, background_starts_per_1000=None,
        objective_met=on_time, accuracy=None, rejected=0.0, failed=0.0, hedged=0.0, unused_warm_share=None,
        latency_p50_s=None, latency_p95_s=None, latency_p99_s=None, brier=None,
    )  # fmt: skip
    return Result(
        digest=job.digest, policy=OPTIMUM, seed=job.seed, summary=summary, calibration=[], attainment=[], over_time=[],
        replicas=[],
        end_s=cases[-1].request.arrival_at,
    )  # fmt: skip
