"""InfAdapter's programme, its shares and its replicas, worked by hand."""

from collections import Counter
from dataclasses import replace

import pytest

from warmfront.domain import Keep, Release, Variant
from warmfront.selection.policies.infadapter import Facts, candidates, divided, solve
from warmfront.selection.selector import SelectorSettings


def fact(name, accuracy, execution_s, gb=0.1, load_s=1.0, concurrency=1, most=0, p95_s=None):
    variant = Variant(name=name, task="t", revision="r", url="", concurrency=concurrency, max_replicas=most)
    return Facts(variant, accuracy, execution_s, 2 * execution_s if p95_s is None else p95_s, load_s, gb)


def test_capacity_is_four_fifths_of_the_throughput():
    """Two replicas of four places at 0.1 s: 80 a second, 64 of them; none if its answers are too late."""
    one = fact("v", 0.9, 0.1, concurrency=4)
    assert one.capacity(2, 0.2) == pytest.approx(64.0)
    assert one.capacity(2, 0.19) == 0.0
    assert fact("free", 0.9, 0.1, concurrency=0).capacity(1, 1.0) == pytest.approx(8.0)


def test_the_most_accurate_take_what_they_can():
    """10 a second: two replicas of 0.5 s carry 3.2, the quick one the rest."""
    facts = [fact("good", 0.9, 0.5), fact("quick", 0.7, 0.01)]
    assert divided(facts, (2, 1), 10.0, 2.0) == [pytest.approx(3.2), pytest.approx(6.8)]


def test_accuracy_against_memory():
    """One a second. 'good' alone needs one replica of 1 GB: 0.9 - 0.05 / 4 beats 0.7 - 0.005 / 4. With 0.9 GB to be had
    it cannot; with an advantage of one point it is not worth it.
    """
    good, quick = fact("good", 0.9, 0.5, gb=1.0), fact("quick", 0.7, 0.01)
    assert solve([good, quick], 1.0, 2.0, 4.0, (0, 0)) == (1, 0)
    assert solve([good, quick], 1.0, 2.0, 0.9, (0, 0)) == (0, 1)
    assert solve([good._replace(accuracy=0.71), quick], 1.0, 2.0, 4.0, (0, 0)) == (0, 1)


def test_loading_counts_for_what_changes():
    """Equals but for their loads, 0.001 for ten seconds of loading: the one that is loaded stays."""
    a, b = fact("a", 0.9, 0.1, load_s=10.0), fact("b", 0.9, 0.1, load_s=10.0)
    assert solve([a, b], 1.0, 2.0, 4.0, (0, 1)) == (0, 1)
    assert solve([a, b], 1.0, 2.0, 4.0, (1, 0)) == (1, 0)


def test_too_much_for_all_is_as_much_as_can_be_had():
    """At most two replicas of the quick one: 160 a second of 1000. And if nobody is in time, still one of somebody."""
    good, quick = fact("good", 0.9, 0.5, most=2), fact("quick", 0.7, 0.01, most=2)
    assert solve([good, quick], 1000.0, 2.0, 4.0, (0, 0)) == (0, 2)
    assert solve([good, quick], 1.0, 0.001, 4.0, (0, 0)) == (1, 0)


def test_only_the_front_and_five_of_it():
    """Who is beaten in accuracy, execution and memory at once takes no part; equals both do."""
    facts = [fact(f"v{i}", 0.5 + i / 20, 0.1 + i / 10) for i in range(7)]
    vain = fact("vain", 0.5, 0.9)
    assert [one.variant.name for one in candidates([vain, *facts])] == ["v6", "v5", "v4", "v3", "v2"]
    twins = [fact("a", 0.9, 0.1), fact("b", 0.9, 0.1)]
    assert candidates(twins) == twins
    unlike = [twins[0], twins[1]._replace(p95_s=9.0, load_s=9.0)]  # in what nobody is beaten by
    assert candidates(unlike) == unlike


def pair(lab, settings=None, **ready):
    """0.7 in 10 ms and 0.9 in 0.5 s, one at a time."""
    seen = []
    for name, accuracy, took in (("quick", 0.7, 0.01), ("good", 0.9, 0.5)):
        profile = lab.profile(accuracy, took)
        seen.append(lab.seen(name, profile, concurrency=1, ready=ready.get(name, 0)))
    return lab.selector(*seen, policy="infadapter", settings=settings)


