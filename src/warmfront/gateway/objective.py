"""What a request asks for: deadline, accuracy floor, what to do if neither can be met, and the trade-off.

What may live here: the names under which headers, event extensions, Open Inference parameters and annotations carry an
objective, and the rule of each value. What must not: choosing. A broken value is an InvalidRequest that names field,
value and rule; all broken values are reported at once. Absent fields come from the defaults of the task.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from warmfront.cloudevents import Headers
from warmfront.domain import OnMiss, Weights
from warmfront.errors import InvalidRequest

MAX_DEADLINE_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The fields of one request's objective.

    `deadline_s` counts from receipt; `deadline_epoch_s` is an instant on the wall clock (seconds since 1970). With
    both, the earlier one holds.
    """

    deadline_s: float | None = None
    deadline_epoch_s: float | None = None
    min_accuracy: float | None = None
    on_miss: OnMiss = OnMiss.DEGRADE
    weights: Weights | None = None


NO_OBJECTIVE = Objective()

_NUMBER = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_WEIGHTS_RULE = "must be latency=W,accuracy=W with each W in [0, 1] and not both 0"


def _deadline(text: str) -> float:
    if _NUMBER.fullmatch(text) is None or not 0 < float(text) <= MAX_DEADLINE_MS:
        raise ValueError(f"must be a number of milliseconds above 0 and at most {MAX_DEADLINE_MS}")
    return float(text) / 1000


def _instant(text: str) -> float:
    rule = "must be an RFC 3339 date and time such as 2026-11-24T08:30:00.250Z"
    if _INSTANT.fullmatch(text) is None:
        raise ValueError(rule)
    try:
        return datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(rule) from None


def _accuracy(text: str) -> float:
    if _NUMBER.fullmatch(text) is None or not 0 <= float(text) <= 1:
        raise ValueError("must be a number in [0, 1]")
    return float(text)


def _on_miss(text: str) -> OnMiss:
    try:
        return OnMiss(text)
    except ValueError:
        raise ValueError("must be degrade or reject") from None


def _weights(text: str) -> Weights:
    parts = dict(part.strip().partition("=")[::2] for part in text.split(","))
    if set(parts) != {"latency", "accuracy"} or len(text.split(",")) != 2:
        raise ValueError(_WEIGHTS_RULE)
    if not all(_NUMBER.fullmatch(value) for value in parts.values()):
        raise ValueError(_WEIGHTS_RULE)
    try:
        return Weights(latency=float(parts["latency"]), accuracy=float(parts["accuracy"]))
    except ValueError:
        raise ValueError(_WEIGHTS_RULE) from None


_Field = tuple[str, Callable[[str], Any]]

_DEADLINE: _Field = ("deadline_s", _deadline)
_FLOOR: _Field = ("min_accuracy", _accuracy)
_MISS: _Field = ("on_miss", _on_miss)
_TRADE: _Field = ("weights", _weights)

HEADERS: Mapping[bytes, _Field] = {
    b"warmfront-deadline-ms": _DEADLINE,
    b"warmfront-min-accuracy": _FLOOR,
    b"warmfront-on-miss": _MISS,
    b"warmfront-weights": _TRADE,
}
EXTENSIONS: Mapping[str, _Field] = {
    "deadlinems": _DEADLINE,
    "deadlineat": ("deadline_epoch_s", _instant),
    "minaccuracy": _FLOOR,
    "onmiss": _MISS,
    "weights": _TRADE,
}
ANNOTATIONS: Mapping[str, _Field] = {
    "warmfront.dev/default-deadline-ms": _DEADLINE,
    "warmfront.dev/default-min-accuracy": _FLOOR,
    "warmfront.dev/default-on-miss": _MISS,
    "warmfront.dev/default-weights": _TRADE,
}
_PARAMETERS: Mapping[str, _Field] = {
    **{name.decode(): field for name, field in HEADERS.items()},
    **EXTENSIONS,
}


def _parse(found: Iterable[tuple[str, str, _Field]], defaults: Objective) -> Objective:
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, text, (field, parse) in found:
        if field in values:
            faults.append(f"{name} is given more than once; send it once")
            continue
        try:
            values[field] = parse(text)
        except ValueError as rule:
            faults.append(f"{name} is {text[:100]!r}; it {rule}")
    if faults:
        raise InvalidRequest("; ".join(faults))
    if not values:
        return defaults
    if "deadline_epoch_s" in values and "deadline_s" not in values:
        values["deadline_s"] = None  # an instant of its own replaces the task's default, be it later
    return replace(defaults, **values)


def _title(name: bytes) -> str:
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))


def from_headers(headers: Headers, defaults: Objective = NO_OBJECTIVE) -> Objective:
    """The objective in the Warmfront-* request headers. Raises InvalidRequest with every broken one."""
    found = [
        (_title(name), value.decode("utf-8", "backslashreplace").strip(), HEADERS[name])
        for name, value in headers
        if name in HEADERS
    ]
    return _parse(found, defaults) if found else defaults


def from_extensions(extensions: Mapping[str, str], defaults: Objective = NO_OBJECTIVE) -> Objective:
    """The objective in an event's extension attributes. Raises InvalidRequest with every broken one."""
    found = [(name, extensions[name], field) for name, field in EXTENSIONS.items() if name in extensions]
    return _parse(found, defaults) if found else defaults


def from_parameters(parameters: Mapping[str, Any], defaults: Objective = NO_OBJECTIVE) -> Objective:
    """The objective in Open Inference `parameters`, under the header's or the extension's name, in any case."""
    found = []
    for name, value in parameters.items():
        field = _PARAMETERS.get(name.lower())
        if field is not None:
            found.append((f"parameters.{name}", _text(value), field))
    return _parse(found, defaults) if found else defaults


def from_annotations(annotations: Mapping[str, str], defaults: Objective = NO_OBJECTIVE) -> Objective:
    """The task's defaults in the `warmfront.dev/default-*` annotations of a Service or Trigger."""
    found = [(name, annotations[name], field) for name, field in ANNOTATIONS.items() if name in annotations]
    return _parse(found, defaults) if found else defaults


def _text(value: object) -> str:
    """A JSON scalar as the text a header would carry: 300.0 and 300 mean the same."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**12:
        return str(int(value))
    return str(value)
