"""The warm set: starts and keeps only where they pay, only once, told in numbers, and ended in time."""

from itertools import pairwise

import pytest

from warmfront.domain import Keep, Release, Start, Status, Warmth
from warmfront.errors import NotFound
from warmfront.selection.knowledge import Environment
from warmfront.selection.selector import SelectorSettings
from warmfront.selection.variants import KnownVariant
from warmfront.selection.warmset.account import Account

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
    assert start.reason.startswith("0 s idle, 17 requests expected in 60 s: worth +1.4")
    assert "with it a request is worth 0.900, without 0.800; costs 0.001 per s" in start.reason


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
    """Ten requests in five seconds pay for a start then; the same ten half an hour later no longer do."""
    selector, now = busy(lab)
    assert selector.plan(now + 1800) == []
    selector, now = busy(lab)
    assert len(selector.plan(now)) == 1


def test_with_nobody_usable_there_is_no_plan(lab):
    """Both unavailable: nothing to do and nothing to show, until one of them is back."""
    selector, now = busy(lab)
    for name in ("warm", "better"):
        selector.update(lab.seen(name, available=False, reason="gone fishing"), now)
    assert selector.plan(now + 1) == []
    assert not any(row.wanted for row in selector.warm_set("t", now + 1).variants)
    selector.update(lab.seen("better", lab.profile(**BETTER)), now + 2)
    assert [start.variant for start in selector.plan(now + 3)] == ["better"]


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


def test_what_adds_nothing_once_the_best_is_there_is_started_only_to_bridge(lab):
    """A second one, better than what is warm and sooner ready than the best: both start. As slow as the best: it does
    not, for it adds nothing.
    """
    for start_s, wanted in ((5.0, ["better", "good"]), (10.0, ["better"])):
        selector, now = busy(lab)
        selector.update(lab.seen("good", lab.profile(0.85, 0.02, start_s)), now)
        assert [start.variant for start in selector.plan(now)] == wanted
        assert selector.plan(now) == []


def test_a_variant_slow_when_warm_yields_to_one_for_the_short_deadlines(lab):
    """Given a warm variant too slow for the deadlines, the quick one is worth its accuracy, not the difference."""
    selector = lab.selector(lab.seen("slow", lab.profile(0.9, 2.0), ready=1), lab.seen("quick", lab.profile(0.6, 0.01)))
    for i in range(5):
        lab.send(selector, lab.request(f"q{i}", at=0.5 * i, budget=0.2, excluded=frozenset({"quick"})))
    (start,) = selector.plan(2.5)
    assert start.variant == "quick"
    assert "with it a request is worth 0.600, without 0.000" in start.reason


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


CHEAP = {"accuracy": 0.8, "execution": 0.01, "start": 2.0, "memory_mb": 60.0}
KEEPER = SelectorSettings(platform_start_s=SelectorSettings().platform_start_s)


def timer(lab, gap, requests=12, settings=KEEPER, **big):
    """As `stream`, a request every `gap` seconds."""
    return stream(lab, [gap] * (requests - 1), settings, **big)


def stream(lab, gaps, settings=KEEPER, **big):
    """Requests with these gaps, each with half a second to spare, for a cheap warm variant and a big sleeping one; the
    plan is asked twice a second. The selector, the time of the last request, and what was told when.
    """
    selector = lab.selector(
        lab.seen("fast", lab.profile(**CHEAP), ready=1), lab.seen("big", lab.profile(**{**BETTER, **big})),
        settings=settings,
    )  # fmt: skip
    told, at = [], 0.0
    for i, gap in enumerate([*gaps, 0.0]):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}", 0.5, at=at)), 0.01)
        told += asked(selector, at, at + gap)
        at += gap
    return selector, at, told


IRREGULAR = [30.0, 190.0, 75.0, 130.0, 12.0, 260.0, 55.0, 160.0, 95.0, 22.0, 115.0, 65.0, 210.0]


def asked(selector, start, end, step=0.5):
    """What the plan says between two times, each action with its time."""
    found, now = [], start + step
    while now < end:
        found += [(now, action) for action in selector.plan(now)]
        now += step
    return found


