"""What must be true though nobody has seen it: starts under way, replicas proved by a reply, variants that fail."""

import pytest

from warmfront.domain import Profile, Reason, Spread, Status, Warmth
from warmfront.selection.selector import SelectorSettings


def test_a_request_to_a_sleeping_variant_makes_a_start_presumed(lab):
    """Before any observation shows it, the start counts from the moment of sending, and its residual shrinks."""
    selector = lab.selector(lab.seen("v", lab.profile(start=4.0)))
    lab.send(selector, lab.request(), now=10.0)
    early, late = (lab.numbers(selector, "v", now=now) for now in (10.1, 13.0))
    assert early.warmth is late.warmth is Warmth.STARTING
    assert late.wait_s < early.wait_s / 2


def test_an_observation_that_shows_nothing_yet_does_not_end_the_presumption(lab):
    """The catalogue lags: an update without replicas just after the request is no denial."""
    selector = lab.selector(lab.seen("v"))
    lab.send(selector, lab.request())
    selector.update(lab.seen("v"), 0.01)
    assert lab.numbers(selector, "v", now=0.1).warmth is Warmth.STARTING


def test_what_is_observed_replaces_what_was_presumed(lab):
    """The observed start, or the observed replica, counts from then on; after it is gone the variant is cold."""
    selector = lab.selector(lab.seen("v"))
    lab.send(selector, lab.request())
    selector.update(lab.seen("v", starting_at=(0.2,)), 0.3)
    selector.update(lab.seen("v"), 1.0)
    assert lab.numbers(selector, "v", now=1.0).warmth is Warmth.COLD
    lab.send(selector, lab.request("r"), now=1.0)
    selector.update(lab.seen("v", ready=1), 2.0)
    selector.update(lab.seen("v"), 70.0)
    assert lab.numbers(selector, "v", now=70.0).warmth is Warmth.COLD


def test_a_presumed_start_teaches_the_cold_start(lab):
    """Asked for at sending, ready when first seen so: a sample, though the start itself was never shown."""
    selector = lab.selector(lab.seen("v", lab.profile(start=1.0)))
    before = lab.numbers(selector, "v").wait_s
    for at in (0.0, 100.0, 200.0):
        lab.send(selector, lab.request(f"q{at}"), now=at)
        selector.update(lab.seen("v", lab.profile(start=1.0), ready=1), at + 5.0)
        selector.update(lab.seen("v", lab.profile(start=1.0)), at + 90.0)
    assert lab.numbers(selector, "v", now=300.0).wait_s > 2 * before


def test_a_presumption_ends_by_time(lab):
    """A start that nothing confirms within the generous timeout is presumed no longer."""
    selector = lab.selector(lab.seen("v"), settings=SelectorSettings(presumed_start_timeout_s=30.0))
    lab.send(selector, lab.request())
    assert lab.numbers(selector, "v", now=29.0).warmth is Warmth.STARTING
    assert lab.numbers(selector, "v", now=31.0).warmth is Warmth.COLD


def test_a_reply_proves_a_replica_for_as_long_as_the_platform_keeps_it(lab):
    """Where replicas cannot be observed, a reply says that one is there until the window since the last has passed."""
    selector = lab.selector(lab.seen("v"))
    lab.reply(selector, lab.send(selector, lab.request(budget=9.0)), 2.0)
    warm = lab.numbers(selector, "v", now=30.0)
    assert (warm.warmth, warm.ready) == (Warmth.WARM, 1)
    lab.reply(selector, lab.send(selector, lab.request("r", at=40.0)), 0.02)
    assert lab.numbers(selector, "v", now=99.0).warmth is Warmth.WARM
    assert lab.numbers(selector, "v", now=101.0).warmth is Warmth.COLD


def test_a_reply_after_the_replica_was_seen_to_go_proves_nothing(lab):
    """The last reply of a draining replica does not make the variant warm."""
    selector = lab.selector(lab.seen("v", ready=1))
    decision = lab.send(selector, lab.request())
    selector.update(lab.seen("v"), 0.5)
    lab.reply(selector, decision, 0.6)
    assert lab.numbers(selector, "v", now=1.0).warmth is Warmth.COLD


def test_a_failure_ends_the_presumption(lab):
    """A start that answered with a failure is not expected to end well; the next request would ask anew."""
    selector = lab.selector(lab.seen("v"))
    lab.reply(selector, lab.send(selector, lab.request()), 0.1, status=Status.FAILED)
    assert lab.numbers(selector, "v", now=0.2).warmth is Warmth.COLD


def test_a_start_that_is_overdue_is_not_counted_on(lab):
    """Of 20 starts 19 take 3 s, so after 6 s nobody is sent there, if there is anybody else; a replica ends that."""
    start = {"overdue_factor": 2.0, "overdue_least_s": 5.0, "platform_start_s": Spread(p50=1e-6, p95=2e-6)}
    profile = Profile(accuracy=0.9, cold_start_s=Spread(p50=2.0, p95=3.0))
    stuck, other = (
        lab.seen("stuck", profile, starting_at=(10.0,)),
        lab.seen("other", lab.profile(accuracy=0.1), ready=1),
    )
    selector = lab.selector(stuck, other, settings=SelectorSettings(**start), now=10.0)
    ask = lab.request(at=10.0, budget=60.0)
    assert selector.decide(ask, 15.9).chosen.variant.name == "stuck"
    late = selector.decide(ask, 18.0)
    assert late.chosen.variant.name == "other"
    assert [c.verdict for c in late.alternatives] == ["overdue: has been starting for 8.0 s", ""]
    selector.update(lab.changed(stuck, starting_at=(), ready=1), 20.0)
    assert selector.decide(ask, 20.0).chosen.variant.name == "stuck"


