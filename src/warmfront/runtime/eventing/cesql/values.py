"""CESQL values: the three types, their casts and the errors of an evaluation (CESQL 1.0, 3.1, 3.3 and 3.7).

What must not live here: syntax, events, anything that waits.
"""

import re
from enum import Enum

Value = str | int | bool
Attributes = dict[str, str]

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


class ErrorKind(Enum):
    """The error types of CESQL 3.3 that can occur at run time. Parse and missing function are found at compile time."""

    MATH = "math"
    CAST = "cast"
    MISSING_ATTRIBUTE = "missingAttribute"
    FUNCTION_EVALUATION = "functionEvaluation"


class EvaluationError(Exception):
    """Ends an evaluation (fail-fast mode, CESQL 4.1); leaves this package only as a field of `Result`."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def zero(kind: type) -> Value:
    """The value an expression of this type has when its evaluation failed: empty string, 0 or false."""
    zeros: dict[type, Value] = {str: "", int: 0, bool: False}
    return zeros[kind]


def bounded(value: int) -> int:
    """The integer itself; outside of 32 bits a math error."""
    if not INT_MIN <= value <= INT_MAX:
        raise EvaluationError(ErrorKind.MATH, f"{value} does not fit into a 32-bit signed integer")
    return value


def to_integer(value: Value) -> int:
    """INT(value): true is 1, false is 0, a string must be a whole number in the range."""
    if isinstance(value, int):
        return int(value)
    if _INTEGER.fullmatch(value) and len(value) <= 11 and INT_MIN <= int(value) <= INT_MAX:
        return int(value)
    raise EvaluationError(ErrorKind.CAST, f"{value!r} is no Integer; wanted a whole number of 32 bits")


def to_boolean(value: Value) -> bool:
    """BOOL(value): 0 is false, other integers true; a string must be `true` or `false` in any case."""
    if isinstance(value, int):
        return bool(value)
    lowered = value.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    raise EvaluationError(ErrorKind.CAST, f"{value!r} is no Boolean; wanted true or false")


def to_string(value: Value) -> str:
    """STRING(value): always defined."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def cast(value: Value, target: type) -> Value:
    """The value as `str`, `int` or `bool`; a cast error when it cannot be."""
    if target is str:
        return to_string(value)
    return to_boolean(value) if target is bool else to_integer(value)
