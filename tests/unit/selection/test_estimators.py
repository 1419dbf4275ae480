"""Execution, cold start, accuracy: what they answer before and after data."""

import math
import random

import pytest

from warmfront.domain import Profile, Spread
from warmfront.selection.estimators.accuracy import Accuracy
from warmfront.selection.estimators.cold_start import ColdStart, residual
from warmfront.selection.estimators.difficulty import Difficulty
from warmfront.selection.estimators.duration import Duration, from_spread
from warmfront.selection.estimators.latency import Execution
from warmfront.selection.estimators.samples import Shared

DEFAULT = Spread(p50=0.1, p95=0.5)
DECLARED = Profile(
    latency_s=Spread(p50=0.02, p95=0.04), latency_per_kib_s=0.01, cold_start_s=Spread(p50=10.0, p95=15.0)
)


def platform() -> Shared:
    return Shared(from_spread(Spread(p50=1.0, p95=1.5)))


def test_execution_without_data_is_the_profile_by_size():
    """p50 plus per_kib times the size."""
    execution = Execution(DECLARED, DEFAULT)
    assert execution.estimate(0).p50 == pytest.approx(0.02)
    assert execution.estimate(10 * 1024).p50 == pytest.approx(0.12)


def test_execution_without_profile_is_the_default():
    """No profile and no data: the stated default."""
    assert Execution(Profile(), DEFAULT).estimate(500).p50 == pytest.approx(0.1)


def test_execution_learns_sizes_that_the_profile_does_not_know():
    """With no per_kib declared, small and large inputs still come apart."""
    execution = Execution(Profile(latency_s=Spread(p50=0.01, p95=0.02)), DEFAULT)
    for _ in range(60):
        execution.observe(100, 0.01)
        execution.observe(100_000, 0.5)
    assert execution.estimate(100).p50 == pytest.approx(0.01, rel=0.6)
    assert execution.estimate(100_000).p50 == pytest.approx(0.5, rel=0.4)


def test_execution_cut_off_is_longer():
    """A call cut off at one second was not a call of one second."""
    execution = Execution(DECLARED, DEFAULT)
    for _ in range(20):
        execution.observe_beyond(100, 1.0)
    assert execution.estimate(100).p50 > 1.0


def test_successor_inherits_the_ratio_to_its_profile():
    """On a machine half as fast as profiled, the next revision is expected half as fast as profiled too."""
    execution = Execution(DECLARED, DEFAULT)
    for _ in range(50):
        execution.observe(0, 0.04)
    execution.renew(Profile(latency_s=Spread(p50=0.1, p95=0.2)))
    assert execution.estimate(0).p50 == pytest.approx(0.2, rel=0.15)


def test_successor_with_a_first_profile_inherits_the_time_itself():
    """Without a predecessor's profile there is no ratio to inherit: the measured time is."""
    execution = Execution(Profile(), DEFAULT)
    for _ in range(50):
        execution.observe(0, 0.04)
    execution.renew(Profile(latency_s=Spread(p50=0.05, p95=0.1)))
    assert execution.estimate(0).p50 == pytest.approx(0.04, rel=0.2)


def test_cold_start_without_data_is_platform_plus_process():
    """The declared part is process start to ready; the platform's share comes on top."""
    start = ColdStart(DECLARED, platform(), DEFAULT)
    assert start.estimate().moments.mean == pytest.approx(10.3 + 1.03, rel=0.03)


def test_cold_start_without_profile_is_the_default_and_then_the_facts():
    """The default stands for the whole start; three starts outweigh it and teach the platform nothing."""
    shared = platform()
    start = ColdStart(Profile(), shared, DEFAULT)
    assert start.estimate() == from_spread(DEFAULT)
    moved = [start.observe(3.0) for _ in range(3)]
    assert start.estimate().p50 == pytest.approx(3.0, rel=0.5)
    assert moved == [False] * 3
    assert shared.value.p50 == pytest.approx(1.0)


def test_the_platform_share_is_learned_by_all():
    """When starts of a quick variant show a slow platform, every variant is expected to start later."""
    shared = platform()
    quick = ColdStart(Profile(cold_start_s=Spread(p50=1.0, p95=1.5)), shared, DEFAULT)
    other = ColdStart(DECLARED, shared, DEFAULT)
    before = other.estimate().p50
    moved = [quick.observe(5.0) for _ in range(10)]
    assert any(moved)
    assert shared.value.p50 == pytest.approx(4.0, rel=0.2)
    assert other.estimate().p50 > before + 2


