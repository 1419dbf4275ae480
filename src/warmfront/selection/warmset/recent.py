"""What the next requests will be like: like the recent ones. And what each variant would be worth to them.

What must not live here: when they come (estimators/gaps.py), what is made of it (model.py).
"""

from collections import deque
from collections.abc import Sequence
from math import log

from warmfront.domain import Request, Weights
from warmfront.selection.forecast import Forecast, log_left
from warmfront.selection.policies.base import Policy, Score
from warmfront.selection.settings import SelectorSettings
from warmfront.selection.variants import KnownVariant
from warmfront.selection.warmset.model import QUEUES, Kind

_PER_OCTAVE = 4  # budgets closer than a quarter of an octave are alike
_SAME = 200.0  # worths closer than a two-hundredth are

_Likeness = tuple[int, int, float | None, Weights | None, int]
_Worths = tuple[tuple[float, ...], ...]


class Recent:
    """The latest requests of a task, with the size that forecasts are asked with."""

    def __init__(self, policy: Policy, settings: SelectorSettings) -> None:
        self._policy = policy
        self._settings = settings
        self._requests: deque[tuple[int, Request, int]] = deque(maxlen=settings.recent_requests)

    def add(self, size: int, request: Request, crowd: int) -> None:
        """One more request, which came while `crowd` others were under way."""
        self._requests.append((size, request, crowd))

    @property
    def size(self) -> int:
        """The latest request's."""
        return self._requests[-1][0]

    def kinds(self, variants: Sequence[KnownVariant], *, asleep_too: bool = True) -> list[Kind]:
        """The recent requests, those alike as one, each with its worth by variant (without `asleep_too`: if awake)."""
        counts: dict[_Likeness, int] = {}
        samples: dict[_Likeness, tuple[int, Request, float]] = {}
        for size, request, crowd in self._requests:
            budget = log_left(request.deadline_at, request.arrival_at, self._settings.transport_timeout_s)
            key = (size.bit_length(), _octave(budget), request.min_accuracy, request.weights, _rounded(crowd))
            counts[key] = counts.get(key, 0) + 1
            samples[key] = (size, request, budget)
        shares: dict[tuple[_Worths, tuple[float, ...], int], int] = {}
        for key, (size, request, budget) in samples.items():
            score, floor, crowd = self._policy.scorer(request, self._settings), request.min_accuracy or 0.0, key[-1]

            def worth(one: Forecast, score: Score = score, floor: float = floor, budget: float = budget) -> float:
                return round(score(one, one.probability(budget)) * _SAME) / _SAME if one.accuracy >= floor else 0.0

            queues = QUEUES if crowd else QUEUES[:1]
            awake = tuple(
                tuple(worth(_better(known.knowledge.warm(size, ahead, known.slots), known.bonus)) for ahead in queues)
                for known in variants
            )
            asleep = tuple(
                worth(_better(known.knowledge.waiting(size, None, 0, 1), known.bonus))
                for known in variants
                if asleep_too
            )
            shares[awake, asleep, crowd] = shares.get((awake, asleep, crowd), 0) + counts[key]
        whole = len(self._requests)
        return [Kind(count / whole, awake, asleep, crowd) for (awake, asleep, crowd), count in shares.items()]


def _better(forecast: Forecast, bonus: float) -> Forecast:
    """As if the variant were so much more accurate."""
    return forecast._replace(accuracy=min(forecast.accuracy + bonus, 1.0)) if bonus else forecast


def _octave(log_budget_s: float) -> int:
    """Which quarter of an octave; a budget that is used up has its own."""
    return round(max(log_budget_s, -10.0) * _PER_OCTAVE / log(2))


def _rounded(crowd: int) -> int:
    """0, 1, 3, 6, 12, ...: the middle of the octave."""
    return 3 << crowd.bit_length() - 2 if crowd > 1 else crowd
