"""Several selectors share what is in flight and what was taught; the next one knows what the last one learned."""

import random
from dataclasses import replace

import pytest

from warmfront.domain import PeerReport, Profile, Spread, Status, Warmth
from warmfront.selection.knowledge import Environment
from warmfront.selection.learned import Learned
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector, SelectorSettings
from warmfront.selection.variants import KnownVariant

SLOW = Profile(accuracy=0.9, latency_s=Spread(p50=0.1, p95=0.12), cold_start_s=Spread(p50=1.0, p95=1.5))


def report(peer="x", /, **in_flight) -> PeerReport:
    return PeerReport(peer=peer, in_flight=in_flight)


def test_peers_in_flight_lengthen_the_queue(lab):
    """Two places, four requests of peers: one more waits until three have left, 0.15 s."""
    selector = lab.selector(lab.seen("v", SLOW, ready=1, concurrency=2))
    idle = lab.numbers(selector, "v")
    selector.update(report("x", v=3), 0.0)
    selector.update(report("y", v=1), 0.0)
    busy = lab.numbers(selector, "v")
    assert (idle.in_flight, busy.in_flight) == (0, 4)
    assert (idle.wait_s, busy.wait_s) == (0.0, pytest.approx(0.15, rel=0.1))
    assert busy.predicted_s > idle.predicted_s


def test_own_and_peers_requests_fill_the_same_places(lab):
    """With one of two places taken by a peer, the own second request is the first that waits."""
    selector = lab.selector(lab.seen("v", SLOW, ready=1, concurrency=2))
    selector.update(report(v=1), 0.0)
    assert lab.numbers(selector, "v").wait_s == 0
    first = lab.send(selector, lab.request("q1"))
    assert lab.numbers(selector, "v").wait_s > 0
    lab.reply(selector, first, 0.1)
    assert lab.numbers(selector, "v", now=0.2).wait_s == 0


def test_a_new_report_replaces_the_last(lab):
    """Counts are not added up; one that names the variant no more, or one of zero, takes them back."""
    selector = lab.selector(lab.seen("v", SLOW, ready=1))
    for counts, wanted in (({"v": 3}, 3), ({"v": 2}, 2), ({"v": 0}, 0), ({"v": 5, "unknown": 1}, 5), ({}, 0), ({}, 0)):
        selector.update(report(**counts), 0.0)
        assert lab.numbers(selector, "v").in_flight == wanted


def test_a_dead_peer_leaves_no_ghosts(lab):
    """Two seconds after its last report a peer counts no more; one that still reports does."""
    selector = lab.selector(lab.seen("v", SLOW, ready=1, concurrency=2))
    selector.update(report("dead", v=4), 0.0)
    selector.update(report("alive", v=2), 1.0)
    assert [lab.numbers(selector, "v", now=now).in_flight for now in (1.0, 1.999, 2.0, 2.999, 3.0)] == [6, 6, 2, 2, 0]
    assert lab.numbers(selector, "v", now=3.0).wait_s == 0


def test_a_burst_shared_is_a_burst_spread(lab):
    """The better variant has one place: a selector that was told of the other's request sends its own elsewhere."""
    seen = (
        lab.seen("good", replace(SLOW, accuracy=0.9), ready=1, concurrency=1),
        lab.seen("fair", replace(SLOW, accuracy=0.8), ready=1, concurrency=1),
    )
    one, two = lab.selector(*seen), lab.selector(*seen)
    budget = 0.15
    assert lab.send(one, lab.request("q1", budget)).chosen.variant.name == "good"
    assert two.decide(lab.request("q2", budget), 0.0).chosen.variant.name == "good", "it cannot know yet"
    two.update(one.report("one", 0.0), 0.0)
    assert two.decide(lab.request("q2", budget), 0.0).chosen.variant.name == "fair"


