"""Variants that nobody uses are tried out where that pays, and only where answers are judged."""

import pytest

from warmfront.domain import Start
from warmfront.selection.knowledge import Environment
from warmfront.selection.selector import SelectorSettings
from warmfront.selection.variants import KnownVariant
from warmfront.selection.warmset.curiosity import Curiosity
from warmfront.selection.warmset.model import Kind


def stream(lab, requests, truths, *, judged_every=5, declared=None, seconds=1.0):
    """One request a second to warm `good` and sleeping `hidden`, which starts in a second and is told when it does.
    Of `truths`, a variant's share of right answers, every n-th is judged. Who answered, in order.
    """
    declared = {**truths, **(declared or {})}
    shown = {
        "good": lab.seen("good", lab.profile(declared["good"]), ready=1),
        "hidden": lab.seen("hidden", lab.profile(declared["hidden"])),
    }
    selector = lab.selector(*shown.values())
    answered, ready = [], False
    for i in range(requests):
        at = seconds * i
        decision = lab.send(selector, lab.request(f"q{i}", 0.5, at=at))
        name = decision.chosen.variant.name
        lab.reply(selector, decision, 0.01)
        answered.append(name)
        if judged_every and i % judged_every == 0:
            lab.feedback(selector, decision, float((i // judged_every * 0.618) % 1 < truths[name]), now=at + 0.02)
        for action in selector.plan(at + 0.5):
            if isinstance(action, Start) and not ready:
                ready = True
                selector.update(lab.changed(shown["hidden"], ready=1), at + 0.9)
    return answered


def test_an_underrated_variant_is_found(lab):
    """Declared 0.82, really 0.95, beside 0.85: with one answer in five judged it answers everything in the end."""
    answered = stream(lab, 2500, {"good": 0.85, "hidden": 0.95}, declared={"hidden": 0.82})
    assert "hidden" not in answered[:60]
    assert answered[-200:].count("hidden") > 190


def test_without_judges_nothing_is_tried(lab):
    """Nothing could be learned from it."""
    answered = stream(lab, 1500, {"good": 0.85, "hidden": 0.95}, declared={"hidden": 0.82}, judged_every=0)
    assert set(answered) == {"good"}


def test_what_is_really_worse_is_tried_a_little_and_dropped(lab):
    """Declared 0.82 and so it is, beside 0.85: fewer than one request in seven is spent on finding that out."""
    answered = stream(lab, 2500, {"good": 0.85, "hidden": 0.82})
    assert 0 < answered.count("hidden") < 2500 / 7


def test_a_judge_of_a_task_that_nobody_plans_for_is_heard(lab):
    """A peer that had no request yet, and heard of none, learns from the truth about another's."""
    selector = lab.selector(lab.seen("v", lab.profile(0.8), ready=1), policy="fastest")
    decision = lab.send(selector, lab.request("q", 0.5))
    lab.reply(selector, decision, 0.01)
    peer = lab.selector(lab.seen("v", lab.profile(0.8), ready=1))
    selector.report("me", 0.5)  # the arrival is told to others
    lab.feedback(selector, decision, 0.0)
    peer.update(selector.report("me", 1.0), 1.0)
    assert lab.numbers(peer, "v").accuracy < 0.8


def known(lab, name, accuracy, **more):
    return KnownVariant(lab.seen(name, lab.profile(accuracy, **more)), Environment(SelectorSettings()))


def kinds(*worths):
    return [Kind(1.0, tuple((worth,) for worth in worths), (0.0,) * len(worths))]


@pytest.mark.parametrize(
    ("why", "worths", "used", "seen", "tried"),
    [
        ("as good as the one in use, and nobody knows it well", (0.85, 0.84), 0b01, 2000, True),
        ("much worse than the one in use", (0.85, 0.4), 0b01, 2000, False),
        ("judged anyway, for it answers", (0.85, 0.84), 0b11, 2000, True),
        ("few requests are to come", (0.85, 0.8), 0b01, 30, False),
    ],
)
def test_a_turn_begins_where_it_pays(lab, why, worths, used, seen, tried):
    """Expected improvement times the requests to come, against what is lost until ten answers are judged."""
    variants = [known(lab, "used", worths[0]), known(lab, "other", worths[1])]
    curiosity = Curiosity()
    for i in range(seen):
        curiosity.asked()
        if i % 10 == 0:
            curiosity.judged()
    assert curiosity.may
    curiosity.consider(variants, kinds(*worths), used, 1.0, 100)
    assert (curiosity.subject is variants[1]) is tried, why
    assert (variants[1].bonus > 0) is tried


def test_a_turn_ends_and_is_followed_by_a_pause(lab):
    """One answer in ten judged: fifty requests for five of them, then fifty without a turn."""
    variants = [known(lab, "used", 0.85), known(lab, "other", 0.84)]
    curiosity = Curiosity()
    for i in range(2000):
        curiosity.asked()
        if i % 10 == 0:
            curiosity.judged()
    curiosity.consider(variants, kinds(0.85, 0.84), 1, 1.0, 100)
    assert [curiosity.asked() for _ in range(50)] == [False] * 49 + [True]
    assert variants[1].bonus == 0.0
    assert not curiosity.may
    for _ in range(60):
        curiosity.asked()
    assert curiosity.may


def test_what_is_known_for_certain_is_not_tried(lab):
    """Without any doubt there is nothing to improve, unless it is better."""
    variants = [known(lab, "used", 0.85), known(lab, "other", 0.84)]
    for one in variants:
        one.knowledge.believed = lambda size: (0.84, 0.0)
    curiosity = Curiosity()
    for _ in range(100):
        curiosity.asked()
        curiosity.judged()
    curiosity.consider(variants, kinds(0.85, 0.84), 1, 1.0, 100)
    assert curiosity.subject is None
