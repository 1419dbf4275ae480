"""Cocktail's vote model, worked by hand."""

import pytest
from tests.unit.experiments.worlds import requests, truth, world

from warmfront.errors import SetupError
from warmfront.experiments.cocktail import cocktail, majority
from warmfront.experiments.contenders import contender
from warmfront.experiments.scenarios import load
from warmfront.experiments.simulation.world import Case, Change

TRIO = [truth(name, accuracy, execution=took, start=1.0) for name, accuracy, took in
        (("a", 0.7, 0.1), ("b", 0.7, 0.11), ("c", 0.75, 0.12))]  # fmt: skip


def votes(rights, gap=1.0, start=10.0, budget=10.0):
    """One case after the other, with who is right."""
    asked = requests([start + gap * i for i in range(len(rights))], budget)
    return [
        Case(request=request, hardness=0.5, luck=0.0, right=right) for request, right in zip(asked, rights, strict=True)
    ]


def test_the_majority_of_three_independent_voters():
    """3 * 0.7^2 * 0.3 + 0.7^3 = 0.784; of two both must be right."""
    assert majority(0.7, 3) == pytest.approx(0.784)
    assert majority(0.7, 2) == pytest.approx(0.49)
    assert majority(0.7, 1) == pytest.approx(0.7)


def test_as_many_as_are_as_accurate_as_the_best():
    """One is 0.7 and two 0.49 accurate, below 0.75; three are 0.80. All three vote, and two of them decide."""
    run = cocktail(world(*TRIO), votes([(True, True, False), (False, False, True)]), seed=1, until_s=20.0)
    assert [row.variant for row in run.requests] == ["a+b+c", "a+b+c"]
    assert [row.correct for row in run.requests] == [True, False]
    assert run.requests[0].latency_s == pytest.approx(0.12)
    assert sorted((row.variant, row.requested_s, row.stopped_s) for row in run.replicas) == [
        ("a", 0.0, 20.0), ("b", 0.0, 20.0), ("c", 0.0, 20.0),
    ]  # fmt: skip


def test_a_single_good_one_needs_no_vote():
    """The most accurate for its latency is the best there is."""
    run = cocktail(world(truth("best", 0.9, execution=0.01), *TRIO), votes([(True, False, False, False)]), seed=1)
    assert [(row.variant, row.correct) for row in run.requests] == [("best", True)]


def test_who_would_be_late_has_no_vote():
    """115 ms: 'c' is left out, and of two that disagree the first of equals decides. 50 ms: all are late."""
    slow = [
        votes([right], budget=budget) for right, budget in (((True, False, False), 0.115), ((True, True, True), 0.05))
    ]
    first, second = (cocktail(world(*TRIO), [*one, *votes([(True,) * 3] * 20, start=20.0)], seed=1) for one in slow)
    assert (first.requests[0].variant, first.requests[0].on_time, first.requests[0].correct) == ("a+b", True, True)
    assert (second.requests[0].variant, second.requests[0].status) == ("a", "late")


def test_before_they_have_started_they_are_late():
    """Ready 1 s after the run began: 0.9 s of waiting and 0.1 s of work do not fit into half a second."""
    run = cocktail(world(*TRIO), votes([(True,) * 3], start=0.1, budget=[0.5]), seed=1)
    row = run.requests[0]
    assert (row.cold, row.on_time, row.latency_s) == (True, False, pytest.approx(1.0))


def test_nobody_is_fast_enough_the_fastest_alone():
    """A deadline that even the fastest misses."""
    run = cocktail(world(*TRIO), votes([(True,) * 3], budget=0.01), seed=1)
    assert [row.variant for row in run.requests] == ["a"]


def test_a_member_that_is_not_needed_goes_and_comes_back():
    """Five voters, four alike for 30 s: more than 5 / 2 + 1, so one goes, the one that was right least often. Then all
    are wrong for 30 s and it comes back.
    """
    five = [truth(name, 0.6, execution=0.1 + i / 100, start=1.0) for i, name in enumerate("abcde")]
    best = truth("z", 0.68, execution=5.0)
    calm, bad = [(True,) * 4 + (False, True)] * 25, [(False,) * 5 + (True,)] * 25
    asked = [*votes(calm, start=2.0), *votes(bad, start=32.0), *votes([(True,) * 6], start=65.0)]
    run = cocktail(world(*five, best), asked, seed=1)
    voted = [row.variant for row in run.requests]
    assert (voted[0], voted[25], voted[-1]) == ("a+b+c+d+e", "a+b+c+d", "a+b+c+d+e")
    assert sorted(row.requested_s for row in run.replicas if row.variant == "e") == [0.0, 60.0]


@pytest.mark.parametrize("more", [{"streams": 5}, {"changes": (Change(at_s=1.0, name="a", truth=None),)}])
def test_no_closed_loop_and_no_drift(more):
    """The model would not notice."""
    with pytest.raises(SetupError, match="callers who wait or drift"):
        cocktail(world(*TRIO, **more), votes([(True,) * 3]), seed=1)


def test_it_is_compared_by_name():
    """As a contender, with rows like everybody's."""
    scenario = load("langid-poisson-0.1", None, ("duration_s=600",))
    run = contender("cocktail").play(scenario, 1)
    assert len(run.requests) == len(scenario.cases(1))
    assert {row.cause for row in run.replicas} == {"keep"}


def test_without_deadlines_and_records_correctness_is_nested():
    """0.72 hard: only 'c' at 0.75 is right, and is outvoted. Idle intervals change nothing."""
    (request,) = requests([100.0])
    case = Case(request=request._replace(deadline_at=None), hardness=0.72, luck=0.0)
    run = cocktail(world(*TRIO), [case], seed=1)
    assert [(row.variant, row.correct, row.on_time) for row in run.requests] == [("a+b+c", False, True)]
    assert run.end_s == pytest.approx(100.12)
