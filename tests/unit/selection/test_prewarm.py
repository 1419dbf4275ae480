"""Background starts: only where they pay, only once, and told in numbers."""

import pytest

from warmfront.domain import Status, Warmth
from warmfront.selection.selector import SelectorSettings

BETTER = {"accuracy": 0.9, "execution": 0.02, "start": 10.0, "memory_mb": 1000.0}


def busy(lab, rate=2.0, requests=10, better=None, settings=None, **request):
    """A selector whose warm variant has answered some requests, while a better one sleeps; and the time."""
    selector = lab.selector(
        lab.seen("warm", lab.profile(0.8), ready=1),
        lab.seen("better", lab.profile(**{**BETTER, **(better or {})})),
        settings=settings,
    )
    now = 0.0
    for i in range(requests):
        now = i / rate
        decision = lab.send(selector, lab.request(f"q{i}", at=now, **request))
        lab.reply(selector, decision, 0.01)
    return selector, now


def test_the_better_variant_is_woken_while_the_other_answers(lab):
    """Two requests a second that gain 0.1 each pay for a gigabyte many times over; the reason says so in numbers."""
    selector, now = busy(lab)
    (start,) = selector.plan(now)
    assert start.variant == "better"
    assert start.reason == (
        "worth 11.467: 1.78 requests/s gain 0.100 each for 64 s; costs 0.075: 0.001 per s for 10.4 + 64 s"
    )


def test_a_start_is_told_once(lab):
    """From then on the variant is presumed to be starting, until an observation or the timeout says otherwise."""
    selector, now = busy(lab)
    assert len(selector.plan(now)) == 1
    assert selector.plan(now + 1) == []
    assert lab.numbers(selector, "better", now=now + 1).warmth is Warmth.STARTING


def test_what_is_starting_or_warm_is_not_started(lab):
    """Seen as starting, seen as ready: nothing to do."""
    for standing in ({"starting_at": (4.0,)}, {"ready": 1}):
        selector, now = busy(lab)
        selector.update(lab.seen("better", lab.profile(**BETTER), **standing), now)
        assert selector.plan(now) == []


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("no better than the substitute", {"better": {"accuracy": 0.8}}),
        ("too slow for these deadlines even when warm", {"better": {"execution": 3.0}}),
        ("below the floor", {"better": {"accuracy": 0.85}, "min_accuracy": 0.87}),
        ("too dear", {"settings": SelectorSettings(price_per_gb_s=1.0)}),
        ("requested too rarely", {"rate": 0.002}),
        ("two requests tell no rate", {"requests": 2}),
    ],
)
def test_a_start_that_does_not_pay_is_not_made(lab, why, change):
    """The gain is over what is awake already, the rate without the current request, the hold time charged."""
    if "min_accuracy" in change:
        selector, now = busy(lab, **change, on_miss=lab.request().on_miss)
    else:
        selector, now = busy(lab, **change)
    assert selector.plan(now) == [], why


def test_nothing_seen_nothing_planned(lab):
    """No request yet, or no variant."""
    assert lab.selector().plan(0.0) == []
    assert lab.selector(lab.seen()).plan(0.0) == []


def test_old_requests_are_forgotten(lab):
    """What was asked an hour ago does not wake anybody now."""
    selector, now = busy(lab)
    assert selector.plan(now + 3600) == []


def test_a_silence_lowers_the_rate(lab):
    """Ten requests in five seconds pay for a start then; the same ten a few minutes later no longer do."""
    selector, now = busy(lab, better={"accuracy": 0.815})
    assert selector.plan(now + 300) == []
    assert len(selector.plan(now)) == 1


@pytest.mark.parametrize("trouble", ["unavailable", "resting"])
def test_what_cannot_run_is_not_woken(lab, trouble):
    """An image that cannot be pulled, a variant that rests after failures."""
    selector, now = busy(lab)
    if trouble == "unavailable":
        selector.update(lab.seen("better", lab.profile(**BETTER), available=False), now)
    else:
        for i in range(2):
            only = lab.request(f"x{i}", at=now, budget=60.0, excluded=frozenset({"warm"}))
            lab.reply(selector, lab.send(selector, only), 0.0, status=Status.FAILED)
    assert selector.plan(now) == []


def test_the_best_of_two_is_started_first_and_the_second_judged_after_it(lab):
    """One start per call; once the best is on its way, the second best adds nothing."""
    selector, now = busy(lab)
    selector.update(lab.seen("good", lab.profile(0.85, 0.02, 5.0)), now)
    assert [start.variant for start in selector.plan(now)] == ["better"]
    assert selector.plan(now) == []


def test_a_variant_slow_when_warm_yields_to_one_for_the_short_deadlines(lab):
    """Given a warm variant too slow for the deadlines, the quick one is worth its accuracy, not the difference."""
    selector = lab.selector(lab.seen("slow", lab.profile(0.9, 2.0), ready=1), lab.seen("quick", lab.profile(0.6, 0.01)))
    for i in range(5):
        lab.send(selector, lab.request(f"q{i}", at=0.5 * i, budget=0.2, excluded=frozenset({"quick"})))
    (start,) = selector.plan(2.5)
    assert start.variant == "quick"
    assert "gain 0.600 each" in start.reason


def test_a_task_without_variants_forgets_its_requests(lab):
    """A service deleted and created again is not woken by the requests of its former life."""
    selector, now = busy(lab)
    for name in ("warm", "better"):
        selector.update(lab.seen(name, gone=True), now)
    selector.update(lab.seen("better", lab.profile(**BETTER)), now)
    assert selector.plan(now) == []


def test_requests_without_a_deadline_count_too(lab):
    """Their budget is the transport timeout."""
    selector, now = busy(lab, budget=None)
    assert [start.variant for start in selector.plan(now)] == ["better"]
