"""What each policy chooses, by example. Laws for all of them are in test_laws.py."""

from collections import Counter

import pytest

from warmfront.domain import OnMiss, Profile, Reason, Spread, Weights
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import SelectorSettings


def choice(lab, selector, now=0.0, **request):
    return selector.decide(lab.request(at=now, **request), now).chosen.variant.name


def langid(lab, **ready):
    """Four variants as different as the demo's: start and accuracy rise together."""
    facts = {"cld2": (0.76, 0.1), "fasttext": (0.83, 0.4), "py3langid": (0.85, 1.3), "lingua": (0.91, 11.0)}
    memory = {"cld2": 60.0, "fasttext": 80.0, "py3langid": 150.0, "lingua": 1090.0}
    return [
        lab.seen(name, lab.profile(accuracy, 0.005, start, memory_mb=memory[name]), ready=ready.get(name, 0))
        for name, (accuracy, start) in facts.items()
    ]


def test_the_registry_names_every_policy():
    """By the names that users write."""
    assert list(POLICIES) == [
        "effective", "random", "round-robin", "fastest", "most-accurate", "cheapest", "static-best",
        "lowest-network-latency", "least-in-flight", "mulambda", "infaas", "infaas-repaired", "model-switching",
        "model-switching-repaired", "slackfit", "ramsis", "ramsis-cold", "infadapter", "exp3", "llm-d", "warm-best",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "chosen"), [(0.35, "cld2"), (1.0, "fasttext"), (4.0, "py3langid"), (60.0, "py3langid")]
)
def test_effective_chooses_by_deadline_among_the_sleeping(lab, budget, chosen):
    """The later the deadline, the better the variant that can still start; lingua's memory is not worth 6 points."""
    assert choice(lab, lab.selector(*langid(lab)), budget=budget) == chosen


def test_effective_starts_the_dear_one_where_memory_is_free(lab):
    """With a price of zero, a deadline of a minute goes to the most accurate."""
    settings = SelectorSettings(platform_start_s=lab.settings.platform_start_s, price_per_gb_s=0.0)
    assert choice(lab, lab.selector(*langid(lab), settings=settings), budget=60.0) == "lingua"


def test_effective_score_is_accuracy_times_probability_less_the_start(lab):
    """Warm: a * P. Cold: less GB times price times (start + hold)."""
    selector = lab.selector(*langid(lab, cld2=1))
    warm, cold = lab.numbers(selector, "cld2", budget=3.0), lab.numbers(selector, "fasttext", budget=3.0)
    assert warm.score == pytest.approx(warm.accuracy * warm.probability)
    assert cold.score == pytest.approx(cold.accuracy * cold.probability - 0.08 * 0.001 * 60.5, abs=1e-3)


def test_without_a_deadline_waiting_has_a_price(lab):
    """0.02 per second: one second for 2 points is too dear; where waiting and memory are free, 11 s are not."""
    assert choice(lab, lab.selector(*langid(lab)), budget=None) == "fasttext"
    free = SelectorSettings(platform_start_s=lab.settings.platform_start_s, price_per_gb_s=0.0, waiting_price_per_s=0.0)
    assert choice(lab, lab.selector(*langid(lab), settings=free), budget=None) == "lingua"


def test_weights_trade_accuracy_for_time(lab):
    """All weight on latency: the likeliest to be in time. All on accuracy: a * P, and waiting costs nothing."""
    free = SelectorSettings(platform_start_s=lab.settings.platform_start_s, price_per_gb_s=0.0)
    selector = lab.selector(*langid(lab), settings=free)
    latency, accuracy = Weights(latency=1.0, accuracy=0.0), Weights(latency=0.0, accuracy=1.0)
    assert choice(lab, selector, budget=2.0, weights=latency) == "cld2"
    assert choice(lab, selector, budget=None, weights=latency) == "cld2"
    assert choice(lab, selector, budget=None, weights=accuracy) == "lingua"


def test_weights_need_not_sum_to_one(lab):
    """Only their proportion counts."""
    selector = lab.selector(*langid(lab))
    small, large = (lab.numbers(selector, "cld2", weights=Weights(latency=w, accuracy=w)).score for w in (0.1, 0.9))
    assert small == pytest.approx(large)


def test_doomed_requests_wake_what_helps_the_next_one(lab):
    """50 ms and all asleep: nobody can. It goes where being awake is worth most, not to the least late."""
    decision = lab.selector(*langid(lab)).decide(lab.request(budget=0.05), 0.0)
    assert (decision.reason, decision.chosen.variant.name) == (Reason.DEGRADED, "fasttext")


def test_doomed_requests_join_the_start_under_way(lab):
    """With one start coming, the next doomed request joins it: a second start would cost and come later."""
    selector = lab.selector(*langid(lab))
    lab.send(selector, lab.request("first", budget=0.05))
    assert choice(lab, selector, now=0.01, budget=0.05) == "fasttext"


def test_doomed_even_once_warm_goes_to_the_fastest_to_answer(lab):
    """A deadline that no warm variant meets: the least late."""
    slow, slower = lab.profile(0.7, 1.0), lab.profile(0.9, 3.0)
    selector = lab.selector(lab.seen("slower", slower, ready=1), lab.seen("slow", slow, ready=1))
    assert choice(lab, selector, budget=0.01) == "slow"


