"""What a policy needs that cannot score a candidate by its forecast alone: all of them at once, or a memory of its own.

Most published algorithms are of this kind. The selector asks `compare` in place of `scorer`, tells what was sent, what
came of it and whether it was right, and carries out `plan`. What a policy remembers changes in `sent`, `ended`,
`judged` and `plan` only: `compare` decides, and a decision changes nothing.
"""

from abc import abstractmethod
from collections.abc import Sequence
from hashlib import blake2b
from math import exp, inf
from typing import NamedTuple

from warmfront.domain import Action, Candidate, Outcome, Request, Variant
from warmfront.selection.forecast import Forecast
from warmfront.selection.policies.base import Forecasts, Generator, Policy, Score
from warmfront.selection.settings import SelectorSettings


class Moment(NamedTuple):
    """One request as it is decided: the time that is left to it, and what the candidates' numbers were read from."""

    request: Request
    log_budget: float  # logarithm of the seconds left
    now: float
    forecasts: Forecasts
    settings: SelectorSettings

    @property
    def budget_s(self) -> float:
        """Seconds left; 0 when there are none."""
        return exp(self.log_budget)


class Comparing(Policy):
    """Scores the candidates of a request together. Scores are at most 1, larger is better."""

    plan_at = inf  # until when `plan` has nothing to say

    def scorer(self, _request: Request, _settings: SelectorSettings, /) -> Score:
        """Nothing to be said of a candidate alone."""
        return _nothing

    @abstractmethod
    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> Sequence[float]:
        """The scores of a pool that is not empty, in its order. Their own `score` says nothing yet."""

    def sent(self, chosen: Candidate, everyone: Sequence[Candidate], moment: Moment, /) -> None:
        """The request goes to `chosen` out of `everyone`, eligible or not; forecasts are still those before it went."""

    def ended(self, variant: Variant, size: int, outcome: Outcome, now: float, /) -> None:
        """What became of a request of about `size` bytes that was sent to `variant`."""

    def judged(self, variant: Variant, correct: float, /) -> None:
        """How right an answer of `variant` was, in [0, 1]."""

    def plan(self, _now: float, _settings: SelectorSettings, /) -> Sequence[Action]:
        """What is to be awake, by those algorithms that start and keep variants themselves."""
        return ()


class Draws:
    """Chance that is a function of the seed and of names: asking twice draws alike."""

    def __init__(self, rng: Generator) -> None:
        self._salt = int(rng.random() * 2**53).to_bytes(8, "big")

    def uniform(self, *names: str) -> float:
        """A number in [0, 1)."""
        drawn = blake2b("\0".join(names).encode(), digest_size=8, key=self._salt)
        return int.from_bytes(drawn.digest()[:7], "big") / 2**56


def _nothing(_forecast: Forecast, _probability: float) -> float:
    return 0.0
