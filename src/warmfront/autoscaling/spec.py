"""What a revision asks of its autoscaler: Knative's annotations, Knative's bounds, Knative's defaults.

What may live here: fields, their rules and the values that follow from them. What must not: load, time, decisions.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from warmfront.errors import InvalidRequest

PREFIX: Final = "autoscaling.knative.dev/"
KPA_CLASS: Final = "kpa.autoscaling.knative.dev"

_MAX_INT: Final = 2**31 - 1
_HOUR_S: Final = 3600.0
_DEFAULT_CONCURRENCY: Final = 100.0  # container-concurrency-target-default
_DEFAULT_RPS: Final = 200.0  # requests-per-second-target-default
_LEAST_TARGET: Final = 0.01

_UNITS_S: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART: Final = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)"
_DURATION: Final = re.compile(rf"([+-]?)((?:{_DURATION_PART})+|0)", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSpec:
    """How one revision scales. Names and defaults are Knative's; seconds, shares in [0, 1], percentages where named so.

    `target` None means: containerConcurrency, else 100 in flight (or 200 requests a second). `max_scale` 0 is no limit.
    `target_burst_capacity` -1 keeps the activator in the path always, 0 only at zero. A revision that no route names is
    not `reachable`: it keeps no minimum, no retention, no delay. Breaking a rule raises ValueError.
    """

    stable_window_s: float = 60.0
    panic_window_percentage: float = 10.0
    panic_threshold_percentage: float = 200.0
    container_concurrency: int = 0
    target: float | None = None
    target_utilization: float = 0.7
    target_burst_capacity: float = 211.0
    min_scale: int = 0
    max_scale: int = 0
    initial_scale: int = 1
    activation_scale: int = 1
    scale_down_delay_s: float = 0.0
    pod_retention_s: float = 0.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    metric: str = "concurrency"
    aggregation: str = "arithmetic"
    scale_to_zero_grace_s: float = 30.0
    progress_deadline_s: float = 600.0
    enable_scale_to_zero: bool = True
    reachable: bool = True

    def __post_init__(self) -> None:
        faults = [
            f"{rule.field} is {value!r}; wanted {rule.wanted}"
            for rule in (*_ANNOTATED, *_CONFIGURED)
            if (value := getattr(self, rule.field)) is not None and not rule.allows(value)
        ]
        if self.max_scale and self.max_scale < self.min_scale:
            faults.append(f"max_scale {self.max_scale} is below min_scale {self.min_scale}; raise or remove one")
        if faults:
            raise ValueError("; ".join(faults))

    @classmethod
    def from_annotations(cls, annotations: Mapping[str, str], container_concurrency: int) -> "ScalingSpec":
        """The spec of a revision; keys may be Knative's (`min-scale`) or its old ones (`minScale`).

        Annotations of others are ignored. Raises InvalidRequest with every fault: annotation, value and rule.
        """
        values: dict[str, Any] = {}
        faults: list[str] = []
        for rule in _ANNOTATED:
            key, text = _lookup(annotations, rule.annotation)
            if text is None:
                continue
            value = rule.parse(text)
            if value is None or not rule.allows(value):
                faults.append(f"{key} is {text!r}; wanted {rule.wanted}")
            else:
                values[rule.field] = value
        kind = annotations.get(f"{PREFIX}class", KPA_CLASS)
        if kind != KPA_CLASS:
            faults.append(f"{PREFIX}class is {kind!r}; only {KPA_CLASS} scales here")
        if not faults:
            try:
                return cls(container_concurrency=container_concurrency, **values)
            except ValueError as error:
                faults.append(str(error))
        raise InvalidRequest("; ".join(faults))

    @property
    def total(self) -> float:
        """What one replica can carry of the metric: the target before utilisation."""
        if self.metric == "rps":
            return _DEFAULT_RPS if self.target is None else self.target
        limit = float(self.container_concurrency)
        if self.target is None:
            return limit or _DEFAULT_CONCURRENCY
        return min(self.target, limit) if limit else self.target

    @property
    def target_value(self) -> float:
        """What one replica is meant to carry of the metric, at least 0.01."""
        return max(_LEAST_TARGET, self.total * self.target_utilization)

    @property
    def panic_window_s(self) -> float:
        """The panic window in whole seconds, half rounded up, at least 1: 6 s of 60 s, 1 s of 6 s, 3 s of 25 s."""
        return max(1.0, math.floor(self.stable_window_s * self.panic_window_percentage / 100 + 0.5))

    @property
    def weighted(self) -> bool:
        """Whether newer seconds weigh more in an average."""
        return self.aggregation == "weighted-exponential"

    @property
    def minimum(self) -> int:
        """The lower bound in force."""
        return self.min_scale if self.reachable else 0

    @property
    def delay_s(self) -> float:
        """The scale-down delay in force."""
        return self.scale_down_delay_s if self.reachable else 0.0

    @property
    def retention_s(self) -> float:
        """The retention of the last replica in force."""
        return self.pod_retention_s if self.reachable else 0.0


def _lookup(annotations: Mapping[str, str], key: str) -> tuple[str, str | None]:
    head, *tail = key.removeprefix(PREFIX).split("-")
    old = PREFIX + head + "".join(word.capitalize() for word in tail)
    if key not in annotations and old in annotations:
        return old, annotations[old]
    return key, annotations.get(key)


def _duration(text: str) -> float | None:
    """A Go duration such as 1m30s or 1.5h, in seconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    parts = re.findall(_DURATION_PART, match[2])
    seconds = math.fsum(float(number) * _UNITS_S[unit] for number, unit in parts)
    return -seconds if match[1] == "-" else seconds


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) and len(text) < 20 else None


