"""What choosing costs, in thread CPU: 32 candidates explained, a warm set, and a request's whole share among four.

    python benchmarks/decide.py

`measure`: each `Selector.decide` among 32 variants that stand as they would in a busy selector: 16 warm, 8 starting, 8
cold. Requests vary in size and deadline, time passes between them, every 20th is started and its outcome learned, so
that forecasts go out of date, and the plan is asked for every second, so that background starts and charges are there.

`plan`: what `Selector.plan` takes when it thinks anew which of 16 variants to have awake, a request every 30 s.

`steady`: decide, started and observe of every request at 5,000 requests a second, nearly all for the best of four warm
variants, each with places left. They are timed a batch at a time, for reading the clock takes as long as `started`.
"""

import json
import random
import statistics
import sys
import time

from warmfront.domain import Observation, Outcome, Profile, Request, Spread, Status, Variant
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector

ROUNDS = 5
CALLS = 5_000
CANDIDATES = 32
LEARN_EVERY = 20
PLANNED, ARRIVALS, GAP_S = 16, 200, 30.0
WARM, RATE, BATCH, BATCHES = 4, 5_000, 20, 1_500
FULL_AFTER = 20_000 // BATCH  # batches until as many answered decisions are remembered as ever will be


def _selector(rng: random.Random, candidates: int) -> Selector:
    selector = Selector(policy=POLICIES["effective"](rng=rng))
    for i in range(candidates):
        execution, start = 0.002 * 1.15**i, 0.3 * 1.12**i
        profile = Profile(
            accuracy_by_bytes=((24, 0.5 + 0.01 * i), (200, 0.6 + 0.012 * i)),
            latency_s=Spread(p50=execution, p95=2 * execution),
            latency_per_kib_s=execution / 20,
            cold_start_s=Spread(p50=start, p95=1.5 * start),
            memory_mb=50 * 1.1**i,
        )
        variant = Variant(name=f"v{i:02}", task="t", revision="r1", url="", profile=profile, concurrency=4)
        warm, starting = i % 2 == 0, i % 4 == 1
        selector.update(
            Observation(variant=variant, ready=2 if warm else 0, starting_at=(0.0,) if starting else ()), 0.0
        )
    return selector


def _request(rng: random.Random, number: int, now: float) -> Request:
    deadline = now + rng.choice((0.05, 0.2, 1.0, 3.0, 15.0))
    size = int(rng.lognormvariate(5.0, 1.0))
    return Request(id=f"r{number}", task="t", size_bytes=size, arrival_at=now, deadline_at=deadline)


def _round(seed: int) -> list[float]:
    """The CPU time of each call, in microseconds."""
    rng = random.Random(seed)
    selector, now, costs = _selector(rng, CANDIDATES), 0.5, []
    for number in range(CALLS):
        now += rng.expovariate(1000)
        request = _request(rng, number, now)
        selector.plan(now)
        before = time.thread_time_ns()
        decision = selector.decide(request, now)
        costs.append((time.thread_time_ns() - before) / 1000)
        if len(decision.alternatives) != CANDIDATES:
            raise AssertionError(f"{len(decision.alternatives)} candidates are explained, not {CANDIDATES}")
        if number % LEARN_EVERY == 0 and decision.chosen is not None:
            selector.started(decision, now)
            seconds = decision.chosen.predicted_s * rng.lognormvariate(0, 0.3)
            done = Outcome(decision_id=decision.id, status=Status.OK, latency_s=seconds, upstream_s=seconds)
            selector.observe(done, now)
    return costs


def measure() -> dict[str, float]:
    """Median and 99th percentile of the CPU time of a decision, in microseconds: the medians of five rounds."""
    rounds = [sorted(_round(seed)) for seed in range(ROUNDS)]
    return {
        "decide_p50_us": statistics.median(costs[CALLS // 2] for costs in rounds),
        "decide_p99_us": statistics.median(costs[CALLS * 99 // 100] for costs in rounds),
    }


def plan() -> dict[str, float]:
    """Median and longest CPU time of a plan after a request, in milliseconds."""
    rng, costs, now = random.Random(1), [], 0.0
    selector = _selector(rng, PLANNED)
    for number in range(ARRIVALS):
        now += rng.expovariate(1 / GAP_S)
        decision = selector.decide(_request(rng, number, now), now)
        selector.started(decision, now)
        selector.observe(Outcome(decision_id=decision.id, status=Status.OK, latency_s=0.1, upstream_s=0.1), now + 0.1)
        before = time.thread_time_ns()
        selector.plan(now + 1.0)
        costs.append((time.thread_time_ns() - before) / 1e6)
    return {"plan_p50_ms": statistics.median(costs), "plan_most_ms": max(costs)}


def _warm(rng: random.Random) -> Selector:
    selector = Selector(policy=POLICIES["effective"](rng=rng))
    for i in range(WARM):
        profile = Profile(accuracy=0.7 + 0.05 * i, latency_s=Spread(p50=0.003, p95=0.006), memory_mb=100.0)
        variant = Variant(name=f"v{i}", task="t", revision="r1", url="", profile=profile, concurrency=32)
        selector.update(Observation(variant=variant, ready=2), 0.0)
    return selector


def _steady_round(seed: int) -> dict[str, float]:
    """Mean CPU time of each call over a round, in microseconds."""
    rng = random.Random(seed)
    selector, now, clock = _warm(rng), 0.0, time.thread_time_ns
    spent = dict.fromkeys(("decide", "started", "observe"), 0)
    for batch in range(FULL_AFTER + BATCHES):
        now += BATCH / RATE
        requests = [
            Request(
                id=f"r{batch}.{i}", task="t", size_bytes=rng.randint(20, 200), arrival_at=now, deadline_at=now + 0.1
            )
            for i in range(BATCH)
        ]
        begun = clock()
        decisions = [selector.decide(request, now) for request in requests]
        decided = clock()
        for decision in decisions:
            selector.started(decision, now)
        sent = clock()
        outcomes = []
        for decision in decisions:
            took = 0.003 * rng.lognormvariate(0, 0.3)
            outcomes.append(
                Outcome(
                    decision_id=decision.id,
                    status=Status.OK,
                    latency_s=took + 0.0012,
                    upstream_s=took + 0.001,
                    execution_s=took,
                )
            )
        answered = clock()
        for outcome in outcomes:
            selector.observe(outcome, now)
        ended = clock()
        if batch >= FULL_AFTER:
            spent["decide"] += decided - begun
            spent["started"] += sent - decided
            spent["observe"] += ended - answered
    return {call: ns / 1000 / (BATCH * BATCHES) for call, ns in spent.items()}


def steady() -> dict[str, dict[str, float]]:
    """Mean CPU time per request of each of the three calls and of all, in microseconds: best and median of rounds."""
    rounds = [_steady_round(seed) for seed in range(ROUNDS)]
    for figures in rounds:
        figures["decide_started_observe"] = sum(figures.values())
    return {
        f"{call}_us": {"best": min(r[call] for r in rounds), "median": statistics.median(r[call] for r in rounds)}
        for call in rounds[0]
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure() | plan() | {"steady": steady()}, indent=2) + "\n")
