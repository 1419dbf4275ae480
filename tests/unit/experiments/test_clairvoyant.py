"""The per-request clairvoyant: right and in time whenever anybody could be, for the least memory."""

import pytest
from tests.unit.experiments.worlds import LANGID, cases, play, requests, selector, truth, world

from warmfront.experiments.oracles.clairvoyant import NAME, clairvoyant

GOOD = truth("good", 0.9, execution=0.1, start=10.0, memory=1000.0, spread=1.0)
FAST = truth("fast", 0.6, execution=0.1, start=1.0, memory=100.0, spread=1.0)


def seen(place, asked, **more):
    return clairvoyant(place, asked, selector, seed=1, **more)


def test_it_takes_the_cheaper_of_two_that_will_be_right():
    """Hardness 0.5: both are right, `fast` costs a tenth. Hardness 0.7: only `good` is, and there is time for it."""
    first, second = cases(requests([0.0, 500.0], budget=20.0))
    run = seen(world(GOOD, FAST), [first._replace(hardness=0.5), second._replace(hardness=0.7)])
    assert [row.variant for row in run.requests] == ["fast", "good"]
    assert all(row.on_time and row.correct for row in run.requests)
    assert {row.policy for row in run.requests} == {NAME}


def test_it_knows_how_long_a_start_will_take():
    """5 s are too short for `good` at 10 s: what only `good` gets right is lost, and goes where it is cheap."""
    (case,) = cases(requests([0.0], budget=5.0))
    (row,) = seen(world(GOOD, FAST), [case._replace(hardness=0.7)]).requests
    assert (row.variant, row.on_time, row.correct) == ("fast", True, False)


def test_a_start_under_way_is_waited_for_as_long_as_it_takes():
    """`good` was asked at 0 and is ready at 10 s: one second of patience at 9.5 s is enough."""
    asked = [c._replace(hardness=0.7) for c in cases(requests([0.0, 9.5], budget=[20.0, 1.0]))]
    run = seen(world(GOOD, FAST), asked)
    assert [(row.variant, row.on_time) for row in run.requests] == [("good", True), ("good", True)]


@pytest.mark.parametrize("policy", ["fastest", "most-accurate"])
def test_it_beats_the_baselines(policy):
    """On the demo's traffic it answers more requests right and in time than those who look at one thing only."""
    place = world(*(truth(name, *facts) for name, facts in LANGID.items()))
    asked = cases(requests([i * 0.1 for i in range(300)], budget=[(0.2, 1.0, 3.0, 15.0)[i % 4] for i in range(300)]))

    def score(run):
        return sum(bool(row.on_time and row.correct) for row in run.requests)

    assert score(seen(place, asked)) > score(play(place, asked, policy))


@pytest.mark.parametrize("floor", [0.7, 0.95])
def test_it_keeps_to_those_who_may_be_asked(floor):
    """With a floor of 0.7 only `good` may answer; with one that nobody meets, what the selector does stands."""
    (case,) = cases(requests([0.0], budget=20.0, min_accuracy=floor))
    (row,) = seen(world(GOOD, FAST), [case._replace(hardness=0.1)]).requests
    assert row.variant == "good"
