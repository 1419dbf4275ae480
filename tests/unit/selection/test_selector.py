"""The five calls: what counts, what is remembered, what is refused."""

import pytest

from warmfront.domain import Feedback, OnMiss, Profile, Reason, Status, Warmth
from warmfront.errors import Conflict, NotFound
from warmfront.selection.selector import SelectorSettings, rounded


def test_unknown_task_is_refused_with_the_reason(lab):
    """No variant serves the task: a value, not an exception."""
    decision = lab.selector().decide(lab.request(), 0.0)
    assert (decision.reason, decision.chosen, decision.alternatives) == (Reason.UNKNOWN_TASK, None, ())


def test_every_alternative_is_explained(lab):
    """The numbers of all candidates are in the decision, the verdict saying why one is not eligible."""
    selector = lab.selector(
        lab.seen("good", ready=1),
        lab.seen("broken", available=False, reason="ImagePullBackOff"),
        lab.seen("tried", ready=1),
        lab.seen("poor", lab.profile(accuracy=0.3), ready=1),
    )
    decision = selector.decide(lab.request(min_accuracy=0.5, excluded=frozenset({"tried"})), 0.0)
    assert {c.variant.name: c.verdict for c in decision.alternatives} == {
        "good": "",
        "broken": "unavailable: ImagePullBackOff",
        "tried": "excluded: already tried for this request",
        "poor": "accuracy 0.300 is below the floor 0.500",
    }
    assert decision.chosen is decision.alternatives[0]
    assert decision.policy == "effective"


def test_decision_ids_tell_request_and_attempt(lab):
    """A retry, with what was tried excluded, is another decision; asking twice is the same one."""
    selector = lab.selector(lab.seen("a", ready=1), lab.seen("b", ready=1))
    first = selector.decide(lab.request("q7"), 0.0)
    again = selector.decide(lab.request("q7", excluded=frozenset({"a"})), 0.0)
    assert (first.id, again.id) == ("q7-1", "q7-2")
    assert selector.decide(lab.request("q7"), 0.0) == first


def test_all_excluded_or_unavailable_is_no_variant(lab):
    """Nothing is left to send to: refused, with the candidates' verdicts."""
    selector = lab.selector(lab.seen("a"), lab.seen("b", available=False, reason="no image"))
    decision = selector.decide(lab.request(excluded=frozenset({"a"})), 0.0)
    assert (decision.reason, decision.chosen) == (Reason.NO_VARIANT, None)
    assert len(decision.alternatives) == 2


def test_floor_unmet_degrades_to_the_best_or_rejects(lab):
    """No variant is accurate enough: the largest a * P, marked; or a refusal when the request says so."""
    selector = lab.selector(
        lab.seen("low", lab.profile(accuracy=0.5), ready=1), lab.seen("high", lab.profile(accuracy=0.7), ready=1)
    )
    degraded = selector.decide(lab.request(min_accuracy=0.9), 0.0)
    assert (degraded.reason, degraded.chosen.variant.name) == (Reason.DEGRADED, "high")
    rejected = selector.decide(lab.request(min_accuracy=0.9, on_miss=OnMiss.REJECT), 0.0)
    assert (rejected.reason, rejected.chosen) == (Reason.UNMET, None)


def test_deadline_unmet_degrades_or_rejects(lab):
    """With 0.2 s for a start of one second nobody can; with 10 s one can."""
    selector = lab.selector(lab.seen())
    assert selector.decide(lab.request(budget=0.2), 0.0).reason is Reason.DEGRADED
    assert selector.decide(lab.request(budget=0.2, on_miss=OnMiss.REJECT), 0.0).reason is Reason.UNMET
    assert selector.decide(lab.request(budget=10.0, on_miss=OnMiss.REJECT), 0.0).reason is Reason.CHOSEN


def test_a_spent_budget_has_no_chance(lab):
    """After the deadline every probability is zero, and the answer is still a decision."""
    decision = lab.selector(lab.seen(ready=1)).decide(lab.request(budget=-1.0), 0.0)
    assert decision.chosen.probability == 0.0
    assert decision.reason is Reason.DEGRADED


def test_decide_changes_nothing(lab):
    """Asking a hundred times leaves the next decision, and the one after a start, as if nobody had asked."""
    asked, quiet = (lab.selector(lab.seen("a"), lab.seen("b", ready=1)) for _ in range(2))
    for i in range(100):
        asked.decide(lab.request(f"x{i}", budget=0.1 * i), 0.0)
    assert asked.decide(lab.request(), 1.0) == quiet.decide(lab.request(), 1.0)
    lab.send(asked, lab.request("s"))
    lab.send(quiet, lab.request("s"))
    assert asked.decide(lab.request(), 1.0) == quiet.decide(lab.request(), 1.0)


