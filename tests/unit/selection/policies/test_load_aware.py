"""Model-Switching, SlackFit, RAMSIS and llm-d's tiers, by example."""

from dataclasses import replace

import pytest

from warmfront.selection.policies.ramsis import QUEUE, SLACKS, Process, poisson, slack_level


def choice(lab, selector, now=0.0, **request):
    return selector.decide(lab.request(at=now, **request), now).chosen.variant.name


def pair(lab, policy, concurrency=1, max_replicas=1, **ready):
    """0.7 in 10 ms and 0.9 in 0.5 s, so many at once."""
    seen = []
    for name, accuracy, took in (("quick", 0.7, 0.01), ("good", 0.9, 0.5)):
        one = lab.seen(name, lab.profile(accuracy, took), concurrency=concurrency, ready=ready.get(name, 1))
        seen.append(lab.changed(one, variant=replace(one.variant, max_replicas=max_replicas)))
    return lab.selector(*seen, policy=policy)


def flood(lab, selector, rate, seconds, start=0.0, **request):
    """Requests that are answered at once; returns the time after them."""
    for i in range(int(rate * seconds)):
        at = start + i / rate
        decision = lab.send(selector, lab.request(f"f{start}.{i}", at=at, **request))
        lab.reply(selector, decision, decision.chosen.predicted_s, execution_s=decision.chosen.predicted_s)
    return start + seconds


# Model-Switching


def test_switches_to_the_quick_one_under_load_and_back_after_three_quiet_windows(lab):
    """8 a second are too many for one place of 0.5 s. Mean and level: 4, 4, 4 and, at the third quieter window, 0.5."""
    selector = pair(lab, "model-switching-repaired")
    assert choice(lab, selector, budget=5.0) == "good"
    now = flood(lab, selector, 8.0, 5.0, budget=5.0)
    assert [choice(lab, selector, now=now + s, budget=5.0) for s in (0.0, 5.0, 14.9, 15.0)] == [
        "quick", "quick", "quick", "good",
    ]  # fmt: skip


def test_the_score_is_accuracy_times_attainment(lab):
    """One place of 0.5 s, 0.5 a second: a load of a quarter, so P(W <= 4.5 s) = 1 - 0.25 exp(-1.5 * 4.5)."""
    selector = pair(lab, "model-switching-repaired")
    flood(lab, selector, 1.0, 5.0, budget=5.0)  # 1 a second, the mean with the empty past 0.5
    decision = selector.decide(lab.request("x", at=5.0, budget=5.0), 5.0)
    good = decision.alternatives[1]
    assert good.score == pytest.approx(0.9 * (1 - 0.25 * 2.718281828 ** (-1.5 * 4.5)), abs=1e-3)


def test_as_published_all_requests_get_the_variant_of_the_service(lab):
    """0.1 s is too short for 'good', but most of the service's deadlines are not; when they are, all get 'quick'."""
    selector, repaired = pair(lab, "model-switching"), pair(lab, "model-switching-repaired")
    now = 0.0
    for each in (selector, repaired):
        now = flood(lab, each, 0.2, 100.0, budget=5.0)
    assert [choice(lab, each, now=now, budget=0.1) for each in (selector, repaired)] == ["good", "quick"]
    later = flood(lab, selector, 1.0, 70.0, start=now, budget=0.1)
    assert choice(lab, selector, now=later, budget=5.0) == "quick"


def test_model_switching_changes_the_variant_with_the_load(lab):
    """The same 8 a second as above, for which one place of 0.5 s is too few."""
    selector = pair(lab, "model-switching")
    now = flood(lab, selector, 8.0, 10.0, budget=5.0)
    assert choice(lab, selector, now=now, budget=5.0) == "quick"
    now = flood(lab, selector, 0.2, 60.0, start=now, budget=5.0)
    assert choice(lab, selector, now=now, budget=5.0) == "good"


