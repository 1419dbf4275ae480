"""What a selector has learned, as plain data that outlives it: records and their rules, nothing that learns.

The numbers are those of the estimators, rounded to four digits, under 2 KB a variant as JSON. Whatever breaks a rule is
refused when a record is built, so that a damaged document cannot spoil a selector. Learned facts lose weight with age:
`kept_share` tells how much is left; what is lost goes back to what the estimator believed before it learned anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

from warmfront.domain import Profile

_MOST_CLASSES = 40  # sizes up to 2^80 bytes
_LIMIT = 1e4  # above any weight, mean or count that an estimator can reach


class Samples(NamedTuple):
    """The state of a `samples.LogSamples`: fading count, mean and scatter of logarithms, what is left of the prior."""

    weight: float = 0.0
    mean: float = 0.0
    m2: float = 0.0
    fade: float = 1.0


class Errors(NamedTuple):
    """Fading counts of errors: how many the declared accuracies expected, and how many there were."""

    expected: float = 0.0
    observed: float = 0.0

    def brief(self) -> "Errors":
        """To four significant digits."""
        return Errors(brief(self.expected), brief(self.observed))


_NO_SAMPLES, _NO_ERRORS = Samples(), Errors()


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedVariant:
    """All that was learned of one variant; `age_s` ago it was last taught something.

    `revision` and `profile` say of what: the numbers are relative to the profile. By-size dictionaries have the
    estimators' size classes as keys. `warm` and `waiting` are the masses of the calibration's bins, empty when nothing
    was learned. Raises ValueError for numbers that no estimator can have reached.
    """

    revision: str
    profile: Profile
    age_s: float
    execution: Samples = _NO_SAMPLES
    execution_by_size: Mapping[int, Samples] = field(default_factory=dict)
    network: Samples = _NO_SAMPLES
    cold_start: Samples = _NO_SAMPLES
    accuracy: Errors = _NO_ERRORS
    accuracy_by_size: Mapping[int, Errors] = field(default_factory=dict)
    warm: tuple[float, ...] = ()
    waiting: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check_samples("execution", self.execution, *self.execution_by_size.values())
        _check_samples("network", self.network)
        _check_samples("cold_start", self.cold_start)
        _check_errors("accuracy", self.accuracy, *self.accuracy_by_size.values())
        for name, by_size in (("execution", self.execution_by_size), ("accuracy", self.accuracy_by_size)):
            _check_classes(f"{name}_by_size", by_size)
        for name, masses in (("warm", self.warm), ("waiting", self.waiting)):
            _check(name, masses)
            if any(mass < 0 for mass in masses) or (masses and not sum(masses)):
                raise ValueError(f"{name} has {masses}; masses must be at least 0 and not all 0")
        _check_age(self.age_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a selector has learned of each variant and of what they share; `age_s` ago the latter was last taught.

    `difficulty` is how hard inputs are for all variants of a task: errors by task and size class.
    """

    variants: Mapping[str, LearnedVariant] = field(default_factory=dict)
    network: Samples = _NO_SAMPLES
    platform: Samples = _NO_SAMPLES
    difficulty: Mapping[str, Mapping[int, Errors]] = field(default_factory=dict)
    age_s: float = 0.0

    def __post_init__(self) -> None:
        _check_samples("network", self.network)
        _check_samples("platform", self.platform)
        for by_size in self.difficulty.values():
            _check_classes("difficulty", by_size)
            _check_errors("difficulty", *by_size.values())
        _check_age(self.age_s)


def kept_share(age_s: float, half_life_s: float) -> float:
    """How much of what was learned `age_s` ago still counts: half of it after each half-life."""
    share: float = 0.5 ** (max(age_s, 0.0) / half_life_s)
    return share


def brief(number: float) -> float:
    """The number to four significant digits: as good, and a third as long."""
    return float(f"{number:.4g}")


def _check_samples(name: str, *all_samples: Samples) -> None:
    for samples in all_samples:
        _check(name, samples)
        if samples.weight < 0 or samples.m2 < 0 or not 0 <= samples.fade <= 1:
            raise ValueError(f"{name} has {samples}; weight and m2 must be at least 0, fade must lie in [0, 1]")


def _check_errors(name: str, *all_errors: Errors) -> None:
    for errors in all_errors:
        _check(name, errors)
        if errors.expected < 0 or errors.observed < 0:
            raise ValueError(f"{name} has {errors}; errors must be at least 0")


def _check_classes(name: str, by_size: Iterable[int]) -> None:
    if not all(0 <= size < _MOST_CLASSES for size in by_size):
        raise ValueError(f"{name} has classes {sorted(by_size)}; they must lie in [0, {_MOST_CLASSES})")


def _check(name: str, numbers: Iterable[float]) -> None:
    for number in numbers:
        if not (isfinite(number) and abs(number) <= _LIMIT):
            raise ValueError(f"{name} has {number!r}; numbers must be finite and at most {_LIMIT:g}")


def _check_age(age_s: float) -> None:
    if not (isfinite(age_s) and age_s >= 0):
        raise ValueError(f"age_s is {age_s!r}; it must be finite and at least 0")


NOTHING = Learned()