def test_a_cheap_variant_is_kept_beyond_the_platforms_window(lab):
    """A request every 100 s, now and then, a window of 60: shortly before a window is over it is kept, for five minutes
    at most, and told again only when that is nearly over.
    """
    _, _, told = stream(lab, IRREGULAR, accuracy=0.8)
    keeps = [(at, action) for at, action in told if isinstance(action, Keep)]
    assert len(keeps) >= 2
    assert all((keep.variant, keep.revision) == ("fast", "r1") for _, keep in keeps)
    assert all(at + 5 < keep.until_at <= at + 300 for at, keep in keeps)
    assert all(later[0] >= sooner[1].until_at - 6 for sooner, later in pairwise(keeps))


def test_a_start_ahead_of_a_request_that_is_due(lab):
    """Once the period of 300 s is known the big variant is started about 10 s of starting before it, and so in time."""
    selector, last, _ = timer(lab, 300.0)
    starts = [at - last for at, action in asked(selector, last, last + 300) if isinstance(action, Start)]
    assert len(starts) == 1
    assert 270 < starts[0] < 289


def test_what_is_kept_and_wanted_no_longer_is_released(lab):
    """The big one is awake for the request that is due: the cheap one adds nothing any more."""
    selector, last, _ = timer(lab, 100.0)
    told = asked(selector, last, last + 100)
    assert [type(action) for _, action in told] == [Keep, Start, Release]
    release = told[-1][1]
    assert release.variant == "fast"
    assert "with it a request is worth 0.900, without 0.900" in release.reason
    assert not [action for _, action in asked(selector, last + 100, last + 110) if isinstance(action, Release)]


def test_a_silence_that_nobody_expected_ends_what_was_kept(lab):
    """At 0.003 a second the cheap one is kept for a request every 100 s; not any more after an hour without one."""
    selector, last, told = stream(lab, IRREGULAR, SelectorSettings(price_per_gb_s=0.05))
    assert [action for _, action in told if isinstance(action, Keep)]
    asked(selector, last, last + 3600)
    assert asked(selector, last + 3600, last + 7200) == []


def test_without_leave_to_keep_it_only_starts(lab):
    """`may_keep` off: no Keep, no Release, but the start ahead of what is due."""
    selector, last, told = timer(lab, 300.0, settings=SelectorSettings(may_keep=False))
    told += asked(selector, last, last + 300)
    assert {type(action) for _, action in told} == {Start}


def test_a_dry_run_shows_and_does_nothing(lab):
    """No action ever, and yet the proposal."""
    selector, last, told = timer(lab, 100.0, settings=SelectorSettings(dry_run=True))
    assert told == asked(selector, last, last + 200) == []
    assert any(row.wanted for row in selector.warm_set("t", last + 5).variants)


def test_memory_is_bounded(lab):
    """With room for half a gigabyte the big variant is never wanted, with room for two it is."""
    for room, wanted in ((0.5, False), (2.0, True)):
        selector, last, told = timer(lab, 300.0, settings=SelectorSettings(max_warm_gb=room))
        told += asked(selector, last, last + 300)
        assert any(action.variant == "big" for _, action in told) is wanted


def test_two_tasks_share_the_room(lab):
    """What is planned for one task is not there for the other."""
    settings = SelectorSettings(max_warm_gb=1.5)
    selector = lab.selector(settings=settings)
    for task in "ab":
        selector.update(lab.seen(f"{task}-fast", lab.profile(**CHEAP), task=task, ready=1), 0.0)
        selector.update(lab.seen(f"{task}-big", lab.profile(**BETTER), task=task), 0.0)
    told = []
    for i in range(8):
        for task in "ab":
            request = lab.request(f"{task}{i}", 0.5, at=2.5 * i)._replace(task=task)
            lab.reply(selector, lab.send(selector, request), 0.01)
        told += [action.variant for action in selector.plan(2.5 * i + 0.1) if isinstance(action, Start)]
    assert told == ["a-big"]


def test_what_others_keep_awake_is_not_kept(lab):
    """Awake for ten minutes without a request, so somebody else keeps it: it costs nothing more and needs no keep."""
    selector, last, _ = timer(lab, 300.0, requests=2, accuracy=0.8)
    told = asked(selector, last + 600, last + 700)
    assert not [action for _, action in told if isinstance(action, Keep)]


