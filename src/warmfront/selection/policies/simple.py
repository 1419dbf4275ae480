"""The policies to be measured against. Each is one score; the filter and the tie rule are everybody's."""

from hashlib import blake2b

from warmfront.domain import Request
from warmfront.selection.forecast import Forecast
from warmfront.selection.policies.base import Generator, Policy, Score
from warmfront.selection.settings import SelectorSettings


class RandomChoice(Policy):
    """Every eligible variant is as likely. Drawn from seed, request and variant: asking twice answers alike."""

    name = "random"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._salt = int(self._rng.random() * 2**53).to_bytes(8, "big")

    def scorer(self, request: Request, _settings: SelectorSettings, /) -> Score:
        """A number in [0, 1)."""
        drawn = blake2b(request.id.encode(), digest_size=8, key=self._salt)

        def score(forecast: Forecast, _: float) -> float:
            mine = drawn.copy()
            mine.update(forecast.name.encode())
            return int.from_bytes(mine.digest(), "big") / 2**64

        return score


class RoundRobin(Policy):
    """The variant whose last turn is longest ago; one that never had a turn comes first."""

    name = "round-robin"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._turns = 0
        self._last: dict[str, int] = {}

    def scorer(self, _request: Request, _settings: SelectorSettings, /) -> Score:
        """1 before the first turn, then 1 / (1 + number of the last turn)."""
        return lambda forecast, _: 1 / (1 + self._last.get(forecast.name, 0))

    def started(self, variant: str, /) -> None:
        """The variant has had its turn."""
        self._turns += 1
        self._last[variant] = self._turns


class Fastest(Policy):
    """The shortest warm execution; starts and queues are not looked at."""

    name = "fastest"

    def scorer(self, _request: Request, _settings: SelectorSettings, /) -> Score:
        """1 / (1 + seconds of one warm execution)."""
        return lambda forecast, _: 1 / (1 + forecast.execution_s)


class MostAccurate(Policy):
    """The highest expected accuracy for this input; time is not looked at."""

    name = "most-accurate"

    def scorer(self, _request: Request, _settings: SelectorSettings, /) -> Score:
        """The expected accuracy."""
        return lambda forecast, _: forecast.accuracy
