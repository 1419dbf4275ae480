"""The dummy model: nested correctness, settings that are checked, behaviour that follows from the seed."""

import time

import pytest

from warmfront.errors import SetupError, WarmfrontError
from warmfront.function.dummy import DummySettings, difficulty, expected_label, load_dummy

INPUTS = [b"input %d" % n for n in range(400)]


def right(accuracy: float, seed: int = 3) -> set[bytes]:
    """The inputs that a model of this accuracy answers correctly."""
    predict = load_dummy(DummySettings(accuracy=accuracy, seed=seed, latency_ms=0), "x")
    return {data for data in INPUTS if predict(data).label == expected_label(data, seed)}


def test_accuracy_is_nested() -> None:
    """What a worse model gets right a better one gets right too, and the shares are as set (400 inputs, fixed seed)."""
    worst, middle, best = right(0.5), right(0.8), right(0.95)
    assert worst < middle < best
    assert [len(found) / 400 for found in (worst, middle, best)] == pytest.approx([0.5, 0.8, 0.95], abs=0.05)


def test_never_and_always_right() -> None:
    """Accuracy 0 is always wrong and 1 always right."""
    assert right(0.0) == set()
    assert right(1.0) == set(INPUTS)


def test_correct_exactly_below_the_accuracy() -> None:
    """The public difficulty predicts every answer, so a simulator needs no model."""
    assert right(0.7) == {data for data in INPUTS if difficulty(data, 3) < 0.7}


def test_another_seed_is_another_task() -> None:
    """Seeds decide what is hard and what is right, independently of each other's."""
    assert right(0.7, seed=3) != right(0.7, seed=4)
    assert len({expected_label(data, 3) for data in INPUTS}) == 10


def failures(seed: int, service: str) -> list[bool]:
    """Which of the inputs, in order, are made to fail."""
    predict = load_dummy(DummySettings(failure_rate=0.3, seed=seed, latency_ms=0), service)
    failed = []
    for data in INPUTS:
        try:
            predict(data)
            failed.append(False)
        except WarmfrontError:
            failed.append(True)
    return failed


def test_failures_follow_from_seed_and_service() -> None:
    """The same seed and service fail alike, others differ; the rate is as set; a repeated input may succeed."""
    assert failures(1, "a") == failures(1, "a")
    assert failures(1, "a") != failures(1, "b")
    assert sum(failures(1, "a")) / 400 == pytest.approx(0.3, abs=0.07)


def test_latency_counts_bytes() -> None:
    """Base and per-byte time add up: 10 ms and 20 bytes of 1 ms take at least 30 ms."""
    predict = load_dummy(DummySettings(latency_ms=10, per_byte_ms=1), "x")
    began = time.perf_counter()
    predict(b"x" * 20)
    assert time.perf_counter() - began >= 0.03


def test_settings_from_environment() -> None:
    """Every field has its variable; what is not set keeps its default; foreign variables are ignored."""
    found = DummySettings.from_environment(
        {"DUMMY_TASK": "vision", "DUMMY_SEED": "5", "DUMMY_ACCURACY": "0.5", "PORT": "80"}
    )
    assert found == DummySettings(task="vision", seed=5, accuracy=0.5)


def test_all_wrong_settings_at_once() -> None:
    """Every misspelt name and broken value is named in one message, with the rule."""
    wrong = {
        "DUMMY_ACURACY": "1",
        "DUMMY_ACCURACY": "1.5",
        "DUMMY_FAILURE_RATE": "nan",
        "DUMMY_SEED": "0.5",
        "DUMMY_LATENCY_MS": "-1",
        "DUMMY_JITTER_MS": "inf",
        "DUMMY_TASK": "",
        "DUMMY_MEMORY_MB": "much",
    }
    with pytest.raises(SetupError) as raised:
        DummySettings.from_environment(wrong)
    assert all(name in str(raised.value) for name in wrong)
    assert "DUMMY_SEED is '0.5'; it must be a whole number" in str(raised.value)
