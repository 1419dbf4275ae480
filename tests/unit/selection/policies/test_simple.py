"""The simplest baselines: which number each goes by."""

from collections import Counter

import pytest

from warmfront.domain import Observation, Profile, Variant


def choice(lab, selector, now=0.0, **request):
    return selector.decide(lab.request(at=now, **request), now).chosen.variant.name


def test_cheapest_looks_at_memory_alone(lab):
    """60 MB before 100 MB, however slow and poor; a variant that declares none counts as 256 MB."""
    small = lab.seen("small", lab.profile(0.1, 9.0, 99.0, memory_mb=60.0))
    large = lab.seen("large", lab.profile(0.9, memory_mb=100.0), ready=1)
    silent = Observation(variant=Variant(name="silent", task="t", revision="r", url="", profile=Profile()), ready=1)
    assert choice(lab, lab.selector(silent, large, small, policy="cheapest"), budget=0.1) == "small"
    decision = lab.selector(silent, large, policy="cheapest").decide(lab.request(), 0.0)
    assert {c.variant.name: round(c.score, 4) for c in decision.alternatives} == {"silent": 0.7962, "large": 0.9091}


def test_least_in_flight_counts_requests(lab):
    """Three requests at once go to three variants; the one that has answered is the next to be asked."""
    selector = lab.selector(*(lab.seen(name, ready=1) for name in "abc"), policy="least-in-flight")
    sent = [lab.send(selector, lab.request(f"q{i}")) for i in range(3)]
    assert {decision.chosen.variant.name for decision in sent} == {"a", "b", "c"}
    lab.reply(selector, sent[1], 0.1)
    assert choice(lab, selector, now=0.1) == sent[1].chosen.variant.name


def test_least_in_flight_draws_between_equals(lab):
    """400 requests, none in flight: about half each (60 either way is six standard errors: odds of 1 in 10^9)."""
    selector = lab.selector(*(lab.seen(name, ready=1) for name in "ab"), policy="least-in-flight")
    counts = Counter(choice(lab, selector, id_=f"q{i}") for i in range(400))
    assert abs(counts["a"] - 200) < 60


def test_lowest_network_latency_asks_everyone_once_and_then_the_nearest(lab):
    """First in the list first. Then 10 ms away beats 30 ms, whatever the execution takes."""
    selector = lab.selector(lab.seen("far", ready=1), lab.seen("near", ready=1), policy="lowest-network-latency")
    for i, (name, execution_s, way_s) in enumerate([("far", 0.01, 0.03), ("near", 0.5, 0.01)]):
        decision = lab.send(selector, lab.request(f"q{i}", at=float(i)))
        assert decision.chosen.variant.name == name
        lab.reply(selector, decision, execution_s + way_s, execution_s=execution_s)
    assert choice(lab, selector, now=2.0) == "near"


def test_a_queue_is_no_distance_until_it_was_there_ten_times(lab):
    """The least of the last ten pings counts: nine answers that queued change nothing, ten do."""
    selector = lab.selector(lab.seen("far", ready=1), lab.seen("near", ready=1), policy="lowest-network-latency")
    lab.reply(selector, lab.send(selector, lab.request("f")), 0.04, execution_s=0.01)
    lab.reply(selector, lab.send(selector, lab.request("n")), 0.02, execution_s=0.01)
    for i in range(10):
        assert choice(lab, selector, now=1.0 + i) == "near"
        decision = lab.send(selector, lab.request(f"q{i}", at=1.0 + i))
        lab.reply(selector, decision, 0.5, execution_s=0.01)
    assert choice(lab, selector, now=20.0) == "far"


@pytest.mark.parametrize("how", [{"execution_s": 0.01, "cold": True}, {"execution_s": 0.01, "censored": True}, {}])
def test_who_waited_or_says_nothing_of_its_execution_is_no_ping(lab, how):
    """Such an answer says nothing of the way: the variant still counts as never asked."""
    selector = lab.selector(lab.seen("only", ready=1), lab.seen("other", ready=1), policy="lowest-network-latency")
    lab.reply(selector, lab.send(selector, lab.request("q")), 3.0, **how)
    scores = {c.variant.name: c.score for c in selector.decide(lab.request("r", at=4.0), 4.0).alternatives}
    assert scores == {"only": 1.0, "other": 1.0}


def test_static_best_follows_the_leader(lab):
    """0.95 in 2 s is best for a loose deadline, 0.6 at once for a tight one; for all, whoever led so far.

    After three tight requests and one loose one, 'quick' leads with a mean of 0.6 to about 0.24.
    """
    quick, slow = lab.seen("quick", lab.profile(0.6, 0.001), ready=1), lab.seen("slow", lab.profile(0.95, 2.0))
    selector = lab.selector(quick, slow, policy="static-best")
    assert choice(lab, selector, budget=60.0) == "slow"
    for i in range(3):
        lab.send(selector, lab.request(f"tight{i}", budget=0.1))
    lab.send(selector, lab.request("loose", budget=60.0))
    decision = selector.decide(lab.request("also", budget=60.0), 0.0)
    assert decision.chosen.variant.name == "quick"
    assert [c.score for c in decision.alternatives] == [pytest.approx(0.6, abs=0.01), pytest.approx(0.2375, abs=0.01)]