def test_peers_are_believed_to_do_what_one_does_oneself(lab):
    """Between two reports the peers' numbers move with one's own: three peers, three times as much, never below 0."""
    selector = lab.selector(lab.seen("v", SLOW, ready=1, concurrency=100))
    for peer, count in (("x", 2), ("y", 0), ("z", 0)):
        selector.update(report(peer, v=count), 0.0)
    sent = [lab.send(selector, lab.request(f"q{i}")) for i in range(5)]
    assert lab.numbers(selector, "v").in_flight == 5 + (2 + 5) + 5 + 5
    busy = tuple(lab.request() for _ in range(5))
    for peer in ("y", "z"):
        selector.update(replace(report(peer, v=1), arrivals=busy), 0.2)
    assert lab.numbers(selector, "v", now=0.2).in_flight == 5 + (2 + 5) + 1 + 1
    for decision in sent[:3]:
        lab.reply(selector, decision, 0.25)
    assert lab.numbers(selector, "v", now=0.3).in_flight == 2 + (2 + 2) + 0 + 0


def test_an_idle_peer_is_not_believed_to_be_busy(lab):
    """A peer that sends a quarter of what this selector sends is believed to have moved a quarter as far."""
    selector = lab.selector(lab.seen("v", SLOW, ready=1, concurrency=100))
    peer = lab.selector(lab.seen("v", SLOW, ready=1, concurrency=100))
    sent = []
    for at in range(10):
        for i in range(8):
            sent.append(lab.send(selector, lab.request(f"q{at}-{i}", at=float(at))))
        for i in range(2):
            lab.reply(peer, lab.send(peer, lab.request(f"p{at}-{i}", at=float(at))), 0.1)
        selector.report("me", at + 0.5)
        selector.update(peer.report("quarter", at + 0.5), at + 0.5)
        selector.update(report("idle"), at + 0.5)
    for i in range(8):
        sent.append(lab.send(selector, lab.request(f"last-{i}", at=10.0)))
    assert lab.numbers(selector, "v", now=10.0).in_flight == len(sent) + 2


def test_variants_are_woken_for_everybodys_requests(lab):
    """Each of two selectors sees too few requests to wake the better variant; together they see enough."""
    seen = (
        lab.seen("good", lab.profile(accuracy=0.95, start=5.0, memory_mb=6000.0)),
        lab.seen("fair", lab.profile(accuracy=0.7), ready=1),
    )
    settings = SelectorSettings(max_warm_gb=8.0, may_keep=False)
    woken = []
    for exchange in (False, True):
        one, two = (lab.selector(*seen, settings=settings) for _ in range(2))
        starts = []
        for i in range(24):
            at = 60.0 * i
            lab.reply(one, lab.send(one, lab.request(f"q{i}", 0.5, at=at)), 0.01)
            lab.reply(two, lab.send(two, lab.request(f"q{i}", 0.5, at=at + 30)), 0.01)
            if exchange:
                reports = one.report("one", at + 31), two.report("two", at + 31)
                one.update(reports[1], at + 31)
                two.update(reports[0], at + 31)
            starts += one.plan(at + 32) + two.plan(at + 32)
        woken.append({start.variant for start in starts})
    assert woken == [set(), {"good"}]


def test_what_a_peer_sent_means_the_same_on_every_clock(lab):
    """Arrivals are told in time since the report, without names; of a task that nobody serves here nothing is kept."""
    selector = lab.selector(lab.seen("v", SLOW, ready=1))
    lab.send(selector, lab.request("secret", 0.5, at=1000.0), now=1000.1)
    lab.send(selector, lab.request("q2", None, at=1000.2))
    first, second = selector.report("me", 1001.0).arrivals
    assert (first.id, first.arrival_at, first.deadline_at) == ("", pytest.approx(-0.9), pytest.approx(-0.4))
    assert (second.arrival_at, second.deadline_at) == (pytest.approx(-0.8), None)
    other = lab.selector(lab.seen("w", SLOW, task="another"))
    other.update(PeerReport(peer="me", in_flight={}, arrivals=(first, second)), 5.0)
    assert other.plan(6.0) == []