def test_who_has_no_choice_counts_on_a_start_that_is_overdue(lab):
    """The only variant is asked however long it takes."""
    selector = lab.selector(lab.seen("only", starting_at=(0.0,)))
    assert selector.decide(lab.request(at=100.0), 100.0).chosen.variant.name == "only"


def test_a_start_that_is_only_presumed_can_be_overdue_too(lab):
    """Where starts cannot be seen, one that was asked for is given up the same way, until it is presumed no longer."""
    settings = SelectorSettings(presumed_start_timeout_s=30.0)
    selector = lab.selector(lab.seen("v", lab.profile(start=1.0)), settings=settings)
    lab.send(selector, lab.request())
    assert lab.numbers(selector, "v", now=4.0).verdict == ""
    assert lab.numbers(selector, "v", now=29.0).verdict == "overdue: has been starting for 29.0 s"
    assert lab.numbers(selector, "v", now=31.0).verdict == ""


def test_one_failure_is_forgiven_the_second_makes_rest(lab):
    """After two failures in a row the variant rests for a second, then two, four, up to the limit."""
    settings = SelectorSettings(backoff_s=1.0, backoff_limit_s=5.0)
    selector = lab.selector(
        lab.seen("bad", ready=1), lab.seen("good", lab.profile(accuracy=0.5), ready=1), settings=settings
    )
    rests, now = [], 0.0
    for i in range(6):
        decision = lab.send(selector, lab.request(f"q{i}", at=now))
        assert decision.chosen.variant.name == "bad"  # tried again each time its rest is over
        lab.reply(selector, decision, 0.0, status=Status.FAILED)
        rests.append(selector._known["bad"].resting_until - now)
        now = max(now, selector._known["bad"].resting_until)
    assert rests == [float("-inf"), 1.0, 2.0, 4.0, 5.0, 5.0]


def test_while_one_rests_others_answer_and_the_verdict_tells(lab):
    """The better variant rests: the other one is chosen, and the decision says how long and why."""
    selector = lab.selector(lab.seen("bad", ready=1), lab.seen("good", lab.profile(accuracy=0.5), ready=1))
    for i in range(2):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}")), 0.0, status=Status.FAILED)
    decision = selector.decide(lab.request(), 0.25)
    assert (decision.chosen.variant.name, decision.reason) == ("good", Reason.CHOSEN)
    assert lab.numbers(selector, "bad", now=0.25).verdict == "resting 0.8 s after 2 failures in a row"


def test_a_reply_ends_the_count_of_failures(lab):
    """Failure, reply, failure: not in a row, no rest."""
    selector = lab.selector(lab.seen("v", ready=1))
    for i, status in enumerate((Status.FAILED, Status.OK, Status.FAILED)):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}")), 0.01, status=status)
    assert lab.numbers(selector, "v", now=0.02).verdict == ""


def test_when_all_rest_the_best_of_them_is_tried(lab):
    """A failing variant is better than a refusal: chosen, and marked as degraded."""
    selector = lab.selector(lab.seen("v", ready=1))
    for i in range(2):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}")), 0.0, status=Status.FAILED)
    decision = selector.decide(lab.request(), 0.5)
    assert (decision.reason, decision.chosen.variant.name) == (Reason.DEGRADED, "v")


@pytest.mark.parametrize("change", [{"revision": "r2"}, {"profile": True}])
def test_a_new_revision_or_profile_starts_without_a_record_of_failures(lab, change):
    """What broke may be mended."""
    selector = lab.selector(lab.seen("v", ready=1))
    for i in range(2):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}")), 0.0, status=Status.FAILED)
    assert lab.numbers(selector, "v", now=0.5).verdict
    changes = {"profile": lab.profile(accuracy=0.9)} if "profile" in change else change
    selector.update(lab.seen("v", ready=1, **changes), 0.5)
    assert lab.numbers(selector, "v", now=0.5).verdict == ""


def test_only_as_many_starts_end_as_replicas_came(lab):
    """Two asked for at 0 and 2 s, one ready at 5 s: one sample of 5 s, and the other goes on."""
    selector = lab.selector(lab.seen("v", lab.profile(start=5.0)))
    selector.update(lab.seen("v", lab.profile(start=5.0), starting_at=(0.0, 2.0)), 2.0)
    selector.update(lab.seen("v", lab.profile(start=5.0), ready=1, starting_at=(2.0,)), 5.0)
    samples = selector._known["v"].knowledge._cold_start._samples
    assert samples.weight == pytest.approx(1.0)
    selector.update(lab.seen("v", lab.profile(start=5.0), ready=2), 7.0)
    assert samples.weight == pytest.approx(1.98)


def test_a_start_given_up_teaches_nothing(lab):
    """It vanished and no replica came."""
    selector = lab.selector(lab.seen("v", starting_at=(0.0,)))
    selector.update(lab.seen("v"), 3.0)
    assert selector._known["v"].knowledge._cold_start._samples.weight == 0