def busy(lab, selector, count, start=0.0):
    """Ten requests a second, each answered at once with what it should have taken. Returns who was asked how often."""
    chosen = Counter()
    for i in range(count):
        now = start + i / 10
        decision = lab.send(selector, lab.request(f"{start}.{i}", at=now, budget=2.0))
        name = decision.chosen.variant.name
        chosen[name] += 1
        took = {"quick": 0.01, "good": 0.5}[name]
        lab.reply(selector, decision, took + 0.002, now=now, execution_s=took)
    return chosen


def test_before_the_first_solution_the_most_accurate_that_fits(lab):
    """0.5 s fits into 2 s and not into 0.1 s."""
    selector = pair(lab)
    names = [selector.decide(lab.request(budget=s), 0.0).chosen.variant.name for s in (2.0, 0.1)]
    assert names == ["good", "quick"]
    assert selector.plan(0.0) == []


def test_replicas_are_kept_for_a_period_and_a_bit(lab):
    """1.1 requests in 30 s: one replica of the good one, until 60 s from now; again after 30 s, not before."""
    selector = pair(lab)
    lab.send(selector, lab.request("q", budget=2.0))
    assert selector.next_plan_at() < 0.0
    (keep,) = selector.plan(1.0)
    assert keep == Keep(
        variant="good", revision="r1", until_at=61.0, reason="answers 100% of 0.0367 requests a second", replicas=1
    )
    assert selector.next_plan_at() == 30.0
    assert [keep.until_at for keep in selector.plan(30.0)] == [90.0]


def test_shares_are_kept_to_by_smooth_round_robin(lab):
    """10 a second: 11 * 30 s; the good one carries what its replicas can, and of 100 requests it gets that share."""
    settings = SelectorSettings(platform_start_s=lab.settings.platform_start_s, max_warm_gb=0.4)
    selector = pair(lab, settings, quick=1, good=1)
    busy(lab, selector, 310)
    policy = selector._policy._tasks["t"]
    assert policy.replicas == {"good": 3, "quick": 1}
    assert policy.shares["good"] == pytest.approx(4.8 / 11, abs=0.02)
    chosen = busy(lab, selector, 100, start=31.0)
    assert chosen["good"] == pytest.approx(100 * policy.shares["good"], abs=1.5)


def test_it_shrinks_only_after_four_quieter_periods(lab):
    """Busy for a period, then one request: the replicas stay for four periods and go in the fifth."""
    selector = pair(lab)
    busy(lab, selector, 300)
    kept = []
    for period in range(1, 8):
        kept.append({a.variant: a.replicas for a in selector.plan(30.0 * period) if isinstance(a, Keep)})
    assert kept[0] == kept[4]
    assert sum(kept[0].values()) > 1
    assert kept[5] == {"good": 1}


def test_what_is_wanted_no_longer_is_released(lab):
    """Under load the quick one helps; once it is quiet it goes, told once."""
    settings = SelectorSettings(platform_start_s=lab.settings.platform_start_s, max_warm_gb=0.4)
    selector = pair(lab, settings)
    busy(lab, selector, 300)
    released = [a for period in range(1, 9) for a in selector.plan(30.0 * period) if isinstance(a, Release)]
    assert released == [Release(variant="quick", revision="r1", reason="another set is better for the load")]


def test_it_keeps_nothing_that_is_gone_or_where_it_may_not(lab):
    """Gone from the catalogue, or keeping is not allowed: no action, and a dry run has none either."""
    selector = pair(lab)
    lab.send(selector, lab.request("q", budget=2.0))
    gone = lab.seen("good", gone=True)
    selector.update(gone, 0.5)
    assert selector.plan(1.0) == []
    lab.send(selector, lab.request("r", at=2.0, budget=2.0))
    assert selector.plan(3.0) == []
    for changes in ({"may_keep": False}, {"dry_run": True}):
        selector = pair(lab, replace(lab.settings, **changes))
        lab.send(selector, lab.request("q", budget=2.0))
        assert selector.plan(1.0) == []


def test_nobody_with_a_share_left_is_a_tie(lab):
    """The only one with replicas is excluded: the other answers, and falls no further behind than one turn."""
    selector = pair(lab, quick=1, good=1)
    lab.send(selector, lab.request("q", budget=2.0))
    selector.plan(1.0)
    for i in range(5):
        decision = lab.send(selector, lab.request(f"r{i}", at=2.0 + i, budget=2.0, excluded=frozenset({"good"})))
        assert decision.chosen.variant.name == "quick"
    assert selector._policy._tasks["t"].behind("good") == 2.0
    assert max(c.score for c in selector.decide(lab.request("s", at=8.0), 8.0).alternatives) == 1.0
