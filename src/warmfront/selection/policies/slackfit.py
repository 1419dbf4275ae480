"""SlackFit: the choice that just fits the slack."""

from collections.abc import Sequence

from warmfront.domain import Candidate
from warmfront.selection.policies.comparing import Comparing, Moment

BUCKETS = 10


class SlackFit(Comparing):
    """The variant of the largest latency bucket that fits into the time left; in it the highest throughput.

    Source: Khare et al., "SuperServe: Fine-Grained Inference Serving for Unpredictable Workloads" (NSDI 2025). Only
    variants on the front of latency and accuracy take part. Ten buckets of equal width span their latencies, the 95th
    percentiles once warm. There the pairs are of subnet and batch size, all in one loaded network; here a batch is one
    request, so throughput is concurrency over latency, and as published whether a variant sleeps is not looked at. If
    none fits, the fastest.
    """

    name = "slackfit"

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """In [0, 1] for what fits: by bucket, in it by throughput. Below 0 for the others, the fastest first."""
        seconds = [moment.forecasts(c).once_warm.p95_s for c in pool]
        front = [
            not any(
                (took < mine and other.accuracy >= c.accuracy) or (took <= mine and other.accuracy > c.accuracy)
                for took, other in zip(seconds, pool, strict=True)
            )
            for mine, c in zip(seconds, pool, strict=True)
        ]
        low = min(s for s, kept in zip(seconds, front, strict=True) if kept)
        width = (max(s for s, kept in zip(seconds, front, strict=True) if kept) - low) / BUCKETS
        scores = []
        for c, took, kept in zip(pool, seconds, front, strict=True):
            if not kept or took > moment.budget_s:
                scores.append(-took / (1 + took) - (not kept))
                continue
            bucket = min(int((took - low) / width), BUCKETS - 1) if width else 0
            throughput = (c.variant.concurrency or 1) / took
            scores.append((bucket + throughput / (1 + throughput)) / BUCKETS)
        return scores
