"""The tiers of llm-d's latency-aware scheduling, between variants in place of replicas."""

from collections.abc import Sequence

from warmfront.domain import Candidate
from warmfront.selection.policies.base import Generator
from warmfront.selection.policies.comparing import Comparing, Draws, Moment

EXPLORED = 0.01  # share of requests for the tier without headroom


class Llmd(Comparing):
    """Of those predicted to be in time the most accurate, then the one with the least headroom.

    Source: the latency scorer of the llm-d inference scheduler (Gateway API inference extension, 2025). Headroom is the
    time left less the predicted latency. Two tiers: 99 % of the requests go to the one with headroom, the others, and
    all when nobody has any, to the one without, where idle ones come first and then the smallest deficit. A request
    without a deadline has no headroom anywhere. There replicas of one model are chosen between, and the least headroom
    is all that counts in the first tier; between variants accuracy is put before it.
    """

    name = "llm-d"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._draws = Draws(rng)

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """Rank in the tier that is asked over the number of candidates; 0 in the other."""
        left_s = moment.budget_s if moment.request.deadline_at is not None else 0.0
        headroom = [left_s - c.predicted_s for c in pool]
        positive = [i for i, spare in enumerate(headroom) if spare >= 0]
        negative = [i for i, spare in enumerate(headroom) if spare < 0]
        if positive and not (negative and self._draws.uniform(moment.request.id) < EXPLORED):
            ranked = sorted(positive, key=lambda i: (pool[i].accuracy, -headroom[i]))
        else:
            ranked = sorted(negative, key=lambda i: (pool[i].in_flight == 0, headroom[i]))
        scores = [0.0] * len(pool)
        for rank, i in enumerate(ranked, 1):
            scores[i] = rank / len(pool)
        return scores
