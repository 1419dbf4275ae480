"""Model-Switching: the variant for the load."""

from collections.abc import Sequence

from warmfront.domain import Candidate
from warmfront.selection.policies.base import Generator
from warmfront.selection.policies.comparing import Comparing, Moment
from warmfront.selection.policies.traffic import Traffic, in_time, places, rate


class ModelSwitching(Comparing):
    """The variant with the largest accuracy times attainment at the present level of load.

    Source: Zhang et al., "Model-Switching: Dealing with Fluctuating Workloads in Machine-Learning-as-a-Service Systems"
    (HotCloud 2020). Attainment is the share of requests in time if all of them went to this variant: P(in time once
    warm) times the share that does not wait too long for a place, by Erlang's formula with every replica there may be.
    The load is a moving mean over windows of 5 s; a level down is believed after three quieter windows. As published,
    all variants are taken as loaded: whether they sleep is not looked at.
    """

    name = "model-switching"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._traffic: dict[str, Traffic] = {}

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """Accuracy times attainment."""
        traffic = self._traffic.get(moment.request.task)
        load = 0.0 if traffic is None else rate(traffic.level(moment.now))
        return [self._effective(c, moment, load) for c in pool]

    def _effective(self, candidate: Candidate, moment: Moment, load: float) -> float:
        warm = moment.forecasts(candidate).once_warm
        slack_s = moment.budget_s - warm.execution_s
        attained = in_time(load, places(candidate.variant), warm.execution_s, slack_s)
        return warm.accuracy * warm.probability(moment.log_budget) * attained

    def sent(self, _chosen: Candidate, _everyone: Sequence[Candidate], moment: Moment, /) -> None:
        """One more request of the task."""
        self._traffic.setdefault(moment.request.task, Traffic()).arrived(moment.now)
