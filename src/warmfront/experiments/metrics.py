"""What rows are worth: every figure of the comparison, from request rows and replica rows and nothing else.

All functions are pure. Shares are of all requests: whatever was rejected, lost or late counts as not answered in time.
Memory is in GB of 1000 MB; utility in right answers in time per request.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import TypeVar

import msgspec

from warmfront.telemetry.records import ReplicaRow, RequestRow

PRICE_PER_GB_S = 0.001
WAITING_PRICE_PER_S = 0.02
RESAMPLES = 2000
_BINS = 10
_PARTS = 24

_T = TypeVar("_T")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One run in figures. `utility` is what requests gained less the price of memory; the first six are compared.
    None is what cannot be known: of the offline optimum, or of nothing.

    `cold_wait_share` counts requests that waited for a start, `starts_per_1000` all replicas asked for, per 1000
    requests, `background_starts_per_1000` those that no request waited for. `objective_met` is on time by a variant
    that met the floor, `accuracy` of what was answered, `unused_warm_share` the memory of replicas that no request
    came to. `brier` is the mean squared error of the promised probabilities.
    """

    requests: int
    utility: float
    effective_accuracy: float
    on_time: float
    gb_s_per_request: float
    cold_wait_share: float | None
    starts_per_1000: float | None
    background_starts_per_1000: float | None
    objective_met: float
    accuracy: float | None
    rejected: float
    failed: float
    hedged: float
    unused_warm_share: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    brier: float | None


COMPARED = ("utility", "effective_accuracy", "on_time", "gb_s_per_request", "cold_wait_share", "starts_per_1000")


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Requests whose promised probability of being in time lies in [low, high): how many, promised and realised."""

    low: float
    high: float
    requests: int
    promised: float
    realised: float


class Attainment(msgspec.Struct, frozen=True, kw_only=True):
    """Requests with this much time (None: any): how many, and the shares in time, and right and in time."""

    deadline_s: float | None
    requests: int
    on_time: float
    effective_accuracy: float


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that arrived in one part of the run, from `from_s` on: how many, and the shares that count."""

    from_s: float
    requests: int
    on_time: float
    effective_accuracy: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and where it lies with 95 % confidence."""

    mean: float
    low: float
    high: float


def gained(row: RequestRow, waiting_price_per_s: float = WAITING_PRICE_PER_S) -> float:
    """What one answer was worth: 1 when right and in time; with weights latency's share for being in time at all.

    Without a deadline each second of waiting costs `waiting_price_per_s`, in proportion to the weight of latency.
    """
    if not row.on_time:
        return 0.0
    weight = row.latency_weight
    right = 1.0 if row.correct else 0.0
    worth = right if weight is None else weight + (1 - weight) * right
    if row.deadline_s is None:
        worth -= waiting_price_per_s * row.latency_s * (1.0 if weight is None else weight)
    return worth


def gb_seconds(replicas: Iterable[ReplicaRow]) -> float:
    """Memory times the time from asked for to stopped, starting and ready alike."""
    return math.fsum((one.stopped_s - one.requested_s) * (one.memory_mb or 0.0) / 1000 for one in replicas)


def summarise(
    requests: Sequence[RequestRow],
    replicas: Sequence[ReplicaRow],
    *,
    price_per_gb_s: float = PRICE_PER_GB_S,
    waiting_price_per_s: float = WAITING_PRICE_PER_S,
) -> Summary:
    """The figures of one run. Raises ValueError without requests: there is nothing to divide by."""
    count = len(requests)
    if not count:
        raise ValueError("found no request rows; wanted those of one run")
    gb_s = gb_seconds(replicas)
    answered = [row for row in requests if row.correct is not None]
    latencies = sorted(row.latency_s for row in requests if row.status in {"ok", "late"})
    promised = [(row.probability - row.on_time) ** 2 for row in requests if row.probability is not None]

    def share(true: Callable[[RequestRow], object]) -> float:
        return sum(1 for row in requests if true(row)) / count

    return Summary(
        requests=count,
        utility=(math.fsum(gained(row, waiting_price_per_s) for row in requests) - price_per_gb_s * gb_s) / count,
        effective_accuracy=share(lambda row: row.on_time and row.correct),
        on_time=share(lambda row: row.on_time),
        gb_s_per_request=gb_s / count,
        cold_wait_share=share(lambda row: row.cold),
        starts_per_1000=1000 * len(replicas) / count,
        background_starts_per_1000=1000 * sum(one.cause in {"background", "keep"} for one in replicas) / count,
        objective_met=share(lambda row: row.on_time and row.reason == "chosen"),
        accuracy=fmean(bool(row.correct) for row in answered) if answered else None,
        rejected=share(lambda row: row.status == "rejected"),
        failed=share(lambda row: row.status == "failed"),
        hedged=share(lambda row: row.hedged),
        unused_warm_share=_unused(requests, replicas),
        latency_p50_s=quantile(latencies, 0.5),
        latency_p95_s=quantile(latencies, 0.95),
        latency_p99_s=quantile(latencies, 0.99),
        brier=fmean(promised) if promised else None,
    )


def quantile(rising: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share does not exceed; None of nothing."""
    return rising[max(math.ceil(share * len(rising)), 1) - 1] if rising else None


