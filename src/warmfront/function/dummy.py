"""A model that only pretends: latency, start, accuracy, failures and memory are settings, to play any variant.

What lives here: the settings, the behaviour, and the truth about an input, by which experiments score an answer.
Correctness is nested: an input's difficulty is a hash of the input and the seed, uniform on [0, 1), and a model of
accuracy a is right exactly when the difficulty is below a. So variants that share a seed err alike: what a better
model gets wrong, every worse one gets wrong too, as with real models of one family.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any

from warmfront.errors import SetupError, WarmfrontError
from warmfront.function.model import Prediction
from warmfront.telemetry.process import process_age_s

LABELS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DummySettings:
    """Everything a dummy model is. In the environment each field is `DUMMY_` and its name in capitals.

    A prediction takes latency_ms + per_byte_ms * bytes + per_in_flight_ms * (others in flight on arrival) + a uniform
    draw from [0, jitter_ms). `cold_start_ms` is process start to ready and never less than Python itself needs.
    `memory_mb` is allocated beside what Python takes (about 30 MB). Variants of one task share `task` and `seed`.
    """

    task: str = "dummy"
    seed: int = 0
    latency_ms: float = 10.0
    per_byte_ms: float = 0.0
    per_in_flight_ms: float = 0.0
    jitter_ms: float = 0.0
    cold_start_ms: float = 0.0
    accuracy: float = 0.9
    failure_rate: float = 0.0
    memory_mb: float = 0.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "DummySettings":
        """Raises SetupError that names every unknown variable and every value out of range at once."""
        names = {f"DUMMY_{field.name.upper()}": field.name for field in fields(cls)}
        values: dict[str, Any] = {}
        faults: list[str] = []
        for variable, text in environment.items():
            if variable in names:
                try:
                    values[names[variable]] = _value(names[variable], text)
                except ValueError as rule:
                    faults.append(f"{variable} is {text!r}; it must be {rule}")
            elif variable.startswith("DUMMY_"):
                faults.append(f"{variable} is unknown; there are {', '.join(names)}")
        if faults:
            raise SetupError("; ".join(faults))
        return cls(**values)


def _value(name: str, text: str) -> str | float:
    """The value of a setting; ValueError with the rule it breaks."""
    if name == "task":
        if not text:
            raise ValueError("a name")
        return text
    kind: type[float] = int if name == "seed" else float
    most, rule = (
        (1, "a number from 0 to 1") if name in ("accuracy", "failure_rate") else (1e9, "a number from 0 to 1e9")
    )
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise ValueError(f"a whole {rule.removeprefix('a ')}" if kind is int else rule)
    return value


def difficulty(data: bytes, seed: int) -> float:
    """How hard an input is, in [0, 1): a model is right when its accuracy is above. Every variant of a seed agrees."""
    return _hash(data, seed, b"difficulty") / 2**64


def expected_label(data: bytes, seed: int) -> str:
    """The right answer for an input, one of `class-0` to `class-9`; a reply is correct when its label equals it."""
    return f"class-{_hash(data, seed, b'label') % LABELS}"


def load_dummy(settings: DummySettings, service: str) -> Callable[[bytes], Prediction]:
    """The predictor, after the memory is taken and the cold start is over.

    Jitter and failures come from one stream per seed and service, in the order of arrival: a repeated input is not
    doomed to fail again, and the same requests in the same order give the same behaviour in another process.
    """
    ballast = b"\x01" * round(settings.memory_mb * 2**20)
    chance = random.Random(f"{settings.seed}/{service}")
    lock = threading.Lock()
    in_flight = 0

    def predict(data: bytes) -> Prediction:
        nonlocal in_flight
        with lock:
            jitter, luck, others = chance.random(), chance.random(), in_flight
            in_flight += 1
        try:
            time.sleep(
                (
                    settings.latency_ms
                    + settings.per_byte_ms * len(data)
                    + settings.per_in_flight_ms * others
                    + settings.jitter_ms * jitter
                )
                / 1000
            )
        finally:
            with lock:
                in_flight -= 1
        if luck < settings.failure_rate:
            raise WarmfrontError(f"made to fail: DUMMY_FAILURE_RATE is {settings.failure_rate:g}")
        return Prediction(_label(data, settings), settings.accuracy)

    predict.ballast = ballast  # type: ignore[attr-defined]  # as long as the model lives, so does its memory
    time.sleep(max(0.0, settings.cold_start_ms / 1000 - process_age_s()))
    return predict


def _label(data: bytes, settings: DummySettings) -> str:
    right = expected_label(data, settings.seed)
    if difficulty(data, settings.seed) < settings.accuracy:
        return right
    return f"class-{(int(right.removeprefix('class-')) + 1) % LABELS}"


def _hash(data: bytes, seed: int, purpose: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8, key=b"%d" % seed, person=purpose).digest())
