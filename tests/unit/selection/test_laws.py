"""Laws that hold for every registered policy, and more for the default one, over generated catalogues and requests."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmfront.domain import Observation, OnMiss, Profile, Reason, Request, Spread, Variant, Weights
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector, SelectorSettings

PRICED = SelectorSettings()
FREE = SelectorSettings(price_per_gb_s=0.0)
seconds = st.floats(0.001, 20.0)
shares = st.floats(0.01, 1.0)  # from 0.01: of two variants never right, which is sooner no longer matters to the score


@st.composite
def spreads(draw):
    p50 = draw(seconds)
    return Spread(p50=p50, p95=p50 * draw(st.floats(1.0, 5.0)))


profiles = st.builds(
    Profile,
    accuracy=st.none() | shares,
    latency_s=st.none() | spreads(),
    latency_per_kib_s=st.floats(0.0, 0.1),
    cold_start_s=st.none() | spreads(),
    memory_mb=st.none() | st.floats(1.0, 5000.0),
)


@st.composite
def catalogues(draw):
    observations = []
    for i in range(draw(st.integers(1, 6))):
        variant = Variant(
            name=f"v{i}", task="t", revision="r", url="", profile=draw(profiles), concurrency=draw(st.integers(0, 4))
        )
        standing = draw(st.sampled_from(["warm", "starting", "cold"]))
        observations.append(
            Observation(
                variant=variant,
                ready=draw(st.integers(1, 3)) if standing == "warm" else 0,
                starting_at=(-draw(seconds),) if standing == "starting" else (),
                available=draw(st.sampled_from([True, True, True, False])),
                reason="for the test",
            )
        )
    return observations


requests = st.builds(
    Request,
    id=st.text("abc", min_size=1, max_size=5),
    task=st.just("t"),
    size_bytes=st.integers(0, 1_000_000),
    arrival_at=st.just(0.0),
    deadline_at=st.none() | st.floats(-1.0, 30.0),
    min_accuracy=st.none() | shares,
    on_miss=st.sampled_from(OnMiss),
    weights=st.none() | st.builds(Weights, latency=st.floats(0.1, 1.0), accuracy=st.floats(0.1, 1.0)),
    excluded=st.frozensets(st.sampled_from(["v0", "v1"])),
    hedges=st.just(""),
)


def selector(catalogue, policy="effective", seed=1, prices=PRICED):
    built = Selector(policy=POLICIES[policy](rng=random.Random(seed)), settings=prices)
    for observation in catalogue:
        built.update(observation, 0.0)
    return built


every_policy = pytest.mark.parametrize("policy", sorted(POLICIES))


@every_policy
@settings(max_examples=50)
@given(catalogue=catalogues(), request_=requests)
def test_chooses_only_what_may_be_chosen_or_refuses_with_a_reason(policy, catalogue, request_):
    """CHOSEN is eligible and can; DEGRADED is available and not excluded; a refusal has no choice and says why."""
    decision = selector(catalogue, policy).decide(request_, 0.0)
    chosen = decision.chosen
    assert [c.variant for c in decision.alternatives] == [o.variant for o in catalogue]
    if chosen is None:
        assert decision.reason in (Reason.UNMET, Reason.NO_VARIANT)
        assert (decision.reason is Reason.NO_VARIANT) or request_.on_miss is OnMiss.REJECT
        return
    assert chosen in decision.alternatives
    assert chosen.variant.name not in request_.excluded
    assert next(o for o in catalogue if o.variant is chosen.variant).available
    if decision.reason is Reason.CHOSEN:
        assert chosen.verdict == ""
        assert chosen.probability >= 0.5
    else:
        assert decision.reason is Reason.DEGRADED
        assert request_.on_miss is OnMiss.DEGRADE
    if any(c.verdict == "" for c in decision.alternatives):
        assert chosen.verdict == ""


@every_policy
@settings(max_examples=50)
@given(catalogue=catalogues(), request_=requests, seed=st.integers(0, 9))
def test_same_seed_same_answer(policy, catalogue, request_, seed):
    """Two selectors built alike decide alike, and one asked twice answers twice the same."""
    one, other = (selector(catalogue, policy, seed) for _ in range(2))
    first = one.decide(request_, 0.0)
    assert first == other.decide(request_, 0.0) == one.decide(request_, 0.0)


@every_policy
@settings(max_examples=50)
@given(catalogue=catalogues(), request_=requests)
def test_inputs_are_unchanged(policy, catalogue, request_):
    """Request and observations are what they were, and the catalogue shows what was put in."""
    before = repr((catalogue, request_))
    asked = selector(catalogue, policy)
    asked.decide(request_, 0.0)
    assert repr((catalogue, request_)) == before
    assert list(asked.catalogue.values()) == catalogue


@every_policy
@settings(max_examples=50)
@given(catalogue=catalogues(), request_=requests)
def test_numbers_are_what_they_say(policy, catalogue, request_):
    """Accuracy and probability are shares, quantiles rise, waits are not negative, scores are at most 1."""
    for c in selector(catalogue, policy).decide(request_, 0.0).alternatives:
        assert 0 <= c.accuracy <= 1
        assert 0 <= c.probability <= 1
        assert 0 < c.predicted_s <= c.p95_s
        assert c.wait_s >= 0
        assert c.score <= 1


@given(catalogue=catalogues(), request_=requests, shuffle=st.randoms(use_true_random=False))
def test_effective_does_not_care_for_the_order_of_candidates(catalogue, request_, shuffle):
    """Whoever was seen first: the same choice."""
    mixed = list(catalogue)
    shuffle.shuffle(mixed)
    one, other = (selector(seen).decide(request_, 0.0) for seen in (catalogue, mixed))
    assert (one.reason, one.chosen) == (other.reason, other.chosen)


@settings(max_examples=300)
@given(catalogue=catalogues(), request_=requests)
def test_effective_never_chooses_a_dominated_candidate(catalogue, request_):
    """Nobody eligible is at least as accurate, as likely and as soon, and better in one, unless all are doomed.

    Starts are free here: a cheaper one may well be dominated by a dearer one. What the doomed do is a rule of its own.
    """
    decision = selector(catalogue, prices=FREE).decide(request_, 0.0)
    chosen = decision.chosen
    if chosen is None or chosen.verdict or chosen.probability < FREE.doomed_probability:
        return
    for other in decision.alternatives:
        if not other.verdict:
            theirs = (other.accuracy, other.probability, -other.predicted_s)
            mine = (chosen.accuracy, chosen.probability, -chosen.predicted_s)
            assert not (all(t >= m for t, m in zip(theirs, mine, strict=True)) and theirs != mine)


@settings(max_examples=300)
@given(catalogue=catalogues(), request_=requests)
def test_effective_never_chooses_a_dominated_candidate_at_a_price(catalogue, request_):
    """With starts priced: nobody eligible is as accurate, as likely and as cheap, and better in one; doomed apart.

    The cost is what the score lacks to a * P, told apart beyond rounding.
    """
    request_ = request_._replace(weights=None, deadline_at=request_.deadline_at or 1.0)
    decision = selector(catalogue).decide(request_, 0.0)
    chosen = decision.chosen
    if chosen is None or chosen.verdict or chosen.probability < PRICED.doomed_probability:
        return

    def numbers(c):
        return c.accuracy, c.probability, round(c.score - c.accuracy * c.probability, 9)

    for other in decision.alternatives:
        if not other.verdict:
            better = [t >= m for t, m in zip(numbers(other), numbers(chosen), strict=True)]
            assert not all(better) or numbers(other) == numbers(chosen)


@settings(max_examples=300)
@given(catalogue=catalogues(), request_=requests)
def test_effective_refuses_nobody_while_someone_can(catalogue, request_):
    """Who would rather be refused than late is answered by one who can, if any eligible candidate can."""
    decision = selector(catalogue).decide(request_._replace(on_miss=OnMiss.REJECT), 0.0)
    if any(not c.verdict and c.probability >= 0.5 for c in decision.alternatives):
        assert decision.reason is Reason.CHOSEN
        assert decision.chosen.probability >= 0.5


@given(catalogue=catalogues(), request_=requests, more=st.floats(0.0, 20.0))
def test_more_time_is_never_less_likely(catalogue, request_, more):
    """P rises with the budget, for every candidate."""
    asked, later = selector(catalogue), request_._replace(deadline_at=(request_.deadline_at or 1.0) + more)
    request_ = request_._replace(deadline_at=request_.deadline_at or 1.0)
    for before, after in zip(
        asked.decide(request_, 0.0).alternatives, asked.decide(later, 0.0).alternatives, strict=True
    ):
        assert after.probability >= before.probability - 1e-12
