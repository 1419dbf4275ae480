"""What a request at a busy variant costs those that come while it is there: the price of congestion.

Every arrival is asked what it would have gained by one request less at each busy variant. Summed over the arrivals
during a request's stay, that is the harm the request did; the average harm of the last requests is the toll of the
next one (Pigou, "The Economics of Welfare", 1920; Naor, "The Regulation of Queue Size by Levying Tolls", 1969). So
patient requests leave the quick variants to those in a hurry, and hopeless ones go where they are in nobody's way,
without anybody knowing the traffic's law. Of several selectors each counts what its own requests do to its own ones:
of the others it knows too little, too late. What must not live here: what memory and starts cost (warmset/).
"""

from collections.abc import Sequence

from warmfront.domain import Decision
from warmfront.selection.forecast import log_left
from warmfront.selection.policies.base import Policy
from warmfront.selection.sampling import Sampling
from warmfront.selection.settings import SelectorSettings
from warmfront.selection.variants import KnownVariant

DECAY = 0.99  # weight kept when a request arrives: about the last 100 of a task count
DOUBT = 1.0  # requests that seem to have done no harm: a variant that nobody uses loses its toll


class Tolls:
    """Sets the tolls of all variants, in units of the policy's score."""

    def __init__(self, policy: Policy, settings: SelectorSettings) -> None:
        self._policy = policy
        self._settings = settings
        self._sampling: dict[str, Sampling] = {}  # by task

    def learn(self, variants: Sequence[KnownVariant], decision: Decision, size: int, now: float) -> None:
        """The decided request is about to be sent: who is in its way?"""
        request, chosen = decision.request, decision.chosen
        if chosen is None or request.excluded or not self._policy.wakes:
            return
        sampling = self._sampling.get(request.task)
        if sampling is None:
            sampling = self._sampling[request.task] = Sampling()
        if not sampling.wants(now):
            return
        score, name = self._policy.scorer(request, self._settings), chosen.variant.name
        log_d = log_left(request.deadline_at, now, self._settings.transport_timeout_s)
        for known in variants:
            known.harm *= DECAY
            known.taken *= DECAY
            if known.variant.name == name:
                known.taken += 1.0
            fewer = known.with_one_fewer(size, now)
            if fewer is not None:
                gain = score(fewer, fewer.probability(log_d)) - known.charge - known.toll - chosen.score
                known.harm += max(gain, 0.0) * known.in_flight
            known.toll = known.harm / (known.taken + DOUBT)

    def forget(self, task: str) -> None:
        """The task has no variant any more."""
        self._sampling.pop(task, None)
