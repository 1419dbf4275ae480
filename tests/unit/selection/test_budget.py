"""A budget of memory is kept by its price."""

import pytest

from warmfront.domain import Start
from warmfront.selection.selector import SelectorSettings
from warmfront.selection.warmset.budget import Budget

GIGABYTE = SelectorSettings(budget_gb_s_per_hour=3600.0)


def test_without_a_budget_the_price_stands():
    """Whatever is used, and nobody need tell."""
    budget = Budget(SelectorSettings())
    assert not budget.spend(100.0, 0.0)
    assert not budget.spend(100.0, 3600.0)
    assert (budget.price_per_gb_s, budget.look_at) == (0.001, float("inf"))


def test_a_debt_raises_the_price_and_is_paid_back():
    """3,600 GB-s an hour is one gigabyte. Two for a minute: a debt of 60 GB-s, a sixtieth of the budget, doubles the
    price. None for half a minute pays half of it back, for a minute all; more saves nothing.
    """
    budget = Budget(GIGABYTE)
    assert not budget.spend(2.0, 100.0)
    assert budget.spend(0.0, 160.0)
    assert budget.price_per_gb_s == pytest.approx(0.002)
    assert budget.spend(0.0, 190.0)
    assert budget.price_per_gb_s == pytest.approx(0.0015)
    assert budget.spend(0.0, 1000.0)
    assert not budget.spend(1.0, 2000.0)
    assert budget.price_per_gb_s == pytest.approx(0.001)


def test_it_asks_to_be_told_every_minute():
    """At once, and a minute after each word."""
    budget = Budget(GIGABYTE)
    assert budget.look_at < 0.0
    budget.spend(1.0, 10.0)
    assert budget.look_at == 70.0


def test_beyond_the_budget_nothing_more_is_started(lab):
    """A gigabyte gains 0.1 twice a second: worth its price, also with a budget that is kept, but not with one that was
    passed by far. The selector wants to be asked in time to notice.
    """
    for minutes, started in ((0, True), (30, False)):
        settings = SelectorSettings(budget_gb_s_per_hour=36.0, price_per_gb_s=0.01)
        selector = lab.selector(
            lab.seen("warm", lab.profile(0.8, memory_mb=500.0), ready=1),
            lab.seen("better", lab.profile(0.9, 0.02, 10.0, memory_mb=1000.0)),
            settings=settings,
        )
        for minute in range(minutes):
            selector.plan(60.0 * minute)
            assert selector.next_plan_at() == 60.0 * (minute + 1)
        now = 60.0 * minutes
        for i in range(10):
            now += 0.5
            lab.reply(selector, lab.send(selector, lab.request(f"q{i}", 0.5, at=now)), 0.01)
        assert any(isinstance(action, Start) for action in selector.plan(now)) is started
