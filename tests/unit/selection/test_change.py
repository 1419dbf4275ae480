"""What suddenly becomes another: errors that change, and times in whose units nothing is known any more."""

import random
from math import log

import pytest

from warmfront.domain import Profile
from warmfront.selection.estimators.accuracy import Accuracy
from warmfront.selection.estimators.change import SURE, TIMES, Watch
from warmfront.selection.estimators.difficulty import Difficulty
from warmfront.selection.selector import Selector


def test_a_sum_by_hand():
    """Believed 0.1: a wrong answer adds ln 4 - ln 1.3 = 1.124. The eighth makes 8.99, which is above 8."""
    assert (TIMES[0], SURE) == (4.0, 8.0)
    assert 7 * (log(4) - log(1.3)) < SURE < 8 * (log(4) - log(1.3))
    watch = Watch()
    told = [watch.observe(0.1, 0.05, 1.0) for _ in range(9)]
    assert told[:7] == [None] * 7
    assert told[7] == pytest.approx((8 * 0.05, 8.0))
    assert told[8] is None, "it begins anew"


def test_what_was_before_the_change_is_not_counted():
    """A thousand answers as believed, then seven of ten wrong: found within twenty, and nearly only those are told."""
    watch, rng = Watch(), random.Random(3)
    assert all(watch.observe(0.1, 0.1, float(rng.random() < 0.1)) is None for _ in range(1000))
    for count in range(1, 21):
        since = watch.observe(0.1, 0.1, float(count % 10 < 7))
        if since:
            break
    assert since is not None
    assert since.observed / (since.expected / 0.1) > 0.5
    assert since.expected / 0.1 <= count + 5


def test_a_change_for_the_better_is_found_too():
    """Half of the answers were wrong, and now none is."""
    watch = Watch()
    assert all(watch.observe(0.5, 0.1, float(i % 2)) is None for i in range(200))
    found = [watch.observe(0.5, 0.1, 0.0) for _ in range(20)]
    assert any(since is not None and since.observed <= 1 for since in found)


def test_alarms_are_rare_without_a_change():
    """Twenty thousand answers as believed: at most one alarm, whatever the share of errors."""
    for share in (0.02, 0.1, 0.4):
        watch, rng = Watch(), random.Random(7)
        alarms = sum(watch.observe(share, share, float(rng.random() < share)) is not None for _ in range(20_000))
        assert alarms <= 1, share


def test_an_accuracy_that_breaks_down_is_believed_soon():
    """Nine of ten right for long, then every other: after thirty answers more than a third of the errors is believed.

    A mean over the last thousand answers would have fallen to 0.88 by then.
    """
    accuracy = Accuracy("v", Profile(accuracy=0.9), 0.5, Difficulty())
    for i in range(500):
        accuracy.observe(100, float(i % 10 != 0))
    assert accuracy.estimate(100) == pytest.approx(0.9, abs=0.01)
    for i in range(30):
        accuracy.observe(100, i % 2)
    assert accuracy.estimate(100) < 0.65


def test_a_variant_that_became_sixty_times_slower_is_still_used_by_who_has_time(lab):
    """5 ms become 0.3 s. Seen from 5 ms that is so far out that no deadline seemed sure; seen from what is expected now
    it is what comes, and within 15 s for certain.
    """
    selector = lab.selector(lab.seen("v", lab.profile(execution=0.005), ready=1))
    rng = random.Random(4)
    for i in range(100):
        answer(lab, selector, i, (0.005 if i < 50 else 0.3) * rng.lognormvariate(0, 0.2))
    assert lab.numbers(selector, "v", now=1000.0, budget=15.0).probability > 0.99
    assert lab.numbers(selector, "v", now=1000.0, budget=0.1).probability < 0.3


def test_a_shape_in_units_of_a_wrong_profile_outlives_its_selector(lab):
    """Ten times slower than declared: what the next selector takes over is not taken for another time."""
    seen = lab.seen("v", lab.profile(execution=0.005), ready=1)
    old = lab.selector(seen)
    rng = random.Random(4)
    for i in range(200):
        answer(lab, old, i, 0.05 * (1 if rng.random() < 0.8 else 3))
    now = 1000.0
    new = Selector(policy=old._policy, settings=lab.settings, learned=old.learned(now), learned_at=now)
    new.update(seen, now)
    for budget in (0.07, 0.12, 0.3):
        probabilities = [lab.numbers(one, "v", now=now, budget=budget).probability for one in (old, new)]
        assert probabilities[0] == pytest.approx(probabilities[1], abs=0.02)


def answer(lab, selector, i, seconds):
    """The i-th request, a second after the last one, is executed in so many seconds."""
    decision = lab.send(selector, lab.request(f"q{i}", at=float(i), budget=15.0))
    lab.reply(selector, decision, seconds + 0.001, execution_s=seconds)