def test_model_switching_and_slackfit_take_all_as_loaded(lab):
    """A sleeping variant that would be too late is chosen all the same, and the warm one is left alone."""
    for policy in ("model-switching", "slackfit", "ramsis"):
        assert choice(lab, pair(lab, policy, quick=1, good=0), budget=1.2) == "good"
    assert choice(lab, pair(lab, "ramsis-cold", quick=1, good=0), budget=1.2) == "quick"


# SlackFit


def test_the_largest_bucket_that_fits(lab):
    """Latencies at the 95th percentile of about 0.03, 0.2, 0.4 and 1 s; 'vain' is slower and no better than 'c'."""
    facts = {"a": (0.6, 0.01), "b": (0.7, 0.1), "c": (0.8, 0.2), "vain": (0.75, 0.3), "d": (0.9, 0.5)}
    selector = lab.selector(*(lab.seen(n, lab.profile(*f), ready=1) for n, f in facts.items()), policy="slackfit")
    assert [choice(lab, selector, budget=s) for s in (0.1, 0.3, 0.8, 2.0)] == ["a", "b", "c", "d"]
    assert choice(lab, selector, budget=0.001) == "a"
    scores = {c.variant.name: c.score for c in selector.decide(lab.request(budget=2.0), 0.0).alternatives}
    assert scores["vain"] < 0 <= min(scores[name] for name in "abcd")


def test_in_a_bucket_the_highest_throughput(lab):
    """0.5 and 0.51 s share a bucket; eight places beat four, though the other is more accurate."""
    facts = {"few": (0.9, 0.51, 4), "many": (0.85, 0.5, 8), "quick": (0.6, 0.01, 4)}
    seen = [lab.seen(n, lab.profile(a, s), concurrency=c, ready=1) for n, (a, s, c) in facts.items()]
    assert choice(lab, lab.selector(*seen, policy="slackfit"), budget=5.0) == "many"


def test_a_single_variant_is_its_own_bucket(lab):
    """No width, no division by it."""
    assert choice(lab, lab.selector(lab.seen("only", ready=1), policy="slackfit"), budget=5.0) == "only"


# RAMSIS


def test_an_idle_queue_gets_the_best_that_fits(lab):
    """0.9 if its 95th percentile of 1 s fits, else 0.7."""
    for policy in ("ramsis", "ramsis-cold"):
        selector = pair(lab, policy)
        for id_ in ("before there is a table", "after"):
            assert choice(lab, selector, budget=2.0) == "good"
            assert choice(lab, selector, budget=0.1) == "quick"
            lab.reply(selector, lab.send(selector, lab.request(id_, budget=2.0)), 0.5, execution_s=0.5)


def test_a_queue_is_worked_off_by_the_quick_one():
    """Four waiting, 0.5 s left to the oldest, just enough for the good one. At 50 a second the next came 20 ms after it
    and would be late by then, as would those behind: 0.2 more for one is not worth it. At 0.01 a second they have ages.
    """
    better = []
    for arrivals in (50.0, 0.01):
        process = Process(("quick", "good"), (0.7, 0.9), (0.01, 0.5), (0.01, 0.5), arrivals, 2.0)
        table = process.solved()
        quick, good = (a + 0.9 * table[took][4][SLACKS - 3] for a, took in ((0.7, 0.01), (0.9, 0.5)))
        better.append("quick" if quick > good else "good")
    assert better == ["quick", "good"]


def test_a_variant_that_the_table_does_not_know_is_judged_by_its_reward(lab):
    """One appears: until the next request is sent nothing is known of what follows."""
    selector = pair(lab, "ramsis")
    lab.send(selector, lab.request("q", budget=2.0))
    selector.update(lab.seen("new", lab.profile(0.95, 0.1), ready=1), 0.5)
    decision = selector.decide(lab.request("r", at=1.0, budget=2.0), 1.0)
    assert decision.chosen.variant.name == "new"
    assert decision.chosen.score == pytest.approx(0.1 * 0.95, abs=1e-3)
    lab.send(selector, lab.request("s", at=2.0, budget=2.0))
    assert selector.decide(lab.request("t", at=3.0, budget=2.0), 3.0).chosen.score > 0.9


