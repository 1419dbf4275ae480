"""Time-lines: what a selector does as things happen, step by step."""

import random

import pytest

from warmfront.domain import Status, Warmth

CLD2 = {"accuracy": 0.76, "execution": 0.001, "start": 0.15, "memory_mb": 60.0}
LINGUA = {"accuracy": 0.91, "execution": 0.03, "start": 11.0, "memory_mb": 1090.0}


def test_while_the_slow_starter_starts_others_answer_and_then_it_takes_over(lab):
    """From nothing: the quick variant is started by a request, the good one by the plan; it answers when it can."""
    cld2, lingua = lab.profile(**CLD2), lab.profile(**LINGUA)
    selector = lab.selector(lab.seen("cld2", cld2), lab.seen("lingua", lingua))

    def chosen(number, now, budget):
        decision = lab.send(selector, lab.request(f"q{number}", at=now, budget=budget))
        lab.reply(selector, decision, 0.005 if decision.chosen.warmth is Warmth.WARM else budget)
        return decision.chosen.variant.name

    # 0 s: all sleep; a deadline of one second can only be met by cld2, which starts
    assert chosen(0, 0.0, 1.0) == "cld2"
    selector.update(lab.seen("cld2", cld2, starting_at=(0.0,)), 0.01)
    selector.update(lab.seen("cld2", cld2, ready=1), 0.2)
    # 0.3 to 1 s: cld2 is warm and answers everything, however long the deadline
    assert {chosen(i, 0.3 + i / 10, (0.5, 1.0, 12.0)[i % 3]) for i in range(1, 7)} == {"cld2"}
    # 1 s: enough was asked to know that lingua would pay
    (start,) = selector.plan(1.0)
    assert start.variant == "lingua"
    selector.update(lab.seen("lingua", lingua, starting_at=(1.0,)), 1.01)
    # 2 s: with 9 to 10 s of the start left, a deadline of 8 s is still for cld2, and no second start is planned
    assert chosen(10, 2.0, 8.0) == "cld2"
    assert selector.plan(2.0) == []
    # 8 s: some 4 s are left; for a deadline of 15 s lingua is worth waiting for, for 3 s it is not
    assert chosen(11, 8.0, 15.0) == "lingua"
    assert chosen(12, 8.0, 3.0) == "cld2"
    # 12.5 s: ready; it answers from now on
    selector.update(lab.seen("lingua", lingua, ready=1), 12.5)
    assert {chosen(20 + i, 13.0 + i, (0.5, 3.0, 15.0)[i % 3]) for i in range(6)} == {"lingua"}
    # 80 s: lingua has been idle and is gone; cld2 still stands and answers
    selector.update(lab.seen("lingua", lingua), 80.0)
    assert chosen(30, 80.0, 3.0) == "cld2"


def test_a_residual_shrinks_with_age_and_an_overdue_start_stays_uncertain(lab):
    """At 0, 4, 8 s of a start of 11 s less and less is left; at 30 s it is neither certain nor given up."""
    lingua = lab.profile(**LINGUA)
    selector = lab.selector(lab.seen("lingua", lingua, starting_at=(0.0,)))
    waits = [lab.numbers(selector, "lingua", now=now, budget=5.0) for now in (0.0, 4.0, 8.0)]
    assert waits[0].wait_s > waits[1].wait_s > waits[2].wait_s > 1.0
    assert waits[0].probability < waits[1].probability < waits[2].probability
    overdue = lab.numbers(selector, "lingua", now=30.0, budget=3.0)
    assert overdue.wait_s > 0.5
    assert 0.2 < overdue.probability < 0.8


