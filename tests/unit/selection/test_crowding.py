"""What executions beside each other cost: learned as a line, and only where there is one."""

import random

import pytest

from warmfront.domain import Profile, Spread
from warmfront.selection.estimators.crowding import Crowding
from warmfront.selection.estimators.latency import Execution


def noise(rng: random.Random) -> float:
    """A duration's scatter: 19 of 20 below 1.4."""
    return rng.lognormvariate(0, 0.2)


def test_knows_nothing_before_the_first_sample() -> None:
    """Until told otherwise, company costs nothing."""
    assert Crowding().slope == 0
    assert Crowding().factor(7) == 1


@pytest.mark.parametrize("slope", [0.5, 20.0])
def test_learns_the_slope_from_noisy_samples(slope: float) -> None:
    """Sixty executions beside 0 to 4 others, each scattered, tell the slope within 30 %."""
    crowding, rng = Crowding(), random.Random(1)
    for _ in range(60):
        beside = rng.randrange(5)
        crowding.observe(beside, (1 + slope * beside) * noise(rng))
    assert crowding.slope == pytest.approx(slope, rel=0.3)


def test_profile_that_is_wrong_does_not_look_like_a_slope() -> None:
    """Three times the declared time, alone or not: no slope."""
    crowding, rng = Crowding(), random.Random(2)
    for _ in range(300):
        crowding.observe(rng.randrange(5), 3 * noise(rng))
    assert crowding.slope < 0.02


def test_noise_alone_is_no_slope_more_often_than_not() -> None:
    """Of 200 variants without one, most are not believed to have one, and none of more than 10 %."""
    slopes = []
    for seed in range(200):
        crowding, rng = Crowding(), random.Random(seed)
        for _ in range(100):
            crowding.observe(rng.randrange(3), noise(rng))
        slopes.append(crowding.slope)
    assert sum(slope == 0 for slope in slopes) > 180
    assert max(slopes) < 0.1


def test_company_that_never_changes_says_nothing() -> None:
    """Beside 3 others every time: how long one alone would take cannot be known."""
    crowding = Crowding()
    for _ in range(50):
        crowding.observe(3, 2.5)
    assert crowding.slope == 0


def test_exact_line_is_believed_whole() -> None:
    """1, 3, 5 without noise: two more for each other one; the ridge takes less than a tenth of it."""
    crowding = Crowding()
    for _ in range(20):
        for beside in range(3):
            crowding.observe(beside, 1 + 2 * beside)
    assert crowding.slope == pytest.approx(2.0, rel=0.1)


def test_execution_is_learned_free_of_its_company() -> None:
    """0.1 s alone and 0.1 s more for each other one: both come out, whatever the mixture."""
    execution = Execution(Profile(latency_s=Spread(p50=0.3, p95=0.4)), Spread(p50=1, p95=2))
    rng = random.Random(3)
    assert not execution.crowded
    for _ in range(200):
        beside = rng.choice([0, 1, 1, 2, 4])
        execution.observe(100, 0.1 * (1 + beside) * noise(rng), beside)
    assert execution.crowded
    assert execution.estimate(100).p50 == pytest.approx(0.1, rel=0.2)
    assert execution.estimate(100, 4).p50 == pytest.approx(0.5, rel=0.2)


def test_promises_in_company_have_a_shape_of_their_own(lab):
    """0.1 s alone, scattered; exactly 0.1 s more for each other one. With two 0.27 s is too short, 0.34 s is not."""
    selector = lab.selector(lab.seen("v", lab.profile(execution=0.1), concurrency=0, ready=1))
    rng = random.Random(4)
    for i in range(150):
        at = 2.0 * i
        sent = [lab.send(selector, lab.request(f"q{i}.{j}", budget=5.0, at=at)) for j in range(3)]
        for beside, decision in enumerate(sent):
            took = 0.1 * rng.lognormvariate(0, 0.3) if not beside else 0.1 * (1 + beside)
            lab.reply(selector, decision, took + 0.002, now=at + 1.0, execution_s=took)
    for j in range(2):
        lab.send(selector, lab.request(f"w{j}", budget=5.0, at=400.0))
    assert lab.numbers(selector, "v", now=400.0, budget=0.27).probability < 0.1
    assert lab.numbers(selector, "v", now=400.0, budget=0.34).probability > 0.9
