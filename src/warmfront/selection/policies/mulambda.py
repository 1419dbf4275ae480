"""MuLambda's weighted selection, the origin, with its quirks."""

from collections import deque
from collections.abc import Sequence

from warmfront.domain import Candidate, Outcome, Variant, Weights
from warmfront.selection.policies.base import Generator
from warmfront.selection.policies.comparing import Comparing, Moment
from warmfront.selection.policies.simple import Pings, first_of_the_best

BUCKETS_MS = (10, 30, 60, 90, 150, 240, 390, 630, 1020)
CONFIDENCES = 10
HALF = Weights(latency=0.5, accuracy=0.5)  # when the request gives none


class MuLambda(Comparing):
    """The largest w_latency * bucket(latency) + w_accuracy * accuracy / best; ties go to the first in the list.

    Source: MuLambda (TU Wien thesis, 2023). Latency is the last ping plus mdd times the size of the input, and mdd is
    from the last answer alone: (its time - ping) / its size. No mean, no queue, no number in flight: who was slow once,
    be it for a start, is slow until the others look worse. Latencies count by nine buckets up to 1020 ms, all beyond as
    0. Accuracy is the mean of the last ten confidences, here of the last ten verdicts. Nothing is tried for its own
    sake, and the deadline is not looked at. Pings: see `LowestNetworkLatency`. Before the first answer a variant's
    latency is the expected one, before the first verdict its accuracy is.
    """

    name = "mulambda"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._pings = Pings()
        self._per_byte: dict[str, float] = {}
        self._verdicts: dict[str, deque[float]] = {}

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """The weighted sum, with weights that sum to 1."""
        weights = moment.request.weights or HALF
        share = weights.latency_share
        accuracies = [self._accuracy(c) for c in pool]
        best = max(accuracies) or 1.0
        return [
            share * bucket(self._latency_s(c, moment)) + (1 - share) * accuracy / best
            for c, accuracy in zip(pool, accuracies, strict=True)
        ]

    def pick(self, pool: Sequence[Candidate], *_: object) -> Candidate:
        """The best, the first of equals."""
        return first_of_the_best(pool)

    def _accuracy(self, candidate: Candidate) -> float:
        verdicts = self._verdicts.get(candidate.variant.name)
        return sum(verdicts) / len(verdicts) if verdicts else candidate.accuracy

    def _latency_s(self, candidate: Candidate, moment: Moment) -> float:
        name = candidate.variant.name
        per_byte = self._per_byte.get(name)
        if per_byte is None:
            return moment.forecasts(candidate).once_warm.predicted_s
        return self._pings.seconds(name) + per_byte * moment.request.size_bytes

    def ended(self, variant: Variant, size: int, outcome: Outcome, _now: float, /) -> None:
        """The last answer is all that is known of a variant's speed."""
        if outcome.censored:
            return
        self._pings.add(variant.name, outcome)
        self._per_byte[variant.name] = (outcome.upstream_s - self._pings.seconds(variant.name)) / max(size, 1)

    def judged(self, variant: Variant, correct: float, /) -> None:
        """One of the last ten."""
        self._verdicts.setdefault(variant.name, deque(maxlen=CONFIDENCES)).append(correct)


def bucket(latency_s: float) -> float:
    """1 down to 1/9 by the bucket of the latency, 0 beyond the last."""
    for i, limit in enumerate(BUCKETS_MS):
        if latency_s * 1000 <= limit:
            return round(1 - i / len(BUCKETS_MS), 2)
    return 0.0
