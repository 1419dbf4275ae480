"""Hedging through the five calls: what a decision says of it, who is asked second, what is counted and learned."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmfront.domain import Outcome, Reason, Spread, Status, Warmth, Weights
from warmfront.errors import NotFound
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import SelectorSettings

ON = SelectorSettings(platform_start_s=Spread(p50=0.05, p95=0.1), hedge=True)


@pytest.fixture
def pair(lab):
    """`slow` (0.9) takes 0.5 s, often 1 s; `quick` (0.7) 10 ms."""

    def build(settings=ON, policy="effective", **quick):
        quick_seen = {"ready": 1, **quick}
        return lab.selector(
            lab.seen("slow", lab.profile(accuracy=0.9, execution=0.5), ready=1),
            lab.seen("quick", lab.profile(accuracy=0.7, execution=0.01), **quick_seen),
            settings=settings, policy=policy,
        )  # fmt: skip

    return build


def beside(request, decision, **more):
    """The request for a second variant."""
    excluded = request.excluded | {decision.chosen.variant.name}
    return request._replace(excluded=excluded, hedges=decision.id, **more)


def test_it_is_off_by_default(lab, pair):
    """Nobody says when to ask a second one."""
    assert pair(lab.settings).decide(lab.request(budget=1.0), 0.0).hedge_at is None


def test_a_decision_says_when_to_ask_a_second_one(lab, pair):
    """1 s in all; quick's 95th percentile is some 25 ms, network included: the slow one is given 0.97 s."""
    decision = pair().decide(lab.request(budget=1.0), 0.0)
    quick = lab.numbers(pair(), "quick")
    assert decision.chosen.variant.name == "slow"
    assert decision.hedge_at == pytest.approx(1.0 - quick.p95_s - 0.002, abs=1e-6)
    assert 0.95 < decision.hedge_at < 0.98


@pytest.mark.parametrize(
    "quick",
    [
        {"ready": 0},  # a start would be too late
        {"available": False},
        {"profile": None, "ready": 0, "starting_at": (0.0,)},
    ],
)
def test_only_who_is_warm_can_be_second(lab, pair, quick):
    """Asleep, starting or unavailable: there is nobody to ask."""
    quick = {key: value for key, value in quick.items() if key != "profile"}
    assert pair(**quick).decide(lab.request(budget=1.0), 0.0).hedge_at is None


def test_no_deadline_is_no_hurry(lab, pair):
    """The answer is waited for; and who asks for a second one all the same is refused."""
    selector = pair()
    decision = lab.send(selector, lab.request(budget=1.0))
    assert selector.decide(lab.request(budget=None), 0.0).hedge_at is None
    assert selector.decide(beside(lab.request(budget=None), decision), 0.9).chosen is None


def test_who_is_below_the_floor_is_not_asked(lab, pair):
    """The request asks for 0.8: quick's answers would not do."""
    assert pair().decide(lab.request(budget=1.0, min_accuracy=0.8), 0.0).hedge_at is None


def test_weights_say_what_an_answer_in_time_is_worth(lab, pair):
    """With time all that counts quick is chosen; with little of accuracy counting, slow is not worth a second one's
    being quicker, and still a late answer is worth nothing: there is a moment whoever is chosen.
    """
    selector = pair()
    right = lab.request(budget=1.0, weights=Weights(latency=0.1, accuracy=0.9))
    assert selector.decide(right, 0.0).hedge_at is not None


def test_the_second_is_chosen_when_it_is_time(lab, pair):
    """Beside the first, which is excluded: another decision of the same request, with an id of its own."""
    selector = pair()
    request = lab.request(budget=1.0)
    decision = lab.send(selector, request)
    second = selector.decide(beside(request, decision), decision.hedge_at)
    assert (second.id, second.reason, second.chosen.variant.name) == ("q-2", Reason.CHOSEN, "quick")
    assert second.hedge_at is None
    assert {c.variant.name: c.verdict[:8] for c in second.alternatives} == {"slow": "excluded", "quick": ""}