def test_a_model_that_loads_slowly_for_once_tells_little_of_the_platform():
    """10 s declared, 15 s at the 95th percentile: 13 s are no surprise, and a start of 60 s is one."""
    shared = Shared(from_spread(Spread(p50=0.05, p95=0.1)))
    slow = ColdStart(DECLARED, shared, DEFAULT)
    quick = ColdStart(Profile(cold_start_s=Spread(p50=0.13, p95=0.26)), shared, DEFAULT)
    before = quick.estimate()
    for _ in range(5):
        slow.observe(13.0)
    assert tuple(quick.estimate()) == pytest.approx(tuple(before), abs=0.05)
    slow.observe(60.0)
    assert quick.estimate().p95 > 2 * before.p95


def test_a_start_quicker_than_the_process_alone_leaves_the_platform_a_crumb():
    """A declared process start that is too long does not make the platform's share negative."""
    shared = platform()
    ColdStart(Profile(cold_start_s=Spread(p50=1.0, p95=1.5)), shared, DEFAULT).observe(0.5)
    assert 0 < shared.value.p50 < 1


def test_cold_start_of_a_successor_moves_with_its_profile():
    """11 s of platform were learned from starts of 21 s: a revision that declares 5 s is expected at 16 s."""
    start = ColdStart(DECLARED, platform(), DEFAULT)
    for _ in range(20):
        start.observe(21.0)
    start.renew(Profile(cold_start_s=Spread(p50=5.0, p95=7.5)))
    assert start.estimate().p50 == pytest.approx(16.0, rel=0.1)
    start.renew(Profile())
    assert start.estimate().p50 == pytest.approx(16.0, rel=0.5)


def test_residual_of_a_start_at_age_zero_is_the_start():
    """Median and p95 are those of the whole start."""
    start = from_spread(Spread(p50=10.0, p95=15.0))
    assert residual(start, 0.0) == pytest.approx(start)


def test_residual_shrinks_with_age_and_never_collapses():
    """Worked in the docstring: 10, 2.5, 2.0, 4.0 s left at ages 0, 8, 20, 40 of a start of 10 s (p95 15 s)."""
    start = from_spread(Spread(p50=10.0, p95=15.0))
    left = [residual(start, age).p50 for age in (0.0, 8.0, 20.0, 40.0)]
    assert left == pytest.approx([10.0, 2.47, 2.01, 4.02], abs=0.02)
    assert all(residual(start, age).sigma >= 0.1 for age in (0.0, 8.0, 20.0, 40.0, 1e6))


