"""The simple rule that is hard to beat: the best of the warm ones answers, a better one is started meanwhile."""

from collections.abc import Sequence
from math import inf

from warmfront.domain import Action, Candidate, Start, Warmth
from warmfront.selection.policies.base import Generator
from warmfront.selection.policies.comparing import Comparing, Moment
from warmfront.selection.settings import SelectorSettings


class WarmBest(Comparing):
    """Of the warm variants the largest a * P; without any, of all. A better one that sleeps is started for the next.

    Better is the largest a * P once warm, by more than its start costs: memory times price times start and hold.
    Nothing is kept: with the cheapest kept by the operator it is the simple rule of this project's prototype.
    """

    name = "warm-best"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._wanted: dict[str, str] = {}  # what to start, and why

    def compare(self, pool: Sequence[Candidate], _moment: Moment, /) -> list[float]:
        """Accuracy times P, less 1 for all that are not warm."""
        return [c.accuracy * c.probability - (c.warmth is not Warmth.WARM) for c in pool]

    def sent(self, chosen: Candidate, everyone: Sequence[Candidate], moment: Moment, /) -> None:
        """Note whether another would have been better had it been warm."""
        if chosen.warmth is not Warmth.WARM:
            return
        answered = chosen.accuracy * chosen.probability
        most, better = answered, ""
        for candidate in everyone:
            if not candidate.verdict:
                forecast = moment.forecasts(candidate)
                worth = forecast.accuracy * forecast.once_warm.probability(moment.log_budget) - forecast.start_cost
                if worth > most:
                    most, better = worth, candidate.variant.name if candidate.warmth is Warmth.COLD else ""
        if better:
            self._wanted[better] = f"worth {most:.3f} of a request once warm, {chosen.variant.name} {answered:.3f}"
            self.plan_at = -inf

    def plan(self, _now: float, _settings: SelectorSettings, /) -> list[Action]:
        """Start what was noted."""
        starts: list[Action] = [Start(variant=name, reason=reason) for name, reason in self._wanted.items()]
        self._wanted.clear()
        self.plan_at = inf
        return starts
