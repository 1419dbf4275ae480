"""The search: which warm set, then which window, then which concurrency, then whether one replica more pays.

Candidates are compared on a few seeds; the best few and what there is now are then judged on others, so that the best
is not the luckiest. What must not live here: playing (trials.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from warmfront.experiments.planning.candidates import (
    CONCURRENCIES,
    MOST_SUBSETS,
    WINDOWS_S,
    Candidate,
    one_more,
    warm_sets,
)
from warmfront.experiments.planning.trials import Judged, Stage, Trial

KEEPER = "effective"  # the selector itself keeps what pays
_BEST = 2  # warm sets that go on to the windows
_FINAL = 3  # candidates that are judged in the end
SAME = 5e-4  # right answers per request: a difference below one in two thousand is none
LEAST_SEEDS = 5  # with fewer an interval over seeds says nothing about chance, and no gain is real


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What came out: the best candidate first, then the next ones, what there is now, and the selector on its own."""

    ranked: tuple[Judged, ...]
    present: Judged
    keeper: Judged

    @property
    def best(self) -> Judged:
        """The best candidate."""
        return self.ranked[0]

    @property
    def pays(self) -> bool:
        """Whether the best is better than what there is now, beyond chance."""
        return _real(self.best, self.present)

    @property
    def keeping_pays(self) -> bool:
        """Whether the selector that keeps by itself is better than the best, beyond chance."""
        return _real(self.keeper, self.best)


def _real(better: Judged, worse: Judged) -> bool:
    return len(better.utilities) >= LEAST_SEEDS and better.gain(worse).low > SAME


def expected_runs(variants: int, search: int, final: int, *, concurrency: bool) -> int:
    """About how many runs a search takes, for whoever shows its progress."""
    sets = 2**variants if variants <= MOST_SUBSETS else variants * 3
    windows = _BEST * (len(WINDOWS_S) - 1)
    more = (len(CONCURRENCIES) if concurrency else 0) + variants * (1 + _FINAL)
    return (sets + windows + more) * search + (_FINAL + 2) * final


def search(
    stage: Stage, present: Candidate, *, policy: str, seeds: Sequence[int], final_seeds: Sequence[int],
    concurrency: bool,
) -> Plan:  # fmt: skip
    """The best that is found around the present setting. Without `concurrency` limits stay as they are."""
    contest = _Contest(stage, policy, seeds)
    best = contest.ranked([present, *_warm(present, contest)])
    best = contest.ranked([*best, *(one.windowed(window) for one in best[:_BEST] for window in WINDOWS_S)])
    if concurrency:
        best = contest.ranked([*best, *(best[0].concurrent(limit) for limit in CONCURRENCIES)])
    best = contest.ranked([*best, *one_more(best[0])])
    finalists = [Trial(candidate, policy) for candidate in _distinct(best, present, contest)]
    now, keeper = Trial(present, policy), Trial(present, KEEPER)
    *judged, at_present, kept = stage.judge([*finalists, now, keeper], final_seeds)
    order = sorted(judged, key=lambda one: -one.utility.mean)
    return Plan(ranked=tuple(order), present=at_present, keeper=kept)


class _Contest:
    """Candidates compared on the seeds of the search."""

    def __init__(self, stage: Stage, policy: str, seeds: Sequence[int]) -> None:
        self._stage, self._policy, self._seeds = stage, policy, seeds

    def utility(self, candidate: Candidate) -> float:
        """The mean."""
        return self._judge([candidate])[0].utility.mean

    def ranked(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The best first; of equals the one that comes first, which changes or costs least."""
        judged = self._judge(list(dict.fromkeys(candidates)))
        order = sorted(judged, key=lambda one: -round(one.utility.mean / SAME))
        return [one.trial.candidate for one in order]

    def _judge(self, candidates: Sequence[Candidate]) -> list[Judged]:
        return self._stage.judge([Trial(candidate, self._policy) for candidate in candidates], self._seeds)


def _distinct(ranked: Sequence[Candidate], present: Candidate, contest: _Contest) -> list[Candidate]:
    """The best few warm sets, each as it does best and without the changes that make no difference."""
    found: dict[tuple[str, ...], Candidate] = {}
    seen: set[tuple[str, ...]] = set()
    for candidate in ranked:
        if len(found) == _FINAL or len(seen) == 2 * _FINAL:
            break
        if candidate.kept not in seen:
            seen.add(candidate.kept)
            plainest = _least(candidate, present, contest)
            found.setdefault(plainest.kept, plainest)
    return list(found.values())


def _least(candidate: Candidate, present: Candidate, contest: _Contest) -> Candidate:
    """The candidate with every variant as it is now whose change makes nothing better."""
    worth, before = contest.utility(candidate), dict(present.settings)
    for name, _ in candidate.settings:
        plainer = candidate.having(name, before[name])
        if plainer != candidate and contest.utility(plainer) > worth - SAME:
            candidate = plainer
    return candidate


def _warm(present: Candidate, contest: _Contest) -> list[Candidate]:
    """The warm sets to try: all of them, or of many variants those that grow by the best one."""
    if len(present.settings) <= MOST_SUBSETS:
        return list(warm_sets(present))
    best = present.keeping({})
    tried = [best]
    while True:
        grown = [one for one in one_more(best) if all(setting.min_scale <= 1 for _, setting in one.settings)]
        tried += grown
        first = contest.ranked([best, *grown])[0]
        if first == best:
            return tried
        best = first