def test_both_are_in_flight_until_their_outcomes(lab, pair):
    """Counted each at its variant; the first's outcome leaves the second's count alone."""
    selector = pair()
    request = lab.request(budget=1.0)
    decision = lab.send(selector, request)
    second = lab.send(selector, beside(request, decision), decision.hedge_at)
    assert [lab.numbers(selector, name, 0.98).in_flight for name in ("slow", "quick")] == [1, 1]
    lab.reply(selector, second, 0.01, now=0.99)
    assert [lab.numbers(selector, name, 0.99).in_flight for name in ("slow", "quick")] == [1, 0]
    lab.reply(selector, decision, 0.99, now=0.99, status=Status.LATE, censored=True)
    assert [lab.numbers(selector, name, 0.99).in_flight for name in ("slow", "quick")] == [0, 0]
    lab.feedback(selector, second, 1.0, now=2.0)
    lab.feedback(selector, decision, 1.0, now=2.0)


def test_beside_one_that_has_ended_nobody_is_asked(lab, pair):
    """Answered, never started, or one that was not to be hedged."""
    selector = pair()
    request = lab.request(budget=1.0)
    decision = selector.decide(request, 0.0)
    assert selector.decide(beside(request, decision), 0.97).reason is Reason.NO_VARIANT
    selector.started(decision, 0.0)
    lab.reply(selector, decision, 0.5)
    assert selector.decide(beside(request, decision), 0.97).chosen is None
    other = lab.request("other", budget=None)
    unhedged = lab.send(selector, other)
    assert selector.decide(beside(lab.request("other", budget=1.0), unhedged), 0.97).chosen is None


def test_a_full_second_is_left_alone(lab, pair):
    """All four places of quick are taken meanwhile: one more would keep others waiting."""
    selector = pair()
    request = lab.request(budget=1.0)
    decision = lab.send(selector, request)
    for i in range(4):
        lab.send(selector, lab.request(f"x{i}", budget=1.0, at=0.96, excluded=frozenset({"slow"})), 0.96)
    assert selector.decide(beside(request, decision), decision.hedge_at).chosen is None


def test_cut_off_is_a_lower_bound_and_no_failure(lab, pair):
    """Ten of slow cut off at 1 s each make it slower in the estimates; nobody rests."""
    selector = pair()
    before = lab.numbers(selector, "slow").p95_s
    for i in range(10):
        request = lab.request(f"c{i}", budget=1.0, at=2.0 * i)
        decision = lab.send(selector, request)
        cut = Outcome(decision.id, Status.LATE, 1.0, 1.0, censored=True)
        selector.observe(cut, request.arrival_at + 1.0)
    slow = lab.numbers(selector, "slow", 20.0)
    assert slow.p95_s > 1.3 * before
    assert slow.verdict == ""


def test_one_request_in_twenty_at_most(lab, pair):
    """One is there to begin with; each request adds its share of the next: 1 + 5 % of 100 make six."""
    selector = pair()
    asked = 0
    for i in range(101):
        request = lab.request(f"r{i}", budget=1.0, at=2.0 * i)
        decision = lab.send(selector, request)
        at = request.arrival_at + 0.97
        second = selector.decide(beside(request, decision), at)
        if second.chosen is not None:
            selector.started(second, at)
            lab.reply(selector, second, 0.01, now=at + 0.01)
            asked += 1
        lab.reply(selector, decision, 0.5, now=at + 0.01)
    assert asked == 6


def test_no_more_are_saved_up_than_ten(lab, pair):
    """After a thousand quiet requests ten may be asked twice in a row, not fifty."""
    selector = pair()
    for i in range(1000):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}", budget=1.0, at=i)), 0.5)
    asked = 0
    for i in range(20):
        request = lab.request(f"r{i}", budget=1.0, at=2000.0 + 2 * i)
        decision = lab.send(selector, request)
        second = selector.decide(beside(request, decision), request.arrival_at + 0.97)
        if second.chosen is not None:
            selector.started(second, request.arrival_at + 0.97)
            lab.reply(selector, second, 0.01, now=request.arrival_at + 0.98)
            asked += 1
        lab.reply(selector, decision, 0.5, now=request.arrival_at + 0.98)
    assert 10 <= asked <= 11  # and what these twenty add


