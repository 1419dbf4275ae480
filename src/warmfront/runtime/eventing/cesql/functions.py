"""The built-in functions of CESQL 1.0 (3.5 and the casts of 3.7), found by name and number of arguments.

A function that fails raises; the evaluator turns that into the zero value and an error (fail-fast mode).
"""

from collections.abc import Callable
from dataclasses import dataclass

from warmfront.errors import InvalidRequest
from warmfront.runtime.eventing.cesql.values import (
    INT_MIN,
    ErrorKind,
    EvaluationError,
    Value,
    to_boolean,
    to_integer,
)

# Unicode White_Space; str.strip() alone would also take U+001C to U+001F, which are control characters without it.
_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of fixed parameter types; with `variadic` the last one may occur any number of times, also never.

    A parameter type of `None` takes the argument uncast.
    """

    parameters: tuple[type | None, ...]
    returns: type
    body: Callable[..., Value]
    variadic: bool = False

    def takes(self, count: int) -> bool:
        """Whether it can be called with this many arguments."""
        return count >= len(self.parameters) - 1 if self.variadic else count == len(self.parameters)

    def parameter(self, index: int) -> type | None:
        """The type wanted at this position."""
        return self.parameters[min(index, len(self.parameters) - 1)]


def find(name: str, count: int) -> Function:
    """The built-in of this name (any case) that takes `count` arguments; InvalidRequest tells what there is."""
    overloads = _BUILT_IN.get(name.upper())
    if overloads is None:
        raise InvalidRequest(f"unknown function {name}; the built-in ones are {', '.join(sorted(_BUILT_IN))}")
    for function in overloads:
        if function.takes(count):
            return function
    wanted = " or ".join(
        f"{len(f.parameters) - 1} or more" if f.variadic else str(len(f.parameters)) for f in overloads
    )
    raise InvalidRequest(f"function {name.upper()} takes {wanted} arguments, found {count}")


def _refuse(message: str) -> EvaluationError:
    return EvaluationError(ErrorKind.FUNCTION_EVALUATION, message)


def _left(text: str, count: int) -> str:
    if count < 0:
        raise _refuse(f"LEFT wants a length of 0 or more, found {count}")
    return text[:count]


def _right(text: str, count: int) -> str:
    if count < 0:
        raise _refuse(f"RIGHT wants a length of 0 or more, found {count}")
    return text[max(0, len(text) - count) :]


def _substring(text: str, position: int, length: int | None = None) -> str:
    if length is not None and length < 0:
        raise _refuse(f"SUBSTRING wants a length of 0 or more, found {length}")
    if abs(position) > len(text):
        raise _refuse(f"SUBSTRING position {position} lies outside of a string of {len(text)} characters")
    if position == 0:
        return ""
    start = position - 1 if position > 0 else len(text) + position
    return text[start:] if length is None else text[start : start + length]


def _absolute(value: int) -> int:
    if value == INT_MIN:
        raise EvaluationError(ErrorKind.MATH, f"ABS of {value} does not fit into a 32-bit signed integer")
    return abs(value)


def _is(cast: Callable[[Value], Value]) -> Callable[[Value], bool]:
    def castable(value: Value) -> bool:
        try:
            cast(value)
        except EvaluationError:
            return False
        return True

    return castable


def _function(returns: type, body: Callable[..., Value], *parameters: type | None, variadic: bool = False) -> Function:
    return Function(parameters=parameters, returns=returns, body=body, variadic=variadic)


_BUILT_IN: dict[str, tuple[Function, ...]] = {
    "INT": (_function(int, lambda x: x, int),),
    "BOOL": (_function(bool, lambda x: x, bool),),
    "STRING": (_function(str, lambda x: x, str),),
    "IS_INT": (_function(bool, _is(to_integer), None),),
    "IS_BOOL": (_function(bool, _is(to_boolean), None),),
    "ABS": (_function(int, _absolute, int),),
    "LENGTH": (_function(int, len, str),),
    "CONCAT": (_function(str, lambda *parts: "".join(parts), str, variadic=True),),
    "CONCAT_WS": (_function(str, lambda glue, *parts: glue.join(parts), str, str, variadic=True),),
    "LOWER": (_function(str, str.lower, str),),
    "UPPER": (_function(str, str.upper, str),),
    "TRIM": (_function(str, lambda x: x.strip(_WHITE_SPACE), str),),
    "LEFT": (_function(str, _left, str, int),),
    "RIGHT": (_function(str, _right, str, int),),
    "SUBSTRING": (_function(str, _substring, str, int), _function(str, _substring, str, int, int)),
}
