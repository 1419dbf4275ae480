"""Tolls: who is in others' way pays for it, and only then."""

import pytest

from warmfront.selection.toll import DECAY, DOUBT

# answers in 0.1 s, one at a time; and in 0.5 s, as many as come
QUICK = {"accuracy": 0.8, "execution": 0.1}
ROOMY = {"accuracy": 0.8, "execution": 0.5}


def crossing(lab, policy="effective"):
    """A selector of both, warm."""
    return lab.selector(
        lab.seen("quick", lab.profile(**QUICK), concurrency=1, ready=1),
        lab.seen("roomy", lab.profile(**ROOMY), concurrency=0, ready=1),
        policy=policy,
    )


def rush(lab, selector, rounds):
    """Per round a patient request (3 s) and, 0.05 s later, one in a hurry (0.25 s). Who answered, by kind."""
    patient, hurried = [], []
    for i in range(rounds):
        at = 2.0 * i
        first = lab.send(selector, lab.request(f"p{i}", budget=3.0, at=at))
        second = lab.send(selector, lab.request(f"h{i}", budget=0.25, at=at + 0.05))
        for decision in (first, second):
            took = 0.1 if decision.chosen.variant.name == "quick" else 0.5
            lab.reply(selector, decision, took, now=at + 1.0, execution_s=took - 0.002)
        patient.append(first.chosen.variant.name)
        hurried.append(second.chosen.variant.name)
    return patient, hurried


def test_patient_requests_learn_to_leave_the_quick_variant_to_those_in_a_hurry(lab):
    """At first the patient one takes the quick variant; soon it pays more for that than it gains."""
    selector = crossing(lab)
    patient, hurried = rush(lab, selector, 12)
    assert patient[0] == "quick"
    assert set(patient[4:]) == {"roomy"}
    assert set(hurried[4:]) == {"quick"}


def test_price_of_a_candidate_tells_the_toll(lab):
    """The price, which the score is less by, is above 0 for the variant that is in the way, and 0 for the other."""
    selector = crossing(lab)
    rush(lab, selector, 3)
    assert lab.numbers(selector, "quick", now=100.0).price > 0.03
    assert lab.numbers(selector, "roomy", now=100.0).price == pytest.approx(0.0, abs=1e-6)


def test_requests_that_are_alone_pay_nothing(lab):
    """Nobody in the way of anybody: no toll, whatever the traffic was."""
    selector = crossing(lab)
    for i in range(50):
        decision = lab.send(selector, lab.request(f"q{i}", budget=0.25, at=float(i)))
        lab.reply(selector, decision, 0.1, execution_s=0.1)
    assert lab.numbers(selector, "quick", now=60.0).price == 0


def test_toll_is_forgotten_when_nobody_uses_the_variant(lab):
    """After 400 requests to the other one, in nobody's way, less than a tenth of it is left."""
    selector = crossing(lab)
    rush(lab, selector, 3)
    before = lab.numbers(selector, "quick", now=100.0).price
    for i in range(400):
        decision = lab.send(selector, lab.request(f"q{i}", budget=5.0, at=100.0 + i))
        lab.reply(selector, decision, 0.5, execution_s=0.498)
    assert 0 < lab.numbers(selector, "quick", now=600.0).price < before / 10


def test_one_harmed_once_makes_the_toll_its_loss_per_request(lab):
    """One request harmed one other by g: the toll is g over the one that was there and the doubt."""
    selector = crossing(lab)
    lab.send(selector, lab.request("p", budget=0.6, at=0.0))  # to the quick one
    alone = lab.numbers(selector, "quick", now=0.0, budget=0.25)
    second = lab.send(selector, lab.request("h", budget=0.25, at=0.0))
    gain = alone.accuracy - second.chosen.score  # an idle quick variant would have been in time, near enough
    taken = DECAY + (second.chosen.variant.name == "quick")
    assert lab.numbers(selector, "quick", now=0.0).price == pytest.approx(gain / (taken + DOUBT), rel=0.2)


def test_other_policies_pay_no_toll(lab):
    """A policy of its own mind is not told what others pay."""
    selector = crossing(lab, policy="fastest")
    rush(lab, selector, 5)
    assert lab.numbers(selector, "quick", now=100.0).price == 0


def test_task_that_is_gone_is_forgotten(lab):
    """Its variants gone, it begins anew: no toll is left."""
    selector = crossing(lab)
    rush(lab, selector, 3)
    for name, profile in (("quick", QUICK), ("roomy", ROOMY)):
        selector.update(lab.seen(name, lab.profile(**profile), gone=True), 50.0)
    selector.update(lab.seen("quick", lab.profile(**QUICK), concurrency=1, ready=1), 51.0)
    assert lab.numbers(selector, "quick", now=60.0).price == 0
