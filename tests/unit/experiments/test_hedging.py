"""A second variant asked beside the first, simulated: by hand, and laws over worlds in which much goes wrong."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.experiments.worlds import LAPTOP, cases, poisson, requests, truth, world

from warmfront.domain import Profile, Spread
from warmfront.errors import SetupError
from warmfront.experiments.contenders import contender
from warmfront.experiments.scenarios import load
from warmfront.experiments.simulation.simulator import simulate
from warmfront.experiments.simulation.world import Case, Change
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector

ON = replace(LAPTOP, hedge=True)
ALWAYS = {"min_scale": "1"}


def stalls(took=5.0, **more):
    """Declared as fast (0.1 s) and right (0.9), it takes 5 s each time; always one replica."""
    told = Profile(accuracy=0.9, memory_mb=100.0, latency_s=Spread(p50=0.1, p95=0.2))
    one = truth("slow", 0.9, took, spread=1.0, annotations=ALWAYS, **more)
    return replace(one, variant=replace(one.variant, profile=told))


def quick(**more):
    """Right with 0.7 in 10 ms; always one replica."""
    return truth("quick", 0.7, 0.01, spread=1.0, annotations=ALWAYS, **more)


def play(place, asked, policy="effective", told=ON, **options):
    played = asked if asked and isinstance(asked[0], Case) else cases(asked)
    made = []

    def build():
        made.append(Selector(policy=POLICIES[policy](rng=random.Random(1)), settings=told))
        return made[-1]

    run = simulate(place, played, build, seed=1, explain=True, **options)
    return run, made[0]


def test_the_second_saves_the_deadline():
    """Asked at 10 s with 1 s to go: the first has not answered at the last safe moment, the second takes 10 ms."""
    run, selector = play(world(stalls(), quick()), requests([10.0], budget=1.0))
    (row,) = run.requests
    first, second = run.decisions
    assert (first.chosen, second.chosen, second.hedges) == ("slow", "quick", first.decision_id)
    assert second.at_s == first.hedge_at_s
    assert (row.variant, row.status, row.hedged) == ("quick", "ok", True)
    assert row.latency_s == pytest.approx(first.hedge_at_s - 10.0 + 0.01)
    assert 0.9 < row.latency_s < 1.0
    assert not selector.report("me", 20.0).in_flight


def test_without_it_the_request_is_late():
    """The same, switched off: 5 s."""
    run, _ = play(world(stalls(), quick()), requests([10.0], budget=1.0), told=LAPTOP)
    assert [(row.variant, row.status, row.hedged) for row in run.requests] == [("slow", "late", False)]
    assert [row.hedge_at_s for row in run.decisions] == [None]


def test_a_first_that_answers_in_time_is_left_alone():
    """0.1 s as declared: nobody else is asked."""
    run, _ = play(world(stalls(0.1), quick()), requests([10.0], budget=1.0))
    assert [(row.variant, row.hedged) for row in run.requests] == [("slow", False)]
    assert len(run.decisions) == 1


def test_the_first_may_still_win():
    """It takes 0.98 s, the second was asked at about 0.974 s and takes 10 ms: the answer is the first's."""
    run, selector = play(world(stalls(0.98), quick()), requests([10.0], budget=1.0))
    (row,) = run.requests
    assert 10.97 < run.decisions[1].at_s < 10.98
    assert (row.variant, row.status, row.hedged) == ("slow", "ok", True)
    assert row.latency_s == pytest.approx(0.98)
    assert not selector.report("me", 20.0).in_flight


def test_a_second_that_fails_is_not_missed():
    """It fails, the first answers late: an answer all the same."""
    run, _ = play(world(stalls(), quick(failure_rate=1.0)), requests([10.0], budget=1.0))
    assert [(row.variant, row.status, row.hedged) for row in run.requests] == [("slow", "late", True)]


def test_a_first_that_fails_is_not_missed_either():
    """It fails at 0.98 s, while the second is at work: nobody is asked again, the second answers."""
    run, _ = play(world(stalls(0.98, failure_rate=1.0), quick()), requests([10.0], budget=1.0))
    assert [(row.variant, row.status, row.hedged) for row in run.requests] == [("quick", "ok", True)]
    assert [decision.chosen for decision in run.decisions] == ["slow", "quick"]