def _decimal(text: str) -> float | None:
    return float(text) if _DECIMAL.fullmatch(text) else None


def _share(text: str) -> float | None:
    percentage = _decimal(text)
    return None if percentage is None else percentage / 100


def _aggregation(text: str) -> str:
    return "arithmetic" if text == "linear" else text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """What a field may be: how it is read, which values are allowed, and that rule in words."""

    field: str
    annotation: str = ""
    parse: Callable[[str], Any] = str
    allows: Callable[[Any], bool]
    wanted: str


def _between(low: float, high: float) -> Callable[[float], bool]:
    return lambda value: low <= value <= high


def _whole_between(low: float, high: float) -> Callable[[float], bool]:
    return lambda value: low <= value <= high and value == int(value)


def _count(field: str, low: int = 0) -> _Rule:
    return _Rule(
        field=field,
        annotation=PREFIX + field.replace("_", "-"),
        parse=_integer,
        allows=_between(low, _MAX_INT),
        wanted=f"a whole number from {low} to {_MAX_INT}",
    )


_ANNOTATED: Final = (
    _Rule(
        field="stable_window_s",
        annotation=f"{PREFIX}window",
        parse=_duration,
        allows=_whole_between(6, _HOUR_S),
        wanted="6s to 1h in whole seconds, such as 60s",
    ),
    _Rule(
        field="panic_window_percentage",
        annotation=f"{PREFIX}panic-window-percentage",
        parse=_decimal,
        allows=_between(1, 100),
        wanted="a percentage from 1 to 100",
    ),
    _Rule(
        field="panic_threshold_percentage",
        annotation=f"{PREFIX}panic-threshold-percentage",
        parse=_decimal,
        allows=_between(110, 1000),
        wanted="a percentage from 110 to 1000",
    ),
    _Rule(
        field="target",
        annotation=f"{PREFIX}target",
        parse=_decimal,
        allows=lambda value: _LEAST_TARGET <= value < math.inf,
        wanted=f"a number from {_LEAST_TARGET}",
    ),
    _Rule(
        field="target_utilization",
        annotation=f"{PREFIX}target-utilization-percentage",
        parse=_share,
        allows=_between(0.01, 1),
        wanted="a percentage from 1 to 100",
    ),
    _Rule(
        field="target_burst_capacity",
        annotation=f"{PREFIX}target-burst-capacity",
        parse=_decimal,
        allows=lambda value: value == -1 or 0 <= value < math.inf,
        wanted="-1 (activator always in the path), 0 (only at zero) or a number above",
    ),
    _count("min_scale"),
    _count("max_scale"),
    _count("initial_scale"),
    _count("activation_scale", low=1),
    _Rule(
        field="scale_down_delay_s",
        annotation=f"{PREFIX}scale-down-delay",
        parse=_duration,
        allows=_whole_between(0, _HOUR_S),
        wanted="0s to 1h in whole seconds",
    ),
    _Rule(
        field="pod_retention_s",
        annotation=f"{PREFIX}scale-to-zero-pod-retention-period",
        parse=_duration,
        allows=_between(0, _HOUR_S),
        wanted="0s to 1h",
    ),
    _Rule(
        field="metric",
        annotation=f"{PREFIX}metric",
        allows=lambda value: value in {"concurrency", "rps"},
        wanted="concurrency or rps",
    ),
    _Rule(
        field="aggregation",
        annotation=f"{PREFIX}metric-aggregation-algorithm",
        parse=_aggregation,
        allows=lambda value: value in {"arithmetic", "weighted-exponential"},
        wanted="linear or weighted-exponential",
    ),
    _Rule(
        field="progress_deadline_s",
        annotation="serving.knative.dev/progress-deadline",
        parse=_duration,
        allows=lambda value: 0 < value < math.inf and value == int(value),
        wanted="whole seconds above 0, such as 600s",
    ),
)
_CONFIGURED: Final = (
    _Rule(field="container_concurrency", allows=_between(0, _MAX_INT), wanted="0 (no limit) or a whole number above"),
    _Rule(field="max_scale_up_rate", allows=lambda value: 1 < value < math.inf, wanted="a number above 1"),
    _Rule(field="max_scale_down_rate", allows=lambda value: 1 < value < math.inf, wanted="a number above 1"),
    _Rule(field="scale_to_zero_grace_s", allows=lambda value: 0 < value < math.inf, wanted="seconds above 0"),
)
