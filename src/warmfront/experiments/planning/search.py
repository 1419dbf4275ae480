"""The search: which warm set, then which window, then which concurrency, then whether one replica more pays.

Candidates are compared on a few seeds; the best few and what there is now are then judged on others, so that the best
is not the luckiest. What must not live here: playing (trials.py).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

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
        return self.best.gain(self.present).low > 0


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

    def utility(candidate: Candidate) -> float:
        return stage.judge([Trial(candidate, policy)], seeds)[0].utility.mean

    def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
        """The best first; of equals the one that comes first, which changes or costs least."""
        stage.judge([Trial(candidate, policy) for candidate in (candidates := list(candidates))], seeds)
        return sorted(dict.fromkeys(candidates), key=lambda candidate: -utility(candidate))

    best = ranked([present, *_warm(present, ranked)])
    best = ranked([*best, *(one.windowed(window) for one in best[:_BEST] for window in WINDOWS_S)])
    if concurrency:
        best = ranked([*best, *(best[0].concurrent(limit) for limit in CONCURRENCIES)])
    best = ranked([*best, *one_more(best[0])])
    finalists = [Trial(candidate, policy) for candidate in _distinct(best, present, utility)]
    now, keeper = Trial(present, policy), Trial(present, KEEPER)
    *judged, at_present, kept = stage.judge([*finalists, now, keeper], final_seeds)
    order = sorted(judged, key=lambda one: -one.utility.mean)
    return Plan(ranked=tuple(order), present=at_present, keeper=kept)


def _distinct(
    ranked: Sequence[Candidate], present: Candidate, utility: Callable[[Candidate], float]
) -> list[Candidate]:
    """The best few that come out differently, each without the changes that make no difference."""
    found: dict[float, Candidate] = {}
    for candidate in ranked:
        if len(found) == _FINAL:
            break
        worth = utility(candidate)
        if worth not in found:
            found[worth] = _least(candidate, present, utility)
    return list(found.values())


def _least(candidate: Candidate, present: Candidate, utility: Callable[[Candidate], float]) -> Candidate:
    """The candidate with every variant as it is now whose change makes nothing better."""
    worth, before = utility(candidate), dict(present.settings)
    for name, _ in candidate.settings:
        plainer = candidate.having(name, before[name])
        if plainer != candidate and utility(plainer) >= worth:
            candidate = plainer
    return candidate


class _Ranked(Protocol):
    def __call__(self, candidates: Iterable[Candidate]) -> list[Candidate]: ...


def _warm(present: Candidate, ranked: _Ranked) -> list[Candidate]:
    """The warm sets to try: all of them, or of many variants those that grow by the best one."""
    if len(present.settings) <= MOST_SUBSETS:
        return list(warm_sets(present))
    best = present.keeping({})
    tried = [best]
    while True:
        grown = [one for one in one_more(best) if all(setting.min_scale <= 1 for _, setting in one.settings)]
        first = ranked([best, *grown])[0]
        tried += grown
        if first == best or not grown:
            return tried
        best = first