def test_both_may_fail():
    """Then there is no answer, and nobody is asked a third time."""
    third = truth("third", 0.6, 0.01, annotations=ALWAYS)
    place = world(stalls(0.98, failure_rate=1.0), quick(failure_rate=1.0), third)
    run, _ = play(place, requests([10.0], budget=1.0))
    assert [(row.status, row.hedged) for row in run.requests] == [("failed", True)]
    assert len(run.decisions) == 2


def test_a_request_that_is_held_is_withdrawn():
    """The first waits for a start of 30 s that was declared as 1 s; it leaves the queue, the replica still comes."""
    told = Profile(accuracy=0.95, memory_mb=1.0, latency_s=Spread(p50=0.1, p95=0.2), cold_start_s=Spread(p50=1, p95=1))
    asleep = truth("asleep", 0.95, 0.1, 30.0, spread=1.0)
    asleep = replace(asleep, variant=replace(asleep.variant, profile=told))
    run, _ = play(world(asleep, quick()), requests([10.0], budget=5.0), until_s=100.0)
    (row,) = run.requests
    assert (row.variant, row.status, row.hedged, row.cold) == ("quick", "ok", True, False)
    replica = next(row for row in run.replicas if row.variant == "asleep")
    assert replica.ready_s == pytest.approx(40.0)


def test_the_contender():
    """`@hedge` switches it on, for the policy and nothing else; the voters decide nothing that could be explained."""
    scenario = load("heavy-tail", overrides=["duration_s=100"])
    on, off = contender("effective@hedge"), contender("effective")
    assert (on.settings(scenario).hedge, off.settings(scenario).hedge) == (True, False)
    assert replace(on.settings(scenario), hedge=False) == off.settings(scenario)
    assert any(row.hedged for row in on.play(scenario, 1).requests)
    assert not any(row.hedged for row in off.play(scenario, 1).requests)
    with pytest.raises(SetupError, match="wanted a policy that decides"):
        contender("cocktail").play(scenario, 1, explain=True)


def test_a_scenario_may_switch_it_on():
    """`selector.hedge` in the file; the clairvoyant needs none."""
    scenario = load("heavy-tail", overrides=["duration_s=100", "selector.hedge=true"])
    assert any(row.hedged for row in contender("effective").play(scenario, 1).requests)
    assert not any(row.hedged for row in contender("clairvoyant").play(scenario, 1).requests)


facts = st.lists(
    st.tuples(
        st.floats(0.3, 1.0),  # accuracy
        st.floats(0.005, 2.0),  # execution
        st.floats(1.01, 20.0),  # p95 over p50
        st.floats(0.1, 10.0),  # what the profile makes of it
        st.sampled_from([0.0, 0.0, 0.2, 1.0]),  # failures
        st.booleans(),  # always there
        st.sampled_from([1, 4]),  # places
    ),
    min_size=2,
    max_size=4,
)


@settings(max_examples=25, deadline=None)
@given(
    facts=facts, rate=st.floats(0.05, 5.0), budget=st.floats(0.05, 5.0), seed=st.integers(0, 9),
    policy=st.sampled_from(["effective", "round-robin", "exp3"]), gone=st.booleans(),
)  # fmt: skip
def test_nothing_is_lost_nobody_is_asked_thrice_and_few_are_asked_twice(facts, rate, budget, seed, policy, gone):
    """One row per request; at most one try beside or after the first; second ones are 1 + 5 % of all others at most;
    in the end nothing is in flight.
    """
    truths = [
        truth(
            f"v{i}", accuracy, took, spread=spread, wrong=wrong, failure_rate=failing, concurrency=places,
            annotations=ALWAYS if always else {},
        )
        for i, (accuracy, took, spread, wrong, failing, always, places) in enumerate(facts)
    ]  # fmt: skip
    changes = (Change(at_s=30.0, name="v0", truth=None),) if gone else ()
    asked = requests(poisson(random.Random(seed), rate, 60.0), budget)
    run, selector = play(world(*truths, changes=changes), asked, policy)
    assert Counter(row.request_id for row in run.requests) == Counter(request.id for request in asked)
    sent = [row for row in run.decisions if row.chosen is not None]
    assert max(Counter(row.request_id for row in sent).values(), default=0) <= 2
    seconds = [row for row in sent if row.hedges is not None]
    assert len(seconds) <= 1 + 0.05 * (len(sent) - len(seconds))
    assert len(seconds) == sum(row.hedged for row in run.requests)
    assert not selector.report("me", run.end_s).in_flight