def test_a_full_favourite_spills_over_to_the_next_best(lab):
    """Under a burst the best variant fills up; as soon as its queue would miss the deadline, the next best answers."""
    best, next_best = lab.profile(0.9, 0.2), lab.profile(0.8, 0.01)
    selector = lab.selector(
        lab.seen("best", best, ready=1, concurrency=1), lab.seen("next", next_best, ready=1, concurrency=8)
    )
    chosen = [lab.send(selector, lab.request(f"q{i}", budget=1.0)).chosen.variant.name for i in range(12)]
    assert chosen[0] == "best"
    assert chosen[-1] == "next"
    assert 2 <= chosen.count("best") <= 4
    assert chosen == sorted(chosen)  # once it spills, it spills on


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_wrong_profile_is_learned_within_twenty_replies(lab, factor):
    """Execution really ten times slower or faster than declared: the prediction comes within 30 %."""
    selector = lab.selector(lab.seen("v", lab.profile(execution=0.1), ready=1))
    rng = random.Random(9)
    for i in range(20):
        seconds = 0.1 * factor * rng.lognormvariate(0, 0.2)
        decision = lab.send(selector, lab.request(f"q{i}"))
        lab.reply(selector, decision, seconds + 0.002, execution_s=seconds)
    assert lab.numbers(selector, "v").predicted_s == pytest.approx(0.1 * factor + 0.002, rel=0.3)


def test_feedback_turns_the_choice(lab):
    """The declared best is wrong most of the time: after some feedback the other one is chosen."""
    selector = lab.selector(
        lab.seen("boaster", lab.profile(0.95), ready=1), lab.seen("honest", lab.profile(0.8), ready=1)
    )
    for i in range(30):
        decision = lab.send(selector, lab.request(f"q{i}"))
        lab.reply(selector, decision, 0.01)
        lab.feedback(selector, decision, 0.3 if decision.chosen.variant.name == "boaster" else 1.0)
    assert selector.decide(lab.request(), 0.0).chosen.variant.name == "honest"


def test_a_slow_down_is_noticed_by_timeouts_alone(lab):
    """The favourite hangs: every request is cut off at its deadline. Others take over within a dozen requests."""
    selector = lab.selector(lab.seen("hangs", lab.profile(0.9), ready=1), lab.seen("works", lab.profile(0.7), ready=1))
    chosen = []
    for i in range(20):
        decision = lab.send(selector, lab.request(f"q{i}", at=float(i), budget=0.5))
        chosen.append(decision.chosen.variant.name)
        if chosen[-1] == "hangs":
            lab.reply(selector, decision, 0.5, status=Status.LATE, censored=True)
        else:
            lab.reply(selector, decision, 0.012)
    assert chosen[0] == "hangs"
    assert set(chosen[12:]) == {"works"}


@pytest.mark.parametrize(
    ("kind", "draw"),
    [
        ("wider than declared", lambda rng: 0.1 * rng.lognormvariate(0, 0.9)),
        ("two humps", lambda rng: rng.uniform(0.08, 0.12) if rng.random() < 0.85 else rng.uniform(0.6, 0.9)),
        ("three times slower", lambda rng: 0.3 * rng.lognormvariate(0, 0.3)),
        ("steady", lambda rng: rng.uniform(0.099, 0.101)),
    ],
)
def test_promised_probabilities_come_true(lab, kind, draw):
    """Random deadlines against a truth that the profile does not know: promises above 80 % are kept within 4 points.

    1,500 requests, the first 150 only to learn from; all promises together hold within 2 points. The seed is fixed.
    Of 400 runs with fresh seeds three broke the second bound, none the first.
    """
    rng = random.Random(21)
    selector = lab.selector(lab.seen("v", lab.profile(execution=0.1), ready=1))
    promises: list[tuple[float, bool]] = []
    for i in range(1500):
        budget = 0.1 * rng.lognormvariate(0.7, 0.9)
        decision = lab.send(selector, lab.request(f"q{i}", at=10.0 * i, budget=budget))
        seconds = draw(rng)
        lab.reply(selector, decision, seconds, status=Status.OK if seconds <= budget else Status.LATE)
        if i >= 150:
            promises.append((decision.chosen.probability, seconds <= budget))
    assert gap(promises) == pytest.approx(0.0, abs=0.02), kind
    assert gap([pair for pair in promises if pair[0] > 0.8]) == pytest.approx(0.0, abs=0.04), kind


def gap(promises):
    """Share kept less mean promise."""
    return sum(kept - promised for promised, kept in promises) / len(promises)