def test_a_report_says_what_is_in_flight_and_what_is_new(lab):
    """In flight as of now, lessons and verdicts once, nothing of what peers told."""
    selector = lab.selector(lab.seen("v", SLOW, ready=1))
    selector.update(report(v=7), 0.0)
    first, second = (lab.send(selector, lab.request(id_)) for id_ in ("q1", "q2"))
    lab.reply(selector, first, 0.3, execution_s=0.25)
    lab.feedback(selector, first, 0.5, now=0.4)
    told = selector.report("me", 0.0)
    assert (told.peer, told.in_flight) == ("me", {"v": 1})
    (lesson,), (verdict,) = told.lessons, told.verdicts
    assert (lesson.variant, lesson.revision, lesson.upstream_s, lesson.execution_s) == ("v", "r1", 0.3, 0.25)
    assert (verdict.variant, verdict.size_bytes, verdict.correct) == ("v", lesson.size_bytes, 0.5)
    lab.reply(selector, second, 0.3, status=Status.FAILED)
    assert selector.report("me", 0.0) == PeerReport(peer="me", in_flight={})


def test_lessons_are_bounded(lab):
    """However many replies came since the last report, it carries the latest 64."""
    selector = lab.selector(lab.seen("v", SLOW, ready=1))
    for i in range(100):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}", at=float(i))), 0.1 + i / 1000)
    lessons = selector.report("me", 0.0).lessons
    assert len(lessons) == 64
    assert lessons[-1].upstream_s == pytest.approx(0.199)


def test_peers_teach_as_ones_own_requests_do(lab):
    """A selector that only hears ends up believing what the one that measured believes: time, calibration, accuracy."""
    wrong = replace(SLOW, accuracy=0.9)
    one, two = (lab.selector(lab.seen("v", wrong, ready=1)) for _ in range(2))
    for i in range(60):
        at = float(i)
        decision = lab.send(one, lab.request(f"q{i}", at=at))
        lab.reply(one, decision, 0.4, execution_s=0.39)
        lab.feedback(one, decision, float(i % 2), now=at + 0.5)
        two.update(one.report("one", at + 0.5), at + 0.5)
    mine, heard = (lab.numbers(selector, "v", now=60.0) for selector in (one, two))
    assert mine.predicted_s == pytest.approx(0.4, rel=0.1)
    assert heard == mine


def test_lessons_about_another_revision_or_variant_teach_nothing(lab):
    """Peers' catalogues differ for a moment: what is not about the same revision is left out."""
    one = lab.selector(lab.seen("v", SLOW, ready=1), lab.seen("w", SLOW, ready=1))
    two = lab.selector(lab.seen("v", SLOW, ready=1, revision="r2"))
    before = lab.numbers(two, "v")
    for i, other in enumerate(("v", "w")):
        decision = lab.send(one, lab.request(f"q{i}", excluded=frozenset({other})))
        lab.reply(one, decision, 30.0)
        lab.feedback(one, decision, 0.0)
    two.update(one.report("one", 0.0), 0.0)
    assert lab.numbers(two, "v") == before


def heir(lab, learned: Learned, at=0.0) -> Selector:
    policy = POLICIES["effective"](rng=random.Random(1))
    return Selector(policy=policy, settings=lab.settings, learned=learned, learned_at=at)


def taught(lab) -> tuple[Selector, float]:
    """A selector whose variant starts in 3 s, not 1 s, runs for 0.5 s, not 0.1 s, and is right one time in four."""
    selector = lab.selector(lab.seen("v", SLOW))
    for at in (-60.0, -50.0, -40.0, -30.0, -20.0, -10.0, 0.0):
        selector.update(lab.seen("v", SLOW, starting_at=(at,)), at)
        selector.update(lab.seen("v", SLOW, ready=1), at + 3.0)
    for i in range(80):
        at = 4.0 + i
        decision = lab.send(selector, lab.request(f"q{i}", at=at))
        lab.reply(selector, decision, 0.51, execution_s=0.5)
        lab.feedback(selector, decision, float(i % 4 == 0), now=at + 1)
    return selector, 90.0


