"""The renewal model of the warm set, against plans worked by hand."""

import random

import pytest

from warmfront.selection.estimators.gaps import Gaps
from warmfront.selection.warmset.model import QUEUES, Kind, Model, Option

FAST, GOOD, BOTH = 1, 2, 3


def idle(gaps, age=0.0, starts=(3.0, 15.0), holds=(60.0, 60.0)):
    found = Gaps()
    for gap in gaps:
        found.add(gap)
    return found.idle(age, starts, holds)


def options(fast=5e-5, good=1e-3, **more):
    """A cheap quick variant and a dear slow one."""
    return (
        Option("fast", fast, 2.0, 60.0, 0.05, more.get("fast_kept", False), more.get("slots", 4)),
        Option("good", good, 10.0, 60.0, 1.0, more.get("good_kept", False), more.get("slots", 4)),
    )


def kind(share=1.0, fast=0.8, good=0.9, asleep=(0.0, 0.0), crowd=0):
    """Requests with a deadline that no start meets, worth this much with either variant awake."""
    return Kind(share, tuple((worth,) * len(QUEUES) for worth in (fast, good)), asleep, crowd)


def model(gaps, kinds=None, most_gb=4.0, may_keep=True, age=0.0, **prices):
    return Model(options(**prices), kinds or [kind()], idle(gaps, age), most_gb=most_gb, may_keep=may_keep)


RNG = random.Random(1)
SPARSE = [RNG.expovariate(0.01) for _ in range(60)]
DENSE = [RNG.expovariate(0.5) for _ in range(60)]


def test_dense_traffic_is_worth_the_better_variant():
    """A request every 2 s gains 0.1 from it: 0.05 a second for 0.001."""
    assert model(DENSE).wanted(1.0, FAST, 0, FAST) & GOOD


def test_sparse_traffic_is_worth_the_cheap_one_only():
    """A request every 100 s: `good` would cost 0.1 to have, for a gain of 0.1, and its starts; `fast` 0.005 for 0.8."""
    assert model(SPARSE).wanted(70.0, FAST, 0, 0) == FAST


def test_what_costs_more_than_it_gains_sleeps():
    """At 0.02 a second `fast` would cost 2 a request."""
    assert model(SPARSE, fast=0.02, good=0.1).wanted(70.0, FAST, 0, 0) == 0


def test_a_substitute_makes_the_other_worthless():
    """With `good` kept awake by others nobody wants `fast`, which alone is wanted."""
    assert model(SPARSE).wanted(70.0, 0, None, 0) == FAST
    assert model(SPARSE, good_kept=True).wanted(70.0, GOOD, None, 0) == GOOD


def test_a_timer_is_slept_through_and_started_for():
    """Every 300 s: with nothing awake nobody is wanted at 100 s; both the start of `good` and its wait are worth it
    shortly before.
    """
    due = model([300.0] * 12)
    assert due.wanted(100.0, 0, None, 0) == 0
    assert due.wanted(286.0, 0, None, 0) & GOOD


def test_memory_is_bounded():
    """With room for half a gigabyte `good` is not wanted, however dense the traffic; if others keep it, it is free."""
    assert not model(DENSE, most_gb=0.5).wanted(1.0, FAST, 0, FAST) & GOOD
    assert model(DENSE, most_gb=0.5, good_kept=True).wanted(1.0, BOTH, 0, FAST) & GOOD


def test_without_leave_to_keep_only_what_is_due_is_started():
    """At 70 s of an irregular silence nothing is wanted that the platform does not hold; in a burst it may start."""
    assert model(SPARSE, may_keep=False).wanted(70.0, 0, None, 0) == 0
    assert model(DENSE, may_keep=False).wanted(0.5, FAST, 0, FAST) & GOOD
    assert model([300.0] * 12, may_keep=False).wanted(286.0, 0, None, 0)


def test_what_is_held_stays():
    """A set must contain what the platform holds anyway."""
    assert model(SPARSE).wanted(70.0, BOTH, 1, GOOD) & GOOD
    assert model(SPARSE).wanted(70.0, FAST, 0, GOOD) & GOOD


def test_a_charge_is_what_an_answer_costs_beyond_itself():
    """0 for whoever is best for what follows. Where `good` is dear, waking it for one sparse request costs its hold."""
    fast, good = model(SPARSE, good=0.01).charges(FAST)
    assert fast == 0.0
    assert good > 0.3
    assert min(model(DENSE).charges(BOTH)) == 0.0


def test_a_crowd_fills_the_better_variant_first():
    """Six at once, four places each: the newcomer finds `good` full, where it is late, and `fast` free."""
    late = tuple(0.9 if ahead == 0 else 0.1 for ahead in QUEUES)
    crowded = Kind(1.0, ((0.8,) * len(QUEUES), late), (0.0, 0.0), 6)
    found = Model(options(), [crowded], idle(DENSE), most_gb=4.0)
    assert found.reward(GOOD) == pytest.approx(0.1)
    assert found.reward(BOTH) == pytest.approx(0.8)
    assert found.reward(0) == 0.0
    calm = Model(options(slots=8), [crowded], idle(DENSE), most_gb=4.0)
    assert calm.reward(GOOD) == pytest.approx(0.9)


def test_values_can_be_taken_over():
    """Solved from the values of before it agrees at once, and wants the same."""
    first = model(SPARSE)
    again = Model(options(), [kind()], idle(SPARSE), most_gb=4.0, values=first.values)
    assert again.rounds <= first.rounds
    assert again.wanted(70.0, FAST, 0, 0) == first.wanted(70.0, FAST, 0, 0)


def test_worth_and_price_of_a_set():
    """The price adds up; the better set is worth more."""
    dense = model(DENSE)
    assert dense.price_per_s(BOTH) == pytest.approx(1.05e-3)
    assert dense.worth(1.0, BOTH, 1) > dense.worth(1.0, FAST, 1)