def test_only_started_requests_are_in_flight(lab):
    """Counted from started() to the outcome."""
    selector = lab.selector(lab.seen("v", ready=1))
    decision = lab.send(selector, lab.request())
    assert lab.numbers(selector, "v").in_flight == 1
    lab.reply(selector, decision, 0.02)
    assert lab.numbers(selector, "v").in_flight == 0


def test_a_decision_starts_once_and_ends_once(lab):
    """Starting twice, ending twice, ending the unknown and starting a refusal are errors that say so."""
    selector = lab.selector(lab.seen("v", ready=1))
    decision = lab.send(selector, lab.request())
    with pytest.raises(Conflict, match="q-1 was started already"):
        selector.started(decision, 0.0)
    lab.reply(selector, decision, 0.02)
    with pytest.raises(NotFound, match="'q-1'"):
        lab.reply(selector, decision, 0.02)
    with pytest.raises(NotFound):
        selector.observe(Feedback(decision_id="never", correct=1.0), 0.0)
    with pytest.raises(ValueError, match="is a refusal"):
        selector.started(lab.selector().decide(lab.request(), 0.0), 0.0)


def test_the_memory_is_bounded(lab):
    """The oldest pending and the oldest answered decision give way."""
    selector = lab.selector(lab.seen("v", ready=1), settings=SelectorSettings(max_pending=2, max_answered=2))
    decisions = [lab.send(selector, lab.request(f"q{i}")) for i in range(3)]
    with pytest.raises(NotFound):
        lab.reply(selector, decisions[0], 0.01)
    assert lab.numbers(selector, "v").in_flight == 2  # the forgotten one no longer counts
    for decision in decisions[1:]:
        lab.reply(selector, decision, 0.01)
    lab.reply(selector, lab.send(selector, lab.request("q3")), 0.01)
    with pytest.raises(NotFound):
        lab.feedback(selector, decisions[1], 1.0)
    lab.feedback(selector, decisions[2], 1.0)


def test_feedback_changes_the_expected_accuracy(lab):
    """Before the outcome or after it, by decision id."""
    selector = lab.selector(lab.seen("v", lab.profile(accuracy=0.9), ready=1))
    for i in range(20):
        decision = lab.send(selector, lab.request(f"q{i}"))
        if i % 2:
            lab.feedback(selector, decision, 0.0)
        lab.reply(selector, decision, 0.01)
        if not i % 2:
            lab.feedback(selector, decision, 0.0)
    assert lab.numbers(selector, "v").accuracy < 0.5


def test_gone_variants_drain_safely(lab):
    """The outcome of, and feedback on, a removed variant are taken without a word."""
    selector = lab.selector(lab.seen("v", ready=1), lab.seen("w", ready=1))
    decision = lab.send(selector, lab.request(excluded=frozenset({"w"})))
    selector.update(lab.seen("v", gone=True), 1.0)
    assert list(selector.catalogue) == ["w"]
    lab.reply(selector, decision, 0.5)
    lab.feedback(selector, decision, 1.0)
    selector.update(lab.seen("v", gone=True), 2.0)  # again: nothing to do
    selector.update(lab.seen("w", gone=True), 2.0)
    assert selector.decide(lab.request(), 2.0).reason is Reason.UNKNOWN_TASK


def test_a_variant_may_leave_between_decide_and_started(lab):
    """A decision for a variant that is gone meanwhile starts nothing that could be leaked."""
    selector = lab.selector(lab.seen("v", ready=1))
    decision = selector.decide(lab.request(), 0.0)
    selector.update(lab.seen("v", gone=True), 0.0)
    selector.started(decision, 0.0)
    with pytest.raises(NotFound):
        lab.reply(selector, decision, 0.1)


def test_a_variant_may_change_its_task(lab):
    """Relabelled, it serves the new task and no longer the old one."""
    selector = lab.selector(lab.seen("v", task="t"))
    selector.update(lab.seen("v", task="u"), 1.0)
    assert selector.decide(lab.request(), 1.0).reason is Reason.UNKNOWN_TASK
    assert selector.catalogue["v"].variant.task == "u"


def test_the_catalogue_is_the_latest_observation_and_read_only(lab):
    """For display; the way in is update()."""
    selector = lab.selector(lab.seen("v"))
    selector.update(lab.seen("v", ready=2), 1.0)
    assert selector.catalogue["v"].ready == 2
    with pytest.raises(TypeError):
        selector.catalogue["v"] = lab.seen("v")