def test_the_heir_believes_what_was_learned(lab):
    """Execution, start, accuracy and calibration: the next selector's numbers are the last one's, on its own clock."""
    old, now = taught(lab)
    new = heir(lab, old.learned(now), at=7.0)
    new.update(lab.seen("v", SLOW, ready=1), 7.0)
    was, is_ = lab.numbers(old, "v", now=now), lab.numbers(new, "v", now=7.0)
    assert is_.accuracy == pytest.approx(was.accuracy, abs=2e-3)
    assert is_.accuracy < 0.45
    assert is_.predicted_s == pytest.approx(was.predicted_s, rel=0.02)
    asleep = lab.seen("v", SLOW)
    old.update(asleep, now)
    new.update(asleep, 7.0)
    assert lab.numbers(old, "v", now=now).warmth is Warmth.COLD
    was, is_ = lab.numbers(old, "v", now=now), lab.numbers(new, "v", now=7.0)
    assert is_.wait_s == pytest.approx(was.wait_s, rel=0.05)
    assert is_.wait_s > 2


def test_what_was_learned_long_ago_is_believed_less(lab):
    """From what was learned at age 0 to what is declared after weeks, the numbers move one way."""
    old, now = taught(lab)
    left = old.learned(now)
    accuracies = []
    for days in (0, 1, 3, 30):
        (one,) = left.variants.values()
        aged = replace(left, variants={"v": replace(one, age_s=days * 86_400.0)}, age_s=days * 86_400.0)
        new = heir(lab, aged)
        new.update(lab.seen("v", SLOW, ready=1), 0.0)
        accuracies.append(lab.numbers(new, "v").accuracy)
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] == pytest.approx(0.9, abs=1e-3)


def test_a_new_revision_inherits_over_a_restart(lab):
    """Deployed while no selector ran: the new one starts with its predecessor's lessons, as if it had been watched."""
    old, now = taught(lab)
    better = replace(SLOW, accuracy=0.95)
    new = heir(lab, old.learned(now), at=now)
    for selector in (old, new):
        selector.update(lab.seen("v", better, ready=1, revision="r2"), now)
    was, is_ = lab.numbers(old, "v", now=now), lab.numbers(new, "v", now=now)
    assert is_.accuracy == pytest.approx(was.accuracy, abs=2e-3)
    assert is_.predicted_s == pytest.approx(was.predicted_s, rel=0.02)
    assert 0.4 < is_.accuracy < 0.95


def test_only_what_was_taught_is_left_behind(lab):
    """A variant that was only seen leaves nothing; an heir that sees nobody passes on what it got, older."""
    assert lab.selector(lab.seen("v")).learned(5.0) == Learned(
        network=lab.selector().learned(0.0).network, platform=lab.selector().learned(0.0).platform
    )
    old, now = taught(lab)
    left = old.learned(now)
    assert left.variants["v"].age_s == pytest.approx(now - 84.0, abs=1.0)
    assert left.age_s == left.variants["v"].age_s
    passed_on = heir(lab, left, at=100.0).learned(160.0)
    assert passed_on.variants["v"].age_s == pytest.approx(left.variants["v"].age_s + 60)
    assert replace(passed_on.variants["v"], age_s=0.0) == replace(left.variants["v"], age_s=0.0)


def test_the_platforms_share_is_inherited_by_strangers(lab):
    """A variant nobody saw before gains from starts that an earlier selector saw of others."""
    old, now = taught(lab)  # declared 1 s, took 3 s: 2 s are the platform's
    new, fresh = heir(lab, old.learned(now)), lab.selector()
    for selector in (new, fresh):
        selector.update(lab.seen("stranger", SLOW), 0.0)
    assert lab.numbers(new, "stranger").wait_s > 2 * lab.numbers(fresh, "stranger").wait_s


def test_what_peers_use_is_held_by_the_platform_too(lab):
    """A peer has a request at `v` at 5 s: until its window is over, 60 s later, `v` needs no plan to stay awake."""
    known = KnownVariant(lab.seen("v", ready=1), Environment(lab.settings))
    known.shared("peer", 0, 1.0, 5.0)
    assert not known.held_by_requests(6.0)
    known.shared("peer", 1, 1.0, 5.0)
    assert known.held_by_requests(64.0)
    assert not known.held_by_requests(66.0)
