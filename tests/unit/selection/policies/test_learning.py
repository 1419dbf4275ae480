"""Exp3 learns by loss, warm-best starts what would have been better."""

from collections import Counter
from math import exp, log, sqrt

import pytest

from warmfront.domain import Start, Status


def choice(lab, selector, now=0.0, **request):
    return selector.decide(lab.request(at=now, **request), now).chosen.variant.name


def shares(lab, selector, count=2000):
    chosen = Counter(choice(lab, selector, id_=f"x{i}", now=1e6) for i in range(count))
    return {name: n / count for name, n in chosen.items()}


def test_exp3_begins_even(lab):
    """A quarter each within 4 points (four standard errors: odds of 1 in 10,000; the seed is fixed)."""
    selector = lab.selector(*(lab.seen(n, ready=1) for n in "abcd"), policy="exp3")
    assert all(abs(share - 0.25) < 0.04 for share in shares(lab, selector).values())


def test_exp3_one_loss_worked_by_hand(lab):
    """K = 2, t = 1: eta = sqrt(ln 2 / 2) = 0.589; p = 0.5, so a loss of 1 makes w = exp(-1.177) = 0.308.

    Its share is then 0.9 * 0.308 / 1.308 + 0.05 = 0.262.
    """
    selector = lab.selector(*(lab.seen(n, ready=1) for n in "ab"), policy="exp3")
    decision = lab.send(selector, lab.request("q"))
    lab.reply(selector, decision, 3.0, status=Status.LATE)
    weight = exp(-sqrt(log(2) / 2) / 0.5)
    share = 0.9 * weight / (1 + weight) + 0.05
    assert share == pytest.approx(0.262, abs=1e-3)
    assert shares(lab, selector)[decision.chosen.variant.name] == pytest.approx(share, abs=0.04)


def test_exp3_verdicts_replace_what_was_expected(lab):
    """In time loses 1 - 0.8; told that it was wrong, it loses as much as a late one; told it was right, nothing."""
    weights = []
    for status, verdict in ((Status.LATE, None), (Status.OK, 0.0), (Status.OK, 1.0), (Status.OK, None)):
        selector = lab.selector(*(lab.seen(n, ready=1) for n in "ab"), policy="exp3")
        decision = lab.send(selector, lab.request("q"))
        lab.reply(selector, decision, 0.01, status=status)
        if verdict is not None:
            lab.feedback(selector, decision, verdict)
        weights.append(selector._policy._logs[decision.chosen.variant.name])
    late, wrong, right, untold = weights
    assert wrong == pytest.approx(late)
    assert right == pytest.approx(0.0, abs=1e-12)
    assert untold == pytest.approx(0.2 * late)


def test_exp3_leaves_the_late_one(lab):
    """After 200 requests one in twenty is left for it, the evenly drawn ones (0.1 / 2), give or take 3 points."""
    selector = lab.selector(*(lab.seen(n, ready=1) for n in ("late", "good")), policy="exp3")
    for i in range(200):
        decision = lab.send(selector, lab.request(f"q{i}", at=float(i)))
        late = decision.chosen.variant.name == "late"
        lab.reply(selector, decision, 0.01, status=Status.LATE if late else Status.OK)
    assert shares(lab, selector)["late"] < 0.08


def test_exp3_a_single_variant_has_no_choice(lab):
    """Nor a division by ln 1."""
    selector = lab.selector(lab.seen("only", ready=1), policy="exp3")
    lab.reply(selector, lab.send(selector, lab.request("q")), 3.0, status=Status.LATE)
    assert choice(lab, selector, now=1.0) == "only"


def three(lab, **ready):
    """0.6, 0.8 and 0.9 in 10 ms, 60 MB, 100 MB and 1 GB, starts of 1 s."""
    facts = {"poor": (0.6, 60.0), "fair": (0.8, 100.0), "big": (0.9, 1000.0)}
    return [lab.seen(n, lab.profile(a, memory_mb=mb), ready=ready.get(n, 0)) for n, (a, mb) in facts.items()]


def test_warm_best_answers_from_the_warm(lab):
    """The best of two warm ones though a sleeping one could make it; none warm: the best a * P of all."""
    selector = lab.selector(*three(lab, poor=1, fair=1), policy="warm-best")
    assert choice(lab, selector, budget=30.0) == "fair"
    scores = [round(c.score, 3) for c in selector.decide(lab.request(budget=30.0), 0.0).alternatives]
    assert scores == [0.6, 0.8, pytest.approx(-0.1, abs=0.001)]
    assert choice(lab, lab.selector(*three(lab), policy="warm-best"), budget=30.0) == "big"


def test_warm_best_starts_a_better_one_meanwhile_if_it_is_worth_its_start(lab):
    """0.8 less 61 s * 0.1 GB * 0.001 = 0.794 beats 0.6 and 0.9 less 0.061 = 0.839 beats both; told once."""
    selector = lab.selector(*three(lab, poor=1), policy="warm-best")
    assert selector.plan(0.0) == []
    assert selector.next_plan_at() == float("inf")
    lab.send(selector, lab.request("q", budget=30.0))
    assert selector.next_plan_at() < 0.0
    (start,) = selector.plan(1.0)
    assert start == Start(variant="big", reason="worth 0.839 of a request once warm, poor 0.600")
    lab.send(selector, lab.request("r", at=1.5, budget=30.0))
    assert selector.plan(2.0) == []
    assert selector.next_plan_at() == float("inf")


def test_warm_best_starts_nothing_for_less_than_its_price(lab):
    """0.9 for 1 GB * 61 s * 0.001 = 0.061 is worth less than 0.85 that is warm."""
    nearly = lab.seen("nearly", lab.profile(0.85), ready=1)
    selector = lab.selector(nearly, *three(lab)[2:], policy="warm-best")
    lab.send(selector, lab.request("q", budget=30.0))
    assert selector.plan(1.0) == []


def test_warm_best_starts_nobody_below_the_floor_or_who_cannot(lab):
    """0.95 is unavailable; of a sleeping 0.8 with a floor of 0.85 nothing is hoped; who starts anyway starts alone."""
    best = lab.seen("best", lab.profile(0.95), available=False, reason="no image")
    only = lab.seen("only", lab.profile(0.86), ready=1)
    selector = lab.selector(only, best, *three(lab)[:2], policy="warm-best")
    lab.send(selector, lab.request("q", budget=30.0, min_accuracy=0.85))
    assert selector.plan(1.0) == []
    asleep = lab.selector(*three(lab), policy="warm-best")
    lab.send(asleep, lab.request("q", budget=30.0))
    assert asleep.plan(1.0) == []