def test_warmth_follows_the_observation(lab):
    """Cold, starting, warm: as seen."""
    selector = lab.selector(lab.seen("v"))
    assert lab.numbers(selector, "v").warmth is Warmth.COLD
    selector.update(lab.seen("v", starting_at=(0.5, 0.2)), 0.5)
    starting = lab.numbers(selector, "v", now=0.6)
    assert (starting.warmth, starting.ready) == (Warmth.STARTING, 0)
    selector.update(lab.seen("v", ready=2), 1.5)
    warm = lab.numbers(selector, "v", now=1.6)
    assert (warm.warmth, warm.ready, warm.wait_s) == (Warmth.WARM, 2, 0.0)


def test_a_full_variant_makes_wait(lab):
    """Below ready * concurrency nobody waits; beyond, each further request waits for one departure more."""
    selector = lab.selector(lab.seen("v", lab.profile(execution=0.1), ready=2, concurrency=2))
    waits = []
    for i in range(6):
        waits.append(lab.numbers(selector, "v").wait_s)
        lab.send(selector, lab.request(f"q{i}"))
    assert waits[:4] == [0.0] * 4
    assert waits[4] == pytest.approx(0.1 / 4, rel=0.2)
    assert waits[5] == pytest.approx(2 * waits[4])


def test_no_concurrency_limit_means_no_queue(lab):
    """concurrency 0: all are served at once."""
    selector = lab.selector(lab.seen("v", ready=1, concurrency=0))
    for i in range(50):
        lab.send(selector, lab.request(f"q{i}"))
    assert lab.numbers(selector, "v").wait_s == 0.0


def test_requests_held_by_a_start_queue_behind_it(lab):
    """With one slot, the third request in a start waits for two executions more than the first."""
    selector = lab.selector(lab.seen("v", lab.profile(execution=0.5), starting_at=(0.0,), concurrency=1))
    first = lab.numbers(selector, "v").predicted_s
    for i in range(2):
        lab.send(selector, lab.request(f"q{i}"))
    assert lab.numbers(selector, "v").predicted_s == pytest.approx(first + 2 * 0.53, rel=0.05)


def test_sizes_are_rounded_within_six_percent():
    """Small sizes stay exact; large ones share forecasts."""
    assert [rounded(size) for size in (0, 1, 15, 24, 200, 1000)] == [0, 1, 15, 24, 208, 1024]
    assert all(abs(rounded(size) / size - 1) <= 1 / 16 for size in range(1, 5000))


def test_prepared_forecasts_are_bounded(lab):
    """Thousands of queue lengths and sizes do not pile up, and the answers stay the same."""
    selector = lab.selector(lab.seen("v", ready=1, concurrency=1), lab.seen("c", concurrency=1))
    before = lab.numbers(selector, "c")
    for i in range(1200):
        lab.send(selector, lab.request(f"q{i}", excluded=frozenset({"c"})))
        lab.numbers(selector, "v")
    assert lab.numbers(selector, "c") == before
    assert len(selector._known["v"].knowledge._waiting) <= 512


def test_everything_absent_is_answered_by_the_defaults(lab):
    """No profile, no data, no deadline: 0.5 accurate, a start of 2 s, an execution of 0.1 s, the transport timeout."""
    selector = lab.selector(lab.seen("v", Profile()))
    number = lab.numbers(selector, "v", budget=None)
    assert number.accuracy == 0.5
    assert number.predicted_s == pytest.approx(2.2, rel=0.5)
    assert number.probability > 0.95


def test_a_new_revision_inherits(lab):
    """What replies taught of the last revision is expected of the next one too."""
    selector = lab.selector(lab.seen("v", ready=1))
    for i in range(50):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}")), 0.1, execution_s=0.1)
    learned = lab.numbers(selector, "v").predicted_s
    selector.update(lab.seen("v", revision="r2", ready=1), 100.0)
    assert lab.numbers(selector, "v", now=100.0).predicted_s == pytest.approx(learned, rel=0.2)


def test_network_is_learned_by_all_as_what_is_left_of_upstream(lab):
    """50 ms upstream of which 10 ms are execution: 40 ms are the network, for the other variant as well."""
    selector = lab.selector(lab.seen("v", ready=1), lab.seen("w", ready=1))
    before = lab.numbers(selector, "w").predicted_s
    for i in range(40):
        decision = lab.send(selector, lab.request(f"q{i}", excluded=frozenset({"w"})))
        lab.reply(selector, decision, 0.05, execution_s=0.01)
    assert lab.numbers(selector, "v").predicted_s == pytest.approx(0.05, rel=0.1)
    assert lab.numbers(selector, "w").predicted_s > before + 0.02


