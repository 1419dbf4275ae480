"""Laws that hold for every registered policy whatever it has been through: requests, answers, failures, verdicts."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmfront.domain import Feedback, Keep, Observation, Outcome, Profile, Request, Spread, Status, Variant
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector

every_policy = pytest.mark.parametrize("policy", sorted(POLICIES))
shares = st.floats(0.01, 1.0)
seconds = st.floats(0.001, 10.0)


@st.composite
def catalogues(draw):
    """Two to five variants of one task, at least one of them available."""
    seen = []
    for i in range(draw(st.integers(2, 5))):
        took, start = draw(seconds), draw(seconds)
        profile = Profile(
            accuracy=draw(shares), latency_s=Spread(p50=took, p95=2 * took),
            cold_start_s=Spread(p50=start, p95=2 * start), memory_mb=draw(st.none() | st.floats(10.0, 2000.0)),
        )  # fmt: skip
        variant = Variant(
            name=f"v{i}", task="t", revision="r", url="", profile=profile, concurrency=draw(st.integers(0, 3)),
            max_replicas=draw(st.integers(0, 3)),
        )  # fmt: skip
        available = i == 0 or draw(st.booleans())
        seen.append(Observation(variant=variant, ready=draw(st.integers(0, 2)) * available, available=available))
    return seen


events = st.lists(
    st.tuples(
        st.floats(0.0, 40.0),  # seconds since the one before
        st.none() | st.floats(0.0, 20.0),  # budget
        st.none() | shares,  # floor
        st.sampled_from(["answer", "late", "fail", "cut off", "never"]),
        st.none() | shares,  # verdict
    ),
    max_size=8,
)


def request_of(number, now, budget, floor):
    deadline = None if budget is None else now + budget
    return Request(id=f"q{number}", task="t", size_bytes=50, arrival_at=now, deadline_at=deadline, min_accuracy=floor)


def lived(policy, catalogue, history, seed=1):
    """A selector that has been through all that, the last instant, all its decisions and all its actions."""
    selector = Selector(policy=POLICIES[policy](rng=random.Random(seed)))
    for observation in catalogue:
        selector.update(observation, 0.0)
    now, decisions, actions = 0.0, [], []
    for number, (gap, budget, floor, end, verdict) in enumerate(history):
        now += gap
        decision = selector.decide(request_of(number, now, budget, floor), now)
        decisions.append(decision)
        if decision.chosen is None:
            continue
        selector.started(decision, now)
        took = decision.chosen.predicted_s
        statuses = {"answer": Status.OK, "late": Status.LATE, "fail": Status.FAILED, "cut off": Status.LATE}
        if end in statuses:
            outcome = Outcome(decision.id, statuses[end], took, took, took / 2, censored=end == "cut off")
            selector.observe(outcome, now)
        if verdict is not None:
            selector.observe(Feedback(decision_id=decision.id, correct=verdict), now)
        actions += selector.plan(now)
    return selector, now, decisions, actions


@every_policy
@settings(max_examples=15, deadline=None)
@given(catalogue=catalogues(), history=events, budget=st.none() | st.floats(0.0, 20.0), floor=st.none() | shares)
def test_a_choice_is_one_of_the_eligible_and_asking_twice_changes_nothing(policy, catalogue, history, budget, floor):
    """The floor is met whenever some usable variant meets it, whatever was learned; the second answer is the first."""
    selector, now, _, _ = lived(policy, catalogue, history)
    request = request_of("last", now, budget, floor)
    first = selector.decide(request, now)
    assert selector.decide(request, now) == first
    assert first.chosen is None or first.chosen in first.alternatives
    eligible = [c for c in first.alternatives if not c.verdict]
    if eligible:
        assert first.chosen in eligible
        assert first.chosen.accuracy >= (floor or 0.0)


@every_policy
@settings(max_examples=15, deadline=None)
@given(catalogue=catalogues(), history=events)
def test_same_seed_same_life(policy, catalogue, history):
    """Every decision, score and action comes out the same."""
    assert lived(policy, catalogue, history)[1:] == lived(policy, catalogue, history)[1:]


@every_policy
@settings(max_examples=15, deadline=None)
@given(catalogue=catalogues(), history=events, words=st.lists(st.integers(0, 99), min_size=1, max_size=5))
def test_what_was_asked_and_not_sent_leaves_no_trace(policy, catalogue, history, words):
    """Only what is sent counts: decisions in between change neither the next decision nor the next plan."""
    one, now, _, _ = lived(policy, catalogue, history)
    other, _, _, _ = lived(policy, catalogue, history)
    for word in words:
        other.decide(request_of(f"idle{word}", now, word / 10, None), now)
    last = request_of("last", now, 5.0, None)
    assert one.decide(last, now) == other.decide(last, now)
    assert one.plan(now + 60.0) == other.plan(now + 60.0)


@every_policy
@settings(max_examples=15, deadline=None)
@given(catalogue=catalogues(), history=events)
def test_plans_name_what_there_is_and_stay_within_its_bounds(policy, catalogue, history):
    """Only usable variants of the catalogue, and never more replicas than a variant may have."""
    usable = {o.variant.name: o.variant.max_replicas or 10**6 for o in catalogue if o.available}
    _, _, _, actions = lived(policy, catalogue, history)
    for action in actions:
        assert action.variant in usable
        assert not isinstance(action, Keep) or action.replicas <= usable[action.variant]