def calibration(requests: Iterable[RequestRow]) -> list[Bin]:
    """What was promised beside what came true, by decile of the promise; deciles without requests are left out."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(_BINS)]
    for row in requests:
        if row.probability is not None:
            bins[min(int(row.probability * _BINS), _BINS - 1)].append((row.probability, row.on_time))
    return [
        Bin(
            low=i / _BINS, high=(i + 1) / _BINS, requests=len(found), promised=fmean(p for p, _ in found),
            realised=fmean(on_time for _, on_time in found),
        )
        for i, found in enumerate(bins) if found
    ]  # fmt: skip


def attainment(requests: Sequence[RequestRow], *, few: bool) -> list[Attainment]:
    """Shares by deadline, the shortest first; unless there are `few` they are put together by powers of two.

    Runs that are to be pooled must agree on that.
    """
    groups: dict[float | None, list[RequestRow]] = {}
    for row in requests:
        groups.setdefault(_group(row.deadline_s, few=few), []).append(row)
    return [
        Attainment(
            deadline_s=deadline, requests=len(found), on_time=fmean(row.on_time for row in found),
            effective_accuracy=fmean(bool(row.on_time and row.correct) for row in found),
        )
        for deadline, found in sorted(groups.items(), key=lambda item: math.inf if item[0] is None else item[0])
    ]  # fmt: skip


def over_time(requests: Iterable[RequestRow], duration_s: float) -> list[Part]:
    """The run in 24 equal parts by arrival; later arrivals belong to the last, parts without any are left out."""
    found: list[list[RequestRow]] = [[] for _ in range(_PARTS)]
    for row in requests:
        found[min(int(row.arrival_s / duration_s * _PARTS), _PARTS - 1)].append(row)
    return [
        Part(
            from_s=duration_s * i / _PARTS, requests=len(rows), on_time=fmean(row.on_time for row in rows),
            effective_accuracy=fmean(bool(row.on_time and row.correct) for row in rows),
        )
        for i, rows in enumerate(found) if rows
    ]  # fmt: skip


def pool_parts(runs: Sequence[Sequence[Part]]) -> list[Part]:
    """The parts of several runs together."""
    return [
        Part(
            from_s=same[0].from_s, requests=sum(one.requests for one in same),
            on_time=_weighted((one.requests, one.on_time) for one in same),
            effective_accuracy=_weighted((one.requests, one.effective_accuracy) for one in same),
        )
        for same in _together(runs, lambda one: one.from_s)
    ]  # fmt: skip


def pool(parts: Sequence[Sequence[Bin]]) -> list[Bin]:
    """The calibration of several runs together."""
    return [
        Bin(
            low=same[0].low, high=same[0].high, requests=sum(one.requests for one in same),
            promised=_weighted((one.requests, one.promised) for one in same),
            realised=_weighted((one.requests, one.realised) for one in same),
        )
        for same in _together(parts, lambda one: one.low)
    ]  # fmt: skip


def pool_attainment(parts: Sequence[Sequence[Attainment]]) -> list[Attainment]:
    """The attainment of several runs together, all of few deadlines or none."""
    return [
        Attainment(
            deadline_s=same[0].deadline_s, requests=sum(one.requests for one in same),
            on_time=_weighted((one.requests, one.on_time) for one in same),
            effective_accuracy=_weighted((one.requests, one.effective_accuracy) for one in same),
        )
        for same in _together(parts, lambda one: math.inf if one.deadline_s is None else one.deadline_s)
    ]  # fmt: skip


def _together(runs: Sequence[Sequence[_T]], key: Callable[[_T], float]) -> list[list[_T]]:
    """What of several runs has the same key, in the order of the keys."""
    found: dict[float, list[_T]] = {}
    for rows in runs:
        for one in rows:
            found.setdefault(key(one), []).append(one)
    return [same for _, same in sorted(found.items())]


def interval(values: Sequence[float], *, resamples: int = RESAMPLES) -> Interval:
    """The mean and its 95 % percentile bootstrap interval over seeds (Efron and Tibshirani 1993, section 13.3).

    For a difference of two policies give the differences per seed: that is the paired interval. The same values give
    the same interval, for the resampling has a fixed seed of its own. One value gives no width.
    """
    count = len(values)
    if count == 1 or min(values) == max(values):
        return Interval(fmean(values), min(values), max(values))
    rng = Random(f"bootstrap/{count}")
    means = sorted(math.fsum(rng.choices(values, k=count)) / count for _ in range(resamples))
    return Interval(fmean(values), means[int(0.025 * resamples)], means[math.ceil(0.975 * resamples) - 1])


def regrets(utilities: Mapping[str, Sequence[float]], reference: str) -> dict[str, list[float]]:
    """Per policy and seed, by how much the reference's utility was higher; the seeds in the same order for all."""
    best = utilities[reference]
    return {name: [b - u for b, u in zip(best, values, strict=True)] for name, values in utilities.items()}


def _group(deadline_s: float | None, *, few: bool) -> float | None:
    if deadline_s is None:
        return None
    return float(f"{deadline_s:.4g}") if few else 2.0 ** math.ceil(math.log2(deadline_s))


def _weighted(pairs: Iterable[tuple[int, float]]) -> float:
    found = list(pairs)
    return math.fsum(n * value for n, value in found) / sum(n for n, _ in found)


def _unused(requests: Sequence[RequestRow], replicas: Sequence[ReplicaRow]) -> float:
    """The share of the memory that went to replicas of which no request of the run made use."""
    used: dict[str | None, list[float]] = {}
    for row in sorted(requests, key=lambda row: row.arrival_s):
        used.setdefault(row.variant, []).append(row.arrival_s)
    whole = gb_seconds(replicas)
    idle = []
    for one in replicas:
        instants = used.get(one.variant, [])
        first = bisect_left(instants, one.requested_s)
        if first == len(instants) or instants[first] > one.stopped_s:
            idle.append(one)
    return gb_seconds(idle) / whole if whole else 0.0