def risky(lab, requests):
    """After so many requests: `sure` (0.8) takes 10 ms; `better` (0.95) takes 1 s, often 2 s."""
    selector = lab.selector(
        lab.seen("better", lab.profile(accuracy=0.95, execution=1.0), ready=1),
        lab.seen("sure", lab.profile(accuracy=0.8, execution=0.01), ready=1), settings=ON,
    )  # fmt: skip
    for i in range(requests):
        asked = lab.request(f"x{i}", at=float(i), excluded=frozenset({"better"}))
        lab.reply(selector, lab.send(selector, asked), 0.01)
    return selector, lab.request(budget=1.5, at=1000.0)


def test_what_can_be_saved_is_worth_a_try(lab):
    """With 1.5 s better is in time with 83 %: 0.79, less than sure's 0.8. But most of what it misses a second one would
    save, so it is tried; not before enough second requests are saved up.
    """
    for requests, chosen in ((0, "sure"), (200, "better")):
        selector, request = risky(lab, requests)
        decision = selector.decide(request, 1000.0)
        better = next(c for c in decision.alternatives if c.variant.name == "better")
        assert better.accuracy * better.probability == pytest.approx(0.79, abs=0.01)
        assert decision.chosen.variant.name == chosen
    assert better.score == pytest.approx(0.79 + 0.17 * 0.95 * 0.8, abs=0.03)


def test_other_policies_choose_as_ever(lab):
    """Their scores are no worths."""
    selector, request = risky(lab, 200)
    fastest = lab.selector(*selector.catalogue.values(), policy="most-accurate", settings=ON)
    decision = fastest.decide(request, 1000.0)
    assert [c.score for c in decision.alternatives] == [0.95, 0.8]
    assert decision.hedge_at is not None


def test_a_second_request_is_no_arrival_and_no_turn(lab, pair):
    """Peers hear of one request, and round-robin goes on with whose turn it is."""
    selector = pair(policy="round-robin")
    request = lab.request(budget=1.0)
    decision = lab.send(selector, request)
    other = {"slow", "quick"} - {decision.chosen.variant.name}
    second = selector.decide(beside(request, decision), 0.9)
    if second.chosen is not None:
        selector.started(second, 0.9)
    assert len(selector.report("me", 1.0).arrivals) == 1
    assert selector.decide(lab.request("next", budget=1.0, at=2.0), 2.0).chosen.variant.name in other


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_policies_that_learn_hear_of_their_own_choices_only(lab, pair, policy):
    """Under any policy a second request may be sent, answered and judged; the variant need not have been its choice."""
    selector = pair(policy=policy)
    for i in range(5):
        request = lab.request(f"r{i}", budget=1.0, at=2.0 * i)
        decision = lab.send(selector, request)
        at = request.arrival_at + 0.9
        if decision.chosen.variant.name == "slow":
            second = selector.decide(beside(request, decision), at)
            if second.chosen is not None:
                selector.started(second, at)
                lab.reply(selector, second, 0.01, now=at + 0.01)
                lab.feedback(selector, second, 1.0, now=at + 0.02)
        lab.reply(selector, decision, 0.9, now=at + 0.01, status=Status.LATE, censored=True)
    with pytest.raises(NotFound):
        lab.reply(selector, decision, 0.9, now=20.0)


accuracies = st.floats(0.1, 1.0)


@settings(max_examples=60)
@given(
    facts=st.lists(st.tuples(accuracies, st.floats(0.001, 3.0), st.booleans()), min_size=1, max_size=5),
    budget=st.none() | st.floats(0.01, 10.0),
    policy=st.sampled_from(sorted(POLICIES)),
)
def test_switched_on_it_changes_no_choice(lab, facts, budget, policy):
    """The same decision but for the moment; that lies between now and the deadline, with somebody warm to be asked."""
    seen = [
        lab.seen(f"v{i}", lab.profile(accuracy=accuracy, execution=took), ready=int(ready))
        for i, (accuracy, took, ready) in enumerate(facts)
    ]
    on, off = (lab.selector(*seen, policy=policy, settings=told) for told in (ON, lab.settings))
    request = lab.request(budget=budget)
    hedged, plain = on.decide(request, 0.0), off.decide(request, 0.0)
    assert hedged._replace(hedge_at=None) == plain
    if hedged.hedge_at is not None:
        assert 0 < hedged.hedge_at < budget
        others = [c for c in hedged.alternatives if c is not hedged.chosen]
        assert any(c.warmth is Warmth.WARM and not c.verdict for c in others)
