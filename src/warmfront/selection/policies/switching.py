"""Model-Switching: the variant for the load."""

from collections import deque
from collections.abc import Sequence
from math import exp

from warmfront.domain import Candidate
from warmfront.selection.policies.base import Generator
from warmfront.selection.policies.comparing import Comparing, Moment
from warmfront.selection.policies.traffic import WINDOW_S, Traffic, in_time, places, rate

RECENT = 64  # requests whose deadlines stand for those of the service


class ModelSwitching(Comparing):
    """The variant with the largest accuracy times attainment at the present level of load, for all requests alike.

    Source: Zhang et al., "Model-Switching: Dealing with Fluctuating Workloads in Machine-Learning-as-a-Service Systems"
    (HotCloud 2020). Attainment is the share of requests in time if all of them went to this variant: P(in time once
    warm) times the share that does not wait too long for a place, by Erlang's formula with every replica there may be.
    The load is a moving mean over windows of 5 s; a level down is believed after three quieter windows. There a service
    has one deadline; here attainment is the mean over those of its last 64 requests, worked out anew every 5 s. As
    published, all variants are taken as loaded: whether they sleep is not looked at.
    """

    name = "model-switching"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._services: dict[str, _Service] = {}

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """Accuracy times attainment, as it stands for the service; for its first request, by that one's deadline."""
        service = self._services.get(moment.request.task)
        known = {} if service is None else service.worth
        own = (moment.log_budget,)
        return [known[n] if (n := c.variant.name) in known else _worth(c, moment, 0.0, own) for c in pool]

    def sent(self, _chosen: Candidate, everyone: Sequence[Candidate], moment: Moment, /) -> None:
        """One more request of the task, with its deadline."""
        service = self._services.setdefault(moment.request.task, _Service())
        service.traffic.arrived(moment.now)
        service.budgets.append(moment.log_budget)
        if moment.now >= service.until:
            load = rate(service.traffic.level(moment.now))
            service.worth = {c.variant.name: _worth(c, moment, load, service.budgets) for c in everyone}
            service.until = moment.now + WINDOW_S


class RepairedModelSwitching(ModelSwitching):
    """Model-Switching by the deadline of each request."""

    name = "model-switching-repaired"

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """Accuracy times attainment within the time that this request has left."""
        service = self._services.get(moment.request.task)
        load = 0.0 if service is None else rate(service.traffic.level(moment.now))
        return [_worth(c, moment, load, (moment.log_budget,)) for c in pool]


class _Service:
    """What is remembered of a task: its load, the deadlines of late, and what each variant is worth by these."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.budgets: deque[float] = deque(maxlen=RECENT)
        self.worth: dict[str, float] = {}
        self.until = 0.0  # when the worth is to be worked out anew


def _worth(candidate: Candidate, moment: Moment, load: float, budgets: Sequence[float]) -> float:
    """Accuracy times attainment at `load` requests a second, on average over the logarithms of seconds left."""
    warm = moment.forecasts(candidate).once_warm
    servers = places(candidate.variant)
    attained = (
        warm.probability(log_s) * in_time(load, servers, warm.execution_s, exp(log_s) - warm.execution_s)
        for log_s in budgets
    )
    return warm.accuracy * sum(attained) / len(budgets)
