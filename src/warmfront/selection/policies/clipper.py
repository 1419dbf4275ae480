"""Clipper's selection of a single model: Exp3."""

from collections.abc import Sequence
from math import exp, log, sqrt

from warmfront.domain import Candidate, Outcome, Status, Variant
from warmfront.selection.policies.base import Generator
from warmfront.selection.policies.comparing import Comparing, Draws, Moment

MIXED = 0.1  # gamma: share of requests drawn evenly


class Exp3(Comparing):
    """Draws a variant with p_v = (1 - g) w_v / sum w + g / K; its loss L makes w_v smaller by exp(-eta L / p_v).

    Source: Crankshaw et al., "Clipper: A Low-Latency Online Prediction Serving System" (NSDI 2017), after Auer et al.,
    "The Nonstochastic Multiarmed Bandit Problem" (2002); g = 0.1 and eta_t = sqrt(ln K / (t K)), t the number of losses
    so far. A late or failed answer loses 1, an answer in time 1 - its expected accuracy until feedback says how right
    it was; then the loss is corrected, that of a late answer too, for by then they are not told apart. p_v is that of
    the variant's latest request. Neither sleep nor deadline is looked at: both show in the losses.
    """

    name = "exp3"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._draws = Draws(rng)
        self._logs: dict[str, float] = {}  # logarithms of the weights
        self._sent: dict[str, tuple[float, float, int]] = {}  # p, expected accuracy and K of its latest request
        self._losses: dict[str, int] = {}  # by task

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """A draw u in [0, 1) to the power of 1 / p: the largest of these is a draw with the probabilities p.

        Source: Efraimidis and Spirakis, "Weighted Random Sampling with a Reservoir" (2006).
        """
        id_ = moment.request.id
        return [
            self._draws.uniform(id_, c.variant.name) ** (1 / p)
            for c, p in zip(pool, self._probabilities(pool), strict=True)
        ]

    def _probabilities(self, pool: Sequence[Candidate]) -> list[float]:
        logs = [self._logs.get(c.variant.name, 0.0) for c in pool]
        most = max(logs)
        weights = [exp(one - most) for one in logs]
        whole = sum(weights)
        return [(1 - MIXED) * weight / whole + MIXED / len(pool) for weight in weights]

    def sent(self, chosen: Candidate, everyone: Sequence[Candidate], _moment: Moment, /) -> None:
        """Remember how likely that was."""
        pool = [c for c in everyone if not c.verdict or c.variant.name == chosen.variant.name]
        names = [c.variant.name for c in pool]
        p = self._probabilities(pool)[names.index(chosen.variant.name)]
        self._sent[chosen.variant.name] = (p, chosen.accuracy, max(len(pool), 2))

    def ended(self, variant: Variant, _size: int, outcome: Outcome, _now: float, /) -> None:
        """The loss as far as it is known."""
        right = self._sent[variant.name][1] if outcome.status is Status.OK else 0.0
        self._losses[variant.task] = self._losses.get(variant.task, 0) + 1
        self._lose(variant, 1.0 - right)

    def judged(self, variant: Variant, correct: float, /) -> None:
        """What was expected was not true."""
        self._lose(variant, self._sent[variant.name][1] - correct)

    def _lose(self, variant: Variant, loss: float) -> None:
        p, _, k = self._sent[variant.name]
        eta = sqrt(log(k) / (max(self._losses.get(variant.task, 1), 1) * k))
        self._logs[variant.name] = self._logs.get(variant.name, 0.0) - eta * loss / p