def test_a_small_chance_is_taken(lab):
    """Nobody is likely to make it but one has one chance in five: the best a * P of all."""
    settings = SelectorSettings(price_per_gb_s=0.0)
    selector = lab.selector(
        lab.seen("hopeless", lab.profile(0.99, 5.0), ready=1), lab.seen("unlikely", lab.profile(0.6, 0.13), ready=1),
        settings=settings,
    )  # fmt: skip
    decision = selector.decide(lab.request(budget=0.1), 0.0)
    assert (decision.reason, decision.chosen.variant.name) == (Reason.DEGRADED, "unlikely")
    assert 0.05 < decision.chosen.probability < 0.5


def test_a_better_gamble_beats_a_poor_certainty(lab):
    """0.99 accurate with 4 chances in 10 is worth more than 0.3 accurate and sure."""
    selector = lab.selector(
        lab.seen("sure", lab.profile(0.3, 0.01), ready=1), lab.seen("gamble", lab.profile(0.99, 0.11), ready=1)
    )
    assert choice(lab, selector, budget=0.1) == "gamble"


def test_no_gamble_where_it_would_be_a_refusal(lab):
    """Who asks to be refused rather than be late gets the certain answer, and a refusal only when there is none."""
    sure = lab.seen("sure", lab.profile(0.3, 0.01), ready=1)
    selector = lab.selector(sure, lab.seen("gamble", lab.profile(0.99, 0.11), ready=1))
    assert choice(lab, selector, budget=0.1, on_miss=OnMiss.REJECT) == "sure"
    selector.update(lab.changed(sure, gone=True), 0.0)
    decision = selector.decide(lab.request(budget=0.1, on_miss=OnMiss.REJECT), 0.0)
    assert (decision.reason, decision.chosen) == (Reason.UNMET, None)


def test_ties_fall_by_the_written_rule(lab):
    """Equal scores: the more accurate, then the sooner, then the first by name."""
    same = [lab.seen(name, lab.profile(0.8), ready=1) for name in ("c", "a", "b")]
    assert choice(lab, lab.selector(*same)) == "a"
    unknown = [lab.seen("x", lab.profile(0.0, 0.02), ready=1), lab.seen("y", lab.profile(0.0, 0.01), ready=1)]
    assert choice(lab, lab.selector(*unknown), budget=100.0) == "y"


def test_round_robin_takes_turns(lab):
    """Each in turn, whoever is excluded or gone for a while; only started requests count as a turn."""
    selector = lab.selector(*langid(lab), policy="round-robin")
    chosen = []
    for i in range(8):
        selector.decide(lab.request(f"asked{i}"), 0.0)
        chosen.append(lab.send(selector, lab.request(f"q{i}")).chosen.variant.name)
    assert Counter(chosen) == {"cld2": 2, "fasttext": 2, "py3langid": 2, "lingua": 2}
    assert chosen[:4] == chosen[4:]


def test_random_is_even_and_seeded(lab):
    """4,000 requests over four variants: a quarter each within 3 points (4.4 standard errors: odds of 1 in 25,000)."""
    selector = lab.selector(*langid(lab), policy="random", seed=7)
    counts = Counter(choice(lab, selector, id_=f"q{i}") for i in range(4000))
    assert all(abs(count / 4000 - 0.25) < 0.03 for count in counts.values())
    assert len(counts) == 4
    other = lab.selector(*langid(lab), policy="random", seed=8)
    assert any(choice(lab, selector, id_=f"q{i}") != choice(lab, other, id_=f"q{i}") for i in range(50))


def test_fastest_ignores_starts(lab):
    """The shortest warm execution, asleep or not; learned when the profile is wrong."""
    quick, slow = lab.profile(0.5, 0.001, 30.0), lab.profile(0.9, 0.1)
    selector = lab.selector(lab.seen("quick", quick), lab.seen("slow", slow, ready=1), policy="fastest")
    assert choice(lab, selector) == "quick"
    selector.update(lab.seen("quick", quick, ready=1), 0.0)
    for i in range(30):
        lab.reply(
            selector, lab.send(selector, lab.request(f"q{i}", excluded=frozenset({"slow"}))), 0.5, execution_s=0.5
        )
    assert choice(lab, selector) == "slow"


def test_most_accurate_ignores_time(lab):
    """The highest accuracy for this size, however long it takes to start."""
    short = Profile(accuracy_by_bytes=((10, 0.9), (1000, 0.5)), cold_start_s=Spread(p50=50.0, p95=60.0))
    selector = lab.selector(
        lab.seen("short", short), lab.seen("even", lab.profile(0.7), ready=1), policy="most-accurate"
    )
    assert choice(lab, selector, size=12, budget=0.1) == "short"
    assert choice(lab, selector, size=900, budget=0.1) == "even"


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"effective", "warm-best", "infadapter"}))
def test_baselines_wake_nothing_in_the_background(lab, policy):
    """The plan is the default policy's own idea; but for two, a baseline has none."""
    selector = lab.selector(*langid(lab, cld2=1), policy=policy)
    for i in range(20):
        lab.send(selector, lab.request(f"q{i}", at=0.1 * i))
    assert selector.plan(2.0) == []