def test_without_the_variants_word_execution_is_upstream_less_network(lab):
    """No execution time told: what upstream leaves after the network teaches the execution."""
    selector = lab.selector(lab.seen("v", lab.profile(execution=0.01), ready=1))
    for i in range(40):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}")), 0.3)
    assert lab.numbers(selector, "v").predicted_s == pytest.approx(0.3, rel=0.1)


def test_a_waited_reply_teaches_execution_only_by_the_variants_word(lab):
    """A request that waited two seconds for a start and ran 10 ms does not make the variant slow."""
    selector = lab.selector(lab.seen("v"))
    for i, told in enumerate((None, 0.01)):
        decision = lab.send(selector, lab.request(f"q{i}", at=10.0 * i, budget=5.0))
        lab.reply(selector, decision, 2.0, execution_s=told, cold=True)
        selector.update(lab.seen("v", ready=1), 10.0 * i + 3)
        assert lab.numbers(selector, "v", now=10.0 * i + 4).predicted_s < 0.05
        selector.update(lab.seen("v"), 10.0 * i + 5)


@pytest.mark.parametrize(("status", "censored"), [(Status.FAILED, False), (Status.REJECTED, False)])
def test_a_failure_teaches_nothing_about_time(lab, status, censored):
    """A quick failure is not a quick variant."""
    selector = lab.selector(lab.seen("v", ready=1))
    before = lab.numbers(selector, "v")
    decision = lab.send(selector, lab.request())
    lab.reply(selector, decision, 5.0, status=status, censored=censored)
    assert lab.numbers(selector, "v") == before


def test_a_cut_off_request_teaches_that_it_takes_longer(lab):
    """Timeouts at one second make a 10 ms variant unlikely to answer within one second."""
    selector = lab.selector(lab.seen("v", ready=1), settings=SelectorSettings(backoff_limit_s=0.0))
    for i in range(15):
        decision = lab.send(selector, lab.request(f"q{i}"))
        lab.reply(selector, decision, 1.0, status=Status.FAILED if i % 2 else Status.LATE, censored=True)
    assert lab.numbers(selector, "v", now=2.0).probability < 0.5


def test_a_cut_off_start_and_an_instant_cut_teach_no_execution(lab):
    """Cut while waiting for a start, or before the network could have answered: the execution stays as declared."""
    selector = lab.selector(lab.seen("v"))
    lab.reply(selector, lab.send(selector, lab.request()), 1.0, status=Status.LATE, censored=True, cold=True)
    selector.update(lab.seen("v", ready=1), 2.0)
    before = lab.numbers(selector, "v", now=2.0).predicted_s
    lab.reply(selector, lab.send(selector, lab.request("r", at=2.0)), 1e-7, status=Status.LATE, censored=True)
    assert lab.numbers(selector, "v", now=2.0).predicted_s == pytest.approx(before, rel=0.05)


def test_starts_are_learned_from_asked_to_ready(lab):
    """A declared start of one second that takes four is expected to take about four soon, its platform share too."""
    selector = lab.selector(lab.seen("v", lab.profile(start=1.0)), lab.seen("w", lab.profile(start=1.0)))
    other = lab.numbers(selector, "w").wait_s
    for i in range(6):
        at = 100.0 * i
        selector.update(lab.seen("v", lab.profile(start=1.0), starting_at=(at,)), at)
        selector.update(lab.seen("v", lab.profile(start=1.0), ready=1), at + 4)
        selector.update(lab.seen("v", lab.profile(start=1.0)), at + 90)
    assert lab.numbers(selector, "v", now=1000.0).wait_s == pytest.approx(4.0, rel=0.1)
    assert lab.numbers(selector, "w", now=1000.0).wait_s > other + 1


def test_a_replica_never_seen_starting_teaches_nothing(lab):
    """Ready at first sight: nobody knows since when."""
    selector = lab.selector(lab.seen("v"))
    before = lab.numbers(selector, "v").wait_s
    selector.update(lab.seen("v", ready=1), 50.0)
    selector.update(lab.seen("v"), 100.0)
    assert lab.numbers(selector, "v", now=100.0).wait_s == before


def test_an_outcome_of_no_duration_is_taken(lab):
    """A clock too coarse to tell sent from answered is no error."""
    selector = lab.selector(lab.seen("v", ready=1))
    lab.reply(selector, lab.send(selector, lab.request()), 0.0)
    assert lab.numbers(selector, "v").in_flight == 0
