"""What every policy is: filter, score, pick, in that order.

The filter is common and lives in the selector: a candidate's `verdict` is empty when it is eligible. A policy gives the
score and, where it must, its own pick. Scores are at most 1, larger is better; ties fall to the more accurate, then the
sooner predicted, then the first by name. A policy never changes while it decides.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import inf
from typing import ClassVar, Protocol

from warmfront.domain import Candidate, OnMiss, Reason, Request
from warmfront.selection.forecast import Forecast
from warmfront.selection.settings import SelectorSettings

Score = Callable[[Forecast, float], float]  # (forecast, probability) -> score
Forecasts = Callable[[Candidate], Forecast]  # what a candidate's numbers were read from


class Generator(Protocol):
    """A source of chance, such as random.Random(seed)."""

    def random(self) -> float:
        """The next number in [0, 1)."""
        ...


class Policy(ABC):
    """Chooses one of the candidates of a request. All are built alike, with the generator they may draw from."""

    name: ClassVar[str]
    wakes: ClassVar[bool] = False  # whether sleeping variants are woken in the background, by this policy's scores

    def __init__(self, *, rng: Generator) -> None:
        self._rng = rng

    @abstractmethod
    def scorer(self, request: Request, settings: SelectorSettings, /) -> Score:
        """The score of one candidate of this request."""

    def pick(
        self, pool: Sequence[Candidate], _forecasts: Forecasts, _log_budget: float, _settings: SelectorSettings, /
    ) -> Candidate:
        """The best of a pool that is not empty."""
        found = best(pool)
        assert found is not None
        return found

    def started(self, variant: str, /) -> None:  # noqa: B027 - most policies count no turns
        """A request was sent to `variant` by this policy's choice."""


def best(candidates: Sequence[Candidate], least: float = 0.0) -> Candidate | None:
    """The largest score, by the written tie rule, of those with a probability of at least `least`; None without any."""
    found, top = None, -inf
    for candidate in candidates:
        score = candidate.score
        if (
            score >= top
            and candidate.probability >= least
            and (found is None or score > top or rank(candidate) < rank(found))
        ):
            found, top = candidate, score
    return found


def rank(candidate: Candidate) -> tuple[float, float, float, str]:
    """The written tie rule, the first first: larger score, more accurate, sooner predicted, first by name."""
    return -candidate.score, -candidate.accuracy, candidate.predicted_s, candidate.variant.name


def conclude(request: Request, candidate: Candidate, settings: SelectorSettings) -> Reason:
    """Whether the best candidate there is meets the objective, and what follows if it does not.

    It is met by an eligible candidate that can make the deadline, that is with a probability of at least
    `settings.can_probability`.
    """
    if not candidate.verdict and candidate.probability >= settings.can_probability:
        return Reason.CHOSEN
    return Reason.UNMET if request.on_miss is OnMiss.REJECT else Reason.DEGRADED
