"""Learning durations from logarithms."""

import math
import random

import pytest

from warmfront.domain import Spread
from warmfront.selection.estimators.duration import Duration, from_spread, total
from warmfront.selection.estimators.samples import LogSamples, Shared

PRIOR = Duration(0.0, 0.4)


def test_spread_survives_the_way_through_a_duration():
    """A declared median and p95 are what the prior says."""
    duration = from_spread(Spread(p50=2.0, p95=3.0))
    assert duration.p50 == pytest.approx(2.0)
    assert math.exp(duration.mu + 1.6448536 * duration.sigma) == pytest.approx(3.0)


def test_a_declared_certainty_is_widened():
    """p95 equal to p50 is not believed: some spread always remains."""
    assert from_spread(Spread(p50=2.0, p95=2.0)).sigma == 0.1


def test_sum_agrees_with_simulation():
    """Mean and variance of a sum are exact; its p95 is within 6 % of a simulated one (fixed seed)."""
    rng = random.Random(1)
    parts = Duration(0.0, 0.5), Duration(-1.0, 0.8)
    drawn = sorted(sum(rng.lognormvariate(*part) for part in parts) for _ in range(20_000))
    summed = total(*(part.moments for part in parts))
    assert summed.moments.mean == pytest.approx(sum(drawn) / len(drawn), rel=0.02)
    assert math.exp(summed.mu + 1.6448536 * summed.sigma) == pytest.approx(drawn[19_000], rel=0.06)


def test_nothing_seen_answers_the_prior():
    """No data yet: exactly what was declared."""
    assert LogSamples().estimate(PRIOR, 4.0) == PRIOR


def test_a_right_prior_is_kept():
    """Samples that agree with the prior leave it where it is."""
    rng, samples = random.Random(2), LogSamples()
    for _ in range(100):
        samples.add(rng.gauss(PRIOR.mu, PRIOR.sigma))
    learned = samples.estimate(PRIOR, 4.0)
    assert learned.mu == pytest.approx(PRIOR.mu, abs=0.2)  # 3.5 standard errors of 50 effective samples
    assert learned.sigma == pytest.approx(PRIOR.sigma, rel=0.3)


@pytest.mark.parametrize("factor", [0.02, 0.1, 10.0, 50.0])
def test_a_wrong_prior_yields(factor):
    """A profile wrong by any factor is overcome: within 50 % after five samples, within 10 % after twenty."""
    truth, samples = math.log(factor), LogSamples()
    for _ in range(5):
        samples.add(truth)
    assert abs(samples.estimate(PRIOR, 4.0).mu - truth) < math.log(1.5)
    for _ in range(15):
        samples.add(truth)
    assert abs(samples.estimate(PRIOR, 4.0).mu - truth) < math.log(1.1)


def test_one_outlier_does_not_overturn_the_prior():
    """A single sample ten times too long moves the median by less than half of that, and widens the spread."""
    samples = LogSamples()
    samples.add(math.log(10))
    learned = samples.estimate(PRIOR, 4.0)
    assert learned.mu < math.log(10) / 2
    assert learned.sigma > PRIOR.sigma


def test_old_samples_fade():
    """After a change for good, about 100 samples suffice to follow it."""
    samples = LogSamples()
    for value in [0.0] * 200 + [2.0] * 100:
        samples.add(value)
    assert samples.mean == pytest.approx(2.0, abs=0.3)


def test_censored_samples_move_the_estimate_beyond_the_bound():
    """Being cut off again and again at one time says that the truth lies beyond it."""
    samples = LogSamples()
    for _ in range(30):
        samples.add_beyond(math.log(3), samples.estimate(PRIOR, 4.0))
    assert samples.estimate(PRIOR, 4.0).mu > math.log(3)


def test_a_bound_that_everything_exceeds_teaches_nothing():
    """A cut-off far below the expected duration is no news."""
    samples = LogSamples()
    samples.add_beyond(-4.0, PRIOR)
    assert samples.weight == 0


def test_a_bound_far_beyond_belief_is_a_sample_of_itself():
    """Numbers stay finite when the bound is unthinkable for the current belief."""
    samples = LogSamples()
    samples.add_beyond(40.0, PRIOR)
    assert samples.mean == 40.0
    assert samples.weight == pytest.approx(1.0)


def test_inheriting_keeps_the_mean_and_caps_the_weight():
    """A successor starts from what was learned, worth a few samples; little knowledge is passed on whole."""
    samples = LogSamples()
    for _ in range(100):
        samples.add(1.0)
    samples.inherit(10.0, shift=0.5)
    assert (samples.mean, samples.weight) == (pytest.approx(1.5), 10.0)
    samples.inherit(20.0)
    assert samples.weight == 10.0


def test_shared_value_moves_only_when_it_matters():
    """Everybody's forecasts are made afresh only after a move of 5 %."""
    shared = Shared(Duration(0.0, 0.4))
    assert not shared.observe(1.0)
    assert shared.value == Duration(0.0, 0.4)
    moved = [shared.observe(2.0) for _ in range(20)]
    assert any(moved)
    assert not all(moved)
    assert shared.value.mu > 0.3
