"""INFaaS as published and repaired, worked by hand."""

import pytest


def choice(lab, selector, now=0.0, **request):
    return selector.decide(lab.request(at=now, **request), now).chosen.variant.name


def three(lab, policy="infaas", **ready):
    """10 ms, 100 ms and 500 ms; loads of 1, 2 and 10 s (0.05 s more for the platform)."""
    facts = {"small": (0.6, 0.01, 1.0), "middle": (0.7, 0.1, 2.0), "large": (0.9, 0.5, 10.0)}
    seen = [lab.seen(name, lab.profile(*fact), ready=ready.get(name, 0)) for name, fact in facts.items()]
    return lab.selector(*seen, policy=policy)


def careful(lab, selector, **request):
    """The id of a request that does not ignore overload: the draw is the same for all candidates and policies here."""
    return next(i for i in map(str, range(50)) if selector._policy._draws.uniform(i) >= 0.1)


def test_the_slowest_running_one_that_fits(lab):
    """D = 1 s: all fit, the large one wastes least. D = 0.3 s: the middle one."""
    selector = three(lab, small=1, middle=1, large=1)
    assert choice(lab, selector, budget=1.0) == "large"
    assert choice(lab, selector, budget=0.3) == "middle"
    scores = [c.score for c in selector.decide(lab.request(budget=0.3), 0.0).alternatives]
    assert scores == [pytest.approx(0.01 / 0.3), pytest.approx(0.1 / 0.3), pytest.approx(1 / 1.5 - 1)]


def test_a_running_one_before_any_that_must_load(lab):
    """Even the poorest."""
    assert choice(lab, three(lab, small=1), budget=30.0) == "small"


def test_none_running_the_soonest_loaded_though_it_be_too_late(lab):
    """1 s + load + execution: 2.06, 3.15 and 11.55 s; if what runs does not fit, it loads for nothing."""
    selector = three(lab)
    decision = selector.decide(lab.request(budget=5.0), 0.0)
    assert decision.chosen.variant.name == "small"
    assert decision.chosen.score == pytest.approx(1 / (1 + 2.06), abs=0.01)
    slow_one_running = three(lab, large=1)
    assert choice(lab, slow_one_running, budget=0.4) == "small"
    assert choice(lab, three(lab, "infaas-repaired", large=1), budget=0.4) == "large"


def test_repaired_loads_only_in_time(lab):
    """D = 2.5 s: of loads of 1.06 and 2.15 s both do. D = 0.8 s and none running: the soonest predicted."""
    assert choice(lab, three(lab, "infaas-repaired"), budget=2.5) == "small"
    scores = [c.score > 0 for c in three(lab, "infaas-repaired").decide(lab.request(budget=1.5), 0.0).alternatives]
    assert scores == [True, False, False]
    assert choice(lab, three(lab, "infaas-repaired"), budget=0.8) == "small"


def test_none_fits_the_shortest_execution(lab):
    """There it fails; here somebody must answer."""
    assert choice(lab, three(lab, large=1), budget=0.005) == "small"


def test_a_short_deadline_leaves_little_time_to_search(lab):
    """D = 12 ms: 0.15 D / 0.6 ms = 3 variants are looked at, the least accurate first. The best of five is not seen."""
    seen = [lab.seen(f"v{i}", lab.profile(0.5 + i / 10, 0.001 + i / 1000), ready=1) for i in range(5)]
    selector = lab.selector(*seen, policy="infaas")
    assert choice(lab, selector, budget=0.012) == "v2"
    assert choice(lab, selector, budget=0.021) == "v4"


def test_more_than_half_a_second_of_work_in_flight_is_overload(lab):
    """500 ms each, four at once: a throughput of 8; the fifth in flight is more than half of it."""
    selector = three(lab, middle=1, large=1)
    id_ = careful(lab, selector)
    for i in range(4):
        lab.send(selector, lab.request(f"q{i}", excluded=frozenset({"middle", "small"})))
    assert choice(lab, selector, id_=id_, budget=2.0) == "large"
    lab.send(selector, lab.request("q4", excluded=frozenset({"middle", "small"})))
    assert choice(lab, selector, id_=id_, budget=2.0) == "middle"


def test_one_request_in_ten_ignores_overload(lab):
    """400 requests: 40 expected, 6 the standard error; beyond 16 and 64 has odds of 1 in 10^4; the seed is fixed."""
    selector = three(lab, middle=1, large=1)
    for i in range(5):
        lab.send(selector, lab.request(f"q{i}", excluded=frozenset({"middle", "small"})))
    chosen = [choice(lab, selector, id_=f"r{i}", budget=2.0) for i in range(400)]
    assert 16 < chosen.count("large") < 64


def test_a_slow_and_busy_second_is_overload_for_the_next(lab):
    """Five answers in a second (throughput: 8) of 0.8 s each, above 1.5 * 0.5 s: they queued. Then it is forgotten."""
    selector = three(lab, middle=1, large=1)
    id_, only = careful(lab, selector), frozenset({"middle", "small"})
    for i in range(5):
        decision = lab.send(selector, lab.request(f"q{i}", at=10.1, excluded=only))
        lab.reply(selector, decision, 0.8, now=10.9, execution_s=0.5)
    assert choice(lab, selector, id_=id_, now=10.95, budget=2.0) == "large"
    assert choice(lab, selector, id_=id_, now=11.5, budget=2.0) == "middle"
    assert choice(lab, selector, id_=id_, now=12.0, budget=2.0) == "large"


@pytest.mark.parametrize(("answers", "seconds", "chosen"), [(4, 0.8, "large"), (5, 0.7, "large"), (5, 0.8, "middle")])
def test_both_slow_and_busy_it_must_be(lab, answers, seconds, chosen):
    """Four answers are not above half the throughput, 0.7 s not above 1.5 times the execution."""
    selector = three(lab, middle=1, large=1)
    for i in range(answers):
        decision = lab.send(selector, lab.request(f"q{i}", at=10.0, excluded=frozenset({"middle", "small"})))
        lab.reply(selector, decision, seconds, now=10.9, execution_s=0.5)
    lab.reply(selector, lab.send(selector, lab.request("s", at=11.0, excluded=frozenset({"large"}))), 0.1, now=11.1)
    assert choice(lab, selector, id_=careful(lab, selector), now=11.2, budget=2.0) == chosen
