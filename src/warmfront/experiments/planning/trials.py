"""Candidates played: one run per candidate, policy and seed, over several processes, each remembered.

All candidates meet the same requests and the same chance, seed by seed.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from warmfront.experiments.contenders import contender
from warmfront.experiments.metrics import Interval, Summary, interval, summarise
from warmfront.experiments.planning.candidates import Candidate
from warmfront.experiments.scenarios import Scenario, load

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate under a policy (a contender's name)."""

    candidate: Candidate
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run: its figures, and how many answers each variant gave."""

    summary: Summary
    answers: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A trial over several seeds, each figure with its interval; `utilities` are by seed."""

    trial: Trial
    utilities: tuple[float, ...]
    utility: Interval
    effective_accuracy: Interval
    on_time: Interval
    gb_s_per_request: Interval
    accuracy: float | None
    cold_wait_share: float
    answers: dict[str, float]

    def gain(self, other: "Judged") -> Interval:
        """By how much this is better than another in utility per request, paired by seed."""
        return interval([mine - theirs for mine, theirs in zip(self.utilities, other.utilities, strict=True)])


@cache
def _loaded(path: str, data: str, overrides: tuple[str, ...]) -> Scenario:
    return load(path, Path(data), overrides)


def _play(source: tuple[str, str, tuple[str, ...]], trial: Trial, seed: int) -> Outcome:
    scenario = trial.candidate.applied(_loaded(*source))
    run = contender(trial.policy).play(scenario, seed)
    summary = summarise(
        run.requests, run.replicas, price_per_gb_s=scenario.price_per_gb_s,
        waiting_price_per_s=scenario.settings.waiting_price_per_s,
    )  # fmt: skip
    return Outcome(summary=summary, answers=Counter(row.variant for row in run.requests if row.variant is not None))


class Stage:
    """Where trials are played. `played(n)` is called as runs end."""

    def __init__(
        self, scenario: Scenario, data: Path, overrides: Sequence[str], executor: Executor | None,
        *, played: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._source = (str(scenario.path), str(data), tuple(overrides))
        self._executor, self._played = executor, played
        self._known: dict[tuple[Trial, int], Outcome] = {}

    def judge(self, trials: Sequence[Trial], seeds: Sequence[int]) -> list[Judged]:
        """All of them with all these seeds, in their order."""
        wanted = [(trial, seed) for trial in dict.fromkeys(trials) for seed in seeds]
        missing = [one for one in wanted if one not in self._known]
        if self._executor is None:
            for trial, seed in missing:
                self._known[trial, seed] = _play(self._source, trial, seed)
                self._played(1)
        else:
            futures = [self._executor.submit(_play, self._source, trial, seed) for trial, seed in missing]
            for one, future in zip(missing, futures, strict=True):
                self._known[one] = future.result()
                self._played(1)
        return [self._sum_up(trial, seeds) for trial in trials]

    def _sum_up(self, trial: Trial, seeds: Sequence[int]) -> Judged:
        outcomes = [self._known[trial, seed] for seed in seeds]
        runs = [one.summary for one in outcomes]
        answers: Counter[str] = Counter()
        for one in outcomes:
            answers.update(one.answers)
        total = sum(one.requests for one in runs)
        right = [one.accuracy for one in runs if one.accuracy is not None]
        return Judged(
            trial=trial, utilities=tuple(one.utility for one in runs), utility=interval([one.utility for one in runs]),
            effective_accuracy=interval([one.effective_accuracy for one in runs]),
            on_time=interval([one.on_time for one in runs]),
            gb_s_per_request=interval([one.gb_s_per_request for one in runs]), accuracy=fmean(right) if right else None,
            cold_wait_share=fmean(one.cold_wait_share or 0.0 for one in runs),
            answers={name: count / total for name, count in answers.items()},
        )  # fmt: skip


@contextmanager
def processes(workers: int) -> "Iterator[Executor | None]":
    """So many processes to play in; None for one: then in this."""
    if workers == 1:
        yield None
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)
