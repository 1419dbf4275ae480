"""The offline optimum: by hand, against every plan there is, and against what the policies reach."""

import itertools
import random

import pytest
from tests.unit.experiments.worlds import LANGID, cases, play, poisson, requests, truth, world

from warmfront.experiments.oracles.offline import offline_optimum

PRICE = 0.001
GOOD = truth("good", 0.9, execution=0.1, start=10.0, memory=1000.0, spread=1.0)
FAST = truth("fast", 0.6, execution=0.1, start=1.0, memory=100.0, spread=1.0)


def test_by_hand():
    """Two requests 1,000 s apart: `good` is started ahead of each (10 s) and held (60 s, the last one too): 140 GB s.
    0.9 - 0.07 = 0.83 a request; `fast` for both would be 0.6 - 0.0061.
    """
    found = offline_optimum(world(GOOD, FAST), cases(requests([500.0, 1500.0], budget=1.0)))
    assert found.answered_by == ("good", "good")
    assert found.gb_s == pytest.approx(140.0)
    assert found.utility == pytest.approx(0.83)
    assert found.in_time == (True, True)


def test_what_is_not_worth_its_memory_stays_asleep():
    """At ten times the price `good` costs 0.7 a request: `fast` answers, for 0.061."""
    found = offline_optimum(world(GOOD, FAST), cases(requests([500.0, 1500.0], budget=1.0)), price_per_gb_s=0.01)
    assert found.answered_by == ("fast", "fast")
    assert found.utility == pytest.approx(0.6 - 0.061)


def test_a_patient_request_starts_what_it_waits_for():
    """With a deadline of 12 s there is time for the start; it costs the same, and the answer is as good."""
    found = offline_optimum(world(GOOD), cases(requests([5.0], budget=12.0)))
    assert (found.effective_accuracy, found.gb_s) == (0.9, pytest.approx(70.0))


def test_realised_counts_what_was_right():
    """The same answers by the correctness of the cases: hardness 0.95 is wrong by both, 0.1 right by both."""
    asked = [c._replace(hardness=h) for c, h in zip(cases(requests([5.0, 6.0])), (0.95, 0.1), strict=True)]
    found = offline_optimum(world(GOOD), asked, price_per_gb_s=PRICE)
    assert found.realised(world(GOOD), asked, PRICE) == pytest.approx((1 - PRICE * found.gb_s) / 2)


@pytest.mark.parametrize("seed", range(6))
def test_no_plan_is_better(seed):
    """Against every choice of answers and sets, for four requests and two variants, costs counted one by one."""
    rng = random.Random(seed)
    arrivals = sorted(rng.uniform(20, 400) for _ in range(4))
    asked = cases(requests(arrivals, budget=[rng.choice([0.5, 3.0, 20.0]) for _ in arrivals]))
    variants, hold = (GOOD, FAST), 60.0
    best = float("-inf")
    for answers in itertools.product(range(2), repeat=4):
        for sets in itertools.product(range(4), repeat=4):
            value = 0.0
            for i, (v, s) in enumerate(zip(answers, sets, strict=True)):
                for u, one in enumerate(variants):
                    price, start = one.memory_mb / 1e6, one.load_s.p50
                    before = i and (sets[i - 1] >> u & 1 or answers[i - 1] == u)
                    gap = arrivals[i] - arrivals[i - 1]
                    if s >> u & 1:  # ready for this request: kept, or started ahead
                        kept = gap - min(gap, hold) if i and answers[i - 1] == u else gap
                        value -= price * (min(kept, start) if before else start)
                one = variants[v]
                took = 0.1 + (0.0 if sets[i] >> v & 1 else one.load_s.p50)
                value -= 0.0 if sets[i] >> v & 1 else one.memory_mb / 1e6 * one.load_s.p50
                budget = asked[i].request.deadline_at - arrivals[i]
                value += one.accuracy if took <= budget else 0.0
                until_next = arrivals[i + 1] - arrivals[i] if i < 3 else hold
                value -= one.memory_mb / 1e6 * min(until_next, hold)
            best = max(best, value)
    assert offline_optimum(world(*variants), asked, hold_s=hold).utility == pytest.approx(best / 4)


def test_it_bounds_what_a_policy_reaches():
    """One request every 100 s: above `effective`, by less than 0.1."""
    place = world(*(truth(name, *facts) for name, facts in LANGID.items()))
    arrivals = poisson(random.Random(7), 0.01, 10_000)
    asked = cases(
        requests(arrivals, budget=[random.Random(i).choice([0.2, 1.0, 3.0, 15.0]) for i in range(len(arrivals))])
    )
    run = play(place, asked, until_s=10_000)
    gb_s = sum((r.stopped_s - r.requested_s) * r.memory_mb / 1000 for r in run.replicas)
    reached = (sum(bool(r.on_time and r.correct) for r in run.requests) - PRICE * gb_s) / len(asked)
    best = offline_optimum(place, asked).realised(place, asked, PRICE)
    assert best - 0.1 < reached < best


def test_there_must_be_a_case():
    with pytest.raises(ValueError, match="no case"):
        offline_optimum(world(GOOD), [])