def test_residual_agrees_with_simulation():
    """Among log-logistic starts older than the age, half are over within the median residual (200,000 draws)."""
    rng = random.Random(5)
    start, slope = from_spread(Spread(p50=10.0, p95=15.0)), math.log(19) / math.log(1.5)
    drawn = [10 * ((u := rng.random()) / (1 - u)) ** (1 / slope) for _ in range(200_000)]
    left = sorted(c - 9.0 for c in drawn if c > 9.0)
    assert left[len(left) // 2] == pytest.approx(residual(start, 9.0).p50, rel=0.03)


def accuracy_of(profile, difficulty=None, name="v"):
    return Accuracy(name, profile, 0.5, difficulty or Difficulty())


def test_accuracy_interpolates_the_declared_points():
    """Straight lines over the logarithm of the size, flat outside."""
    accuracy = accuracy_of(Profile(accuracy=0.1, accuracy_by_bytes=((24, 0.72), (96, 0.92))))
    assert [accuracy.estimate(size) for size in (0, 24, 48, 96, 10_000)] == pytest.approx(
        [0.72, 0.72, 0.82, 0.92, 0.92]
    )


def test_accuracy_without_points_is_the_declared_or_the_default():
    """The flat accuracy, else the default of nothing known."""
    assert accuracy_of(Profile(accuracy=0.7)).estimate(10) == 0.7
    assert accuracy_of(Profile()).estimate(10) == 0.5


def test_feedback_corrects_a_wrong_accuracy():
    """Declared 0.9, really 0.5. After 20 judged answers 2 errors were expected and 10 seen, so that the profile counts
    as 2 errors only: (10 + 2) / (2 + 2) = 3 times as many errors are believed, 0.7; after 200 it is nearly 0.5.
    """
    accuracy = accuracy_of(Profile(accuracy=0.9))
    for i in range(20):
        accuracy.observe(100, i % 2)
    assert accuracy.estimate(100_000) == pytest.approx(0.7, abs=0.02)
    for i in range(180):
        accuracy.observe(100, i % 2)
    assert accuracy.estimate(100) == pytest.approx(0.5, abs=0.04)


def test_feedback_is_learned_by_size():
    """Right on long inputs and wrong on short ones: both are learned, and a size never seen lies between."""
    accuracy = accuracy_of(Profile(accuracy=0.7))
    for _ in range(100):
        accuracy.observe(20, 0.0)
        accuracy.observe(5000, 1.0)
    assert accuracy.estimate(20) < 0.15
    assert accuracy.estimate(5000) > 0.9
    assert 0.4 < accuracy.estimate(300) < 0.6


def test_accuracy_stays_a_share():
    """However one-sided the feedback, the estimate lies in [0, 1], also where no error was expected."""
    accuracy = accuracy_of(Profile(accuracy_by_bytes=((10, 0.2), (1000, 1.0))))
    for _ in range(300):
        accuracy.observe(10, 1.0)
        accuracy.observe(1000, 0.0)
    assert all(0.0 <= accuracy.estimate(size) <= 1.0 for size in (10, 100, 1000))


def test_accuracy_of_a_successor_starts_near_what_was_learned():
    """The new revision keeps as much of its predecessor's record as belongs to four expected errors."""
    accuracy = accuracy_of(Profile(accuracy=0.9))
    for i in range(400):
        accuracy.observe(100, i % 2)
    learned = accuracy.estimate(100_000)
    accuracy.renew(Profile(accuracy=0.9))
    assert accuracy.estimate(100_000) == pytest.approx(0.63, abs=0.05)
    assert accuracy.estimate(100_000) > learned
    for _ in range(60):
        accuracy.observe(100, 1.0)
    assert accuracy.estimate(100) > 0.8
    fresh = accuracy_of(Profile(accuracy=0.9))
    fresh.renew(Profile(accuracy=0.8))
    assert fresh.estimate(100) == 0.8


def test_hard_inputs_are_hard_for_everybody():
    """One variant is judged on short and long inputs and errs on the short. The other one, never judged, is believed to
    err there as many times more than declared; who of the two is better does not change.
    """
    shared = Difficulty()
    judged, unjudged = accuracy_of(Profile(accuracy=0.9), shared), accuracy_of(Profile(accuracy=0.8), shared, "w")
    for i in range(100):
        judged.observe(20, float(i % 5 != 0))
        judged.observe(5000, 1.0)
    assert judged.estimate(20) == pytest.approx(0.8, abs=0.03)
    assert unjudged.estimate(20) == pytest.approx(1 - 0.2 * 1.7, abs=0.05)
    assert unjudged.estimate(5000) > 0.9
    assert unjudged.estimate(20) < judged.estimate(20)


def test_one_wrong_profile_casts_doubt_on_the_others():
    """A declared accuracy counts as four expected errors; less once another was wrong by a factor, never below two."""
    shared = Difficulty()
    wrong, other = accuracy_of(Profile(accuracy=0.95), shared), accuracy_of(Profile(accuracy=0.8), shared, "w")
    believed = other.spread(100)
    for i in range(60):
        wrong.observe(100, i % 2)
    assert shared.trust == pytest.approx(2.0, rel=0.1)
    assert other.spread(100) > believed
    assert other.estimate(100) == pytest.approx(0.8, abs=0.01)


def test_what_agrees_with_the_profiles_confirms_them():
    """One error in ten, as declared: after a hundred answers a profile counts as more than at first."""
    shared = Difficulty()
    right = accuracy_of(Profile(accuracy=0.9), shared)
    for i in range(100):
        right.observe(100, float(i % 10 != 0))
    assert shared.trust > 5


def test_durations_are_tuples_of_logarithms():
    """The mean of a skewed duration lies above its median: exp(mu + sigma^2 / 2)."""
    assert Duration(0.0, 1.0).moments.mean == pytest.approx(math.exp(0.5))
