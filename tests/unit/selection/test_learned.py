"""What is learned outlives the selector: plain data out, the same beliefs in, fading with age."""

import dataclasses
import math
import random

import pytest

from warmfront.domain import Profile, Spread
from warmfront.selection.estimators.accuracy import Accuracy
from warmfront.selection.estimators.calibration import BINS, Calibration
from warmfront.selection.estimators.cold_start import ColdStart
from warmfront.selection.estimators.difficulty import Difficulty
from warmfront.selection.estimators.duration import Duration, from_spread
from warmfront.selection.estimators.latency import Execution
from warmfront.selection.estimators.samples import LogSamples, Shared
from warmfront.selection.learned import Errors, Learned, LearnedVariant, Samples, kept_share

PRIOR = Duration(0.0, 0.5)
PROFILE = Profile(accuracy=0.8, latency_s=Spread(p50=0.01, p95=0.02), cold_start_s=Spread(p50=1.0, p95=1.5))
DEFAULT = Spread(p50=0.1, p95=0.5)


def taught(estimator, draw, times=60, seed=1):
    """The estimator after that many lessons; `draw(estimator, rng)` gives one."""
    rng = random.Random(seed)
    for _ in range(times):
        draw(estimator, rng)
    return estimator


def test_samples_come_back_as_they_were():
    """At age 0 the estimate is the same; fully aged it is the prior; in between it lies between."""
    old = taught(LogSamples(), lambda one, rng: one.add(rng.gauss(2.0, 0.3)))
    estimates = []
    for share in (1.0, 0.5, 0.0):
        new = LogSamples()
        new.restore(old.export(), share)
        estimates.append(new.estimate(PRIOR, 4.0))
    assert estimates[0] == pytest.approx(old.estimate(PRIOR, 4.0), abs=1e-3)
    assert estimates[2] == PRIOR
    assert PRIOR.mu < estimates[1].mu <= estimates[0].mu + 1e-3


def test_old_knowledge_yields_sooner():
    """The older what was learned, the further the same few new samples move it."""
    old = taught(LogSamples(), lambda one, rng: one.add(rng.gauss(2.0, 0.3)))
    believed = []
    for share in (1.0, 0.3, 0.03):
        new = LogSamples()
        new.restore(old.export(), share)
        for _ in range(5):
            new.add(0.0)
        believed.append(new.estimate(PRIOR, 4.0).mu)
    assert believed == sorted(believed, reverse=True)
    assert believed[0] > 1.5
    assert believed[2] < 0.5


def test_execution_and_its_size_classes_come_back():
    """By size too: a class that was slower than the rest still is."""
    old = Execution(PROFILE, DEFAULT)
    for _ in range(40):
        old.observe(100, 0.02)
        old.observe(100_000, 0.2)
    new = Execution(PROFILE, DEFAULT)
    new.restore(*old.export(), 1.0)
    for size in (100, 3_000, 100_000):
        assert new.estimate(size) == pytest.approx(old.estimate(size), abs=2e-3)


def test_cold_start_and_the_platforms_share_come_back():
    """The start as a whole, and the part that every variant pays."""

    def built():
        shared = Shared(from_spread(Spread(p50=0.05, p95=0.1)))
        return shared, ColdStart(PROFILE, shared, DEFAULT)

    platform, old = built()
    for _ in range(10):
        old.observe(4.0)
    restored, new = built()
    restored.restore(platform.export(), 1.0)
    new.restore(old.export(), 1.0)
    assert tuple(new.estimate()) == pytest.approx(tuple(old.estimate()), abs=0.02)
    assert restored.value == pytest.approx(platform.value, abs=0.06)  # `value` follows in steps of 0.05


def test_accuracy_comes_back_and_fades():
    """Judged answers count as before at age 0, and no more when they are for ever old."""
    shared = Difficulty()
    old = taught(
        Accuracy("v", PROFILE, 0.5, shared), lambda one, rng: one.observe(rng.choice((10, 5_000)), rng.random() < 0.4)
    )
    for share, wanted in ((1.0, old.estimate(10)), (0.0, 0.8)):
        again = Difficulty()
        again.restore(shared.export(), share)
        new = Accuracy("v", PROFILE, 0.5, again)
        new.restore(*old.export(), share)
        assert new.estimate(10) == pytest.approx(wanted, abs=1e-2)  # what is shared moves in steps


def test_calibration_comes_back_and_fades():
    """The learned shape at age 0, the normal law at the end; one that learned nothing exports nothing."""
    old = taught(Calibration(), lambda one, rng: one.observe(rng.gauss(2.0, 0.2)), times=500)
    new, faded, wrong = Calibration(), Calibration(), Calibration()
    new.restore(old.export(), 1.0)
    faded.restore(old.export(), 0.0)
    wrong.restore((1.0, 2.0), 1.0)
    assert new.shape.cdf == pytest.approx(old.shape.cdf, abs=1e-3)
    assert faded.shape.cdf == pytest.approx(Calibration().shape.cdf)
    assert wrong.shape == Calibration().shape, "another number of bins means another version: nothing to take"
    assert Calibration().export() == ()


def test_half_of_it_counts_after_a_half_life():
    """Worked: 1, 1/2, 1/4; a clock that went backwards makes nothing older or younger than now."""
    assert [kept_share(age, 10.0) for age in (0.0, 10.0, 20.0, -5.0)] == [1.0, 0.5, 0.25, 1.0]


GOOD = LearnedVariant(revision="r1", profile=PROFILE, age_s=1.0)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"age_s": -1.0}, "age_s is -1.0"),
        ({"age_s": math.inf}, "age_s is inf"),
        ({"execution": Samples(weight=math.nan)}, "execution has nan"),
        ({"network": Samples(m2=-1.0)}, "network has"),
        ({"cold_start": Samples(fade=1.5)}, "cold_start has"),
        ({"execution_by_size": {3: Samples(mean=1e9)}}, "at most 10000"),
        ({"execution_by_size": {99: Samples()}}, "execution_by_size has classes"),
        ({"accuracy": Errors(expected=1.0, observed=-2.0)}, "errors must be at least 0"),
        ({"accuracy_by_size": {-1: Errors()}}, "accuracy_by_size has classes"),
        ({"warm": (-1.0,)}, "warm has"),
        ({"waiting": (0.0,) * (BINS + 1)}, "not all 0"),
    ],
)
def test_numbers_that_nobody_can_have_learned_are_refused(broken, told):
    """Each rule of the records, with the field and what was found."""
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(GOOD, **broken)


def test_shared_numbers_obey_the_same_rules():
    """The record of all variants checks its own numbers."""
    with pytest.raises(ValueError, match="platform has"):
        Learned(platform=Samples(weight=-1.0))
    with pytest.raises(ValueError, match="age_s is nan"):
        Learned(age_s=math.nan)
    with pytest.raises(ValueError, match="difficulty has classes"):
        Learned(difficulty={"t": {99: Errors()}})
    with pytest.raises(ValueError, match="difficulty has Errors"):
        Learned(difficulty={"t": {3: Errors(-1.0, 0.0)}})