def test_tables_do_not_grow_without_end(lab, monkeypatch):
    """Beyond the limit all are dropped and made again when they are asked for."""
    monkeypatch.setattr("warmfront.selection.policies.ramsis.MOST_TABLES", 1)
    selector = pair(lab, "ramsis")
    for i, budget in enumerate((0.2, 0.2, 1.6, 12.8, 102.4)):
        decision = lab.send(selector, lab.request(f"q{i}", at=10.0 * i, budget=budget))
        lab.reply(selector, decision, decision.chosen.predicted_s)
        assert len(selector._policy._tables) == 1


def test_values_worked_by_hand():
    """No arrivals and everything in time: each step earns 1, so what follows is worth 1 / (1 - 0.9) = 10.

    With two waiting, the second far too late whatever is done, one step is lost: 0.9 * 10 = 9.
    """
    process = Process(("v",), (1.0,), (1.0,), (1.0,), 1e-9, 2.0)
    table = process.solved()
    assert table[1.0][1][SLACKS - 1] == pytest.approx(10.0, abs=0.01)
    late = Process(("v",), (1.0,), (4.0,), (1.0,), 1.0, 2.0).solved()
    assert late[4.0][QUEUE][0] < late[4.0][1][SLACKS - 1] < 10.0


@pytest.mark.parametrize(
    ("slack_s", "level"), [(2.0, 11), (3.0, 11), (1.9, 10), (1.0, 10), (0.5, 9), (1e-9, 0), (-1.0, 0)]
)
def test_slack_levels_halve(slack_s, level):
    """The highest is the deadline, 2 s; a level holds what is at least its slack."""
    assert slack_level(slack_s, 2.0) == level


def test_poisson_terms_sum_to_one():
    """0.5 on average: e^-0.5 = 0.607, 0.303, and the rest."""
    terms = poisson(0.5, 2)
    assert terms == [pytest.approx(0.6065, abs=1e-4), pytest.approx(0.3033, abs=1e-4), pytest.approx(0.0902, abs=1e-4)]


# llm-d


def test_with_headroom_the_most_accurate_then_the_least_headroom(lab):
    """12 ms, 102 ms and 102 ms: with 1 s the accurate ones, with 50 ms the quick one. Ids drawn not to explore."""
    facts = {"quick": (0.7, 0.01), "good": (0.9, 0.1), "slack": (0.9, 0.05)}
    selector = lab.selector(*(lab.seen(n, lab.profile(*f), ready=1) for n, f in facts.items()), policy="llm-d")
    id_ = next(i for i in map(str, range(9)) if selector._policy._draws.uniform(i) >= 0.01)
    assert choice(lab, selector, id_=id_, budget=1.0) == "good"
    decision = selector.decide(lab.request(id_, budget=0.03), 0.0)
    assert decision.chosen.variant.name == "quick"
    assert [c.score for c in decision.alternatives] == [pytest.approx(1 / 3), 0.0, 0.0]


def test_one_request_in_a_hundred_goes_to_the_tier_without_headroom(lab):
    """2000 requests: 20 expected, 4.4 the standard error; beyond 3 and 42 has odds of 1 in 10^4; the seed is fixed."""
    seen = [lab.seen("quick", lab.profile(0.7, 0.01), ready=1), lab.seen("late", lab.profile(0.9, 5.0), ready=1)]
    selector = lab.selector(*seen, policy="llm-d")
    chosen = [choice(lab, selector, id_=f"q{i}", budget=1.0) for i in range(2000)]
    assert 3 < chosen.count("late") < 42


def test_without_headroom_the_idle_first_then_the_smallest_deficit(lab):
    """5 and 8 s late. One request in flight: the idle one though it is later. No deadline is no headroom."""
    seen = [lab.seen("five", lab.profile(0.7, 5.0), ready=1), lab.seen("eight", lab.profile(0.9, 8.0), ready=1)]
    selector = lab.selector(*seen, policy="llm-d")
    assert choice(lab, selector, budget=0.1) == "five"
    assert choice(lab, selector, budget=None) == "five"
    lab.send(selector, lab.request("q", budget=0.1))
    assert choice(lab, selector, budget=0.1) == "eight"