def test_how_long_the_platform_holds_is_learned(lab):
    """It stayed 92 s after its last request, and 30 s after a keep was over: what is known of windows and grace."""
    known = KnownVariant(lab.seen("v", ready=1), Environment(SelectorSettings()))
    known.sent(0.0)
    known.lost()
    known.update(lab.seen("v"), 92.0)
    assert (known.hold_s, known.lingers_s) == (92.0, 0.0)
    known.update(lab.seen("v", ready=1), 100.0)
    known.kept_until = 400.0
    known.update(lab.seen("v"), 430.0)
    assert (known.hold_s, known.lingers_s) == (92.0, 30.0)
    known.update(lab.seen("v", ready=1), 500.0)
    known.kept_until = 900.0
    known.update(lab.seen("v"), 600.0)
    assert (known.hold_s, known.lingers_s) == (92.0, 30.0), "it ended while it was kept: that tells nothing"


def test_a_plan_that_gains_less_than_it_spends_finds_memory_dearer():
    """3 spent for a gain of 1, one right answer of credit: (1 + 1) / (3 + 1), so that memory counts twice as dear; at
    most four times. What is long ago fades.
    """
    account = Account()
    account.spend(0.01, 0.0)
    assert account.dearer == 1.0
    account.spend(0.0, 300.0)
    account.gain(1.0)
    assert account.spent == pytest.approx(3.0 * 0.98)
    assert account.dearer == pytest.approx((3.0 * 0.98 + 1) / 2)
    account.spend(1.0, 300.0)
    account.spend(0.0, 400.0)
    assert account.dearer == 4.0
    for _ in range(200):
        account.gain(0.05)
    assert account.dearer == 1.0


def test_the_set_is_shown_with_its_numbers(lab):
    """Present and proposed set, why, and how long it has been quiet; before the first request that there was none."""
    selector = lab.selector(lab.seen("fast", ready=1))
    before = selector.warm_set("t", 5.0)
    assert (before.idle_s, before.variants[0].wanted) == (float("inf"), False)
    assert "nothing is planned" in before.reason
    selector, last, _ = timer(lab, 100.0)
    asked(selector, last, last + 60)
    shown = selector.warm_set("t", last + 60)
    fast, big = shown.variants
    assert (shown.task, shown.idle_s) == ("t", 60.0)
    assert (fast.variant, fast.warmth, fast.wanted) == ("fast", Warmth.WARM, True)
    assert fast.kept_until > last + 60
    assert (big.variant, big.warmth, big.wanted, big.kept_until) == ("big", Warmth.COLD, False, None)
    assert fast.reason.startswith("60 s idle, ")
    with pytest.raises(NotFound, match="no task 'other'; known are t"):
        selector.warm_set("other", 0.0)


def test_of_many_variants_the_few_that_add_most_are_thought_about(lab):
    """Eight variants, three of them worse and dearer than another: those are named as left out, the best is started."""
    selector = lab.selector(
        lab.seen("warm", lab.profile(0.7), ready=1),
        *(lab.seen(f"good{i}", lab.profile(0.75 + 0.04 * i, 0.02, 5.0, memory_mb=200.0)) for i in range(4)),
        *(lab.seen(f"poor{i}", lab.profile(0.3, 0.05, 5.0, memory_mb=900.0)) for i in range(3)),
    )
    for i in range(20):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}", at=0.5 * i)), 0.01)
    assert "good3" in {action.variant for action in selector.plan(10.0)}
    left_out = {row.variant for row in selector.warm_set("t", 10.0).variants if "not among the few" in row.reason}
    assert left_out >= {"poor0", "poor1", "poor2"}
    assert len(left_out) == 3


def test_when_to_ask_again(lab):
    """Nothing to do before the time told, unless something happens; for ever when no policy wakes and nobody asked."""
    assert lab.selector(policy="fastest").next_plan_at() == float("inf")
    assert lab.selector().next_plan_at() == float("inf")
    selector, last, _ = timer(lab, 100.0)
    now = last + 20.0
    assert selector.plan(now) == []
    again = selector.next_plan_at()
    assert again > now
    assert asked(selector, now, again, step=0.25) == []


def test_a_crowd_is_given_a_second_variant(lab):
    """Four places at the warm one and a hundred requests at once: the sleeping one is started for those who wait."""
    selector = lab.selector(
        lab.seen("slow", lab.profile(0.9, 0.5), ready=1), lab.seen("quick", lab.profile(0.6, 0.01, 1.0))
    )
    for i in range(3):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}", 2.0, at=5.0 * i)), 0.5)
    assert selector.plan(11.0) == []
    for i in range(100):
        lab.send(selector, lab.request(f"c{i}", 2.0, at=15.0 + i / 1000, excluded=frozenset({"quick"})))
    assert [action.variant for action in selector.plan(15.2)] == ["quick"]
