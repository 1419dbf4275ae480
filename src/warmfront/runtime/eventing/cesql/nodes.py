"""What each piece of a CESQL expression means (CESQL 1.0, 3.4 to 3.7): functions that build a node from nodes.

A node is a pure function of the attributes with its result type; it raises `EvaluationError`, which only `Expression`
catches. What must not live here: syntax.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from warmfront.runtime.eventing.cesql.functions import Function
from warmfront.runtime.eventing.cesql.values import (
    Attributes,
    ErrorKind,
    EvaluationError,
    Value,
    bounded,
    cast,
    to_boolean,
    to_integer,
    to_string,
)


@dataclass(frozen=True, slots=True)
class Node:
    """One operator, function call, attribute or literal: `evaluate` it; `returns` is `str`, `int` or `bool`."""

    returns: type
    evaluate: Callable[[Attributes], Value]


def literal(value: Value) -> Node:
    """A string, integer or boolean written out."""
    return Node(type(value), lambda _: value)


def attribute(name: str) -> Node:
    """A context attribute, a String; an absent one is an error, and as the whole expression false."""

    def evaluate(attributes: Attributes) -> Value:
        if name not in attributes:
            raise EvaluationError(ErrorKind.MISSING_ATTRIBUTE, f"the event has no attribute {name}")
        return attributes[name]

    return Node(bool, evaluate)


def exists(name: str) -> Node:
    """EXISTS name: never fails."""
    return Node(bool, lambda attributes: name in attributes)


def negation(operand: Node) -> Node:
    """NOT x."""
    return Node(bool, lambda attributes: not to_boolean(operand.evaluate(attributes)))


def minus(operand: Node) -> Node:
    """-x."""
    return Node(int, lambda attributes: bounded(-to_integer(operand.evaluate(attributes))))


def _quotient(x: int, y: int) -> int:
    if y == 0:
        raise EvaluationError(ErrorKind.MATH, f"{x} is divided by zero")
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


def _remainder(x: int, y: int) -> int:
    return x - y * _quotient(x, y)


# Division truncates towards zero, the remainder has the sign of the dividend.
ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _quotient,
    "%": _remainder,
}
ORDER: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def arithmetic(symbol: str, left: Node, right: Node) -> Node:
    """`x + y` and its kin, of integers; a math error outside of 32 bits."""
    compute = ARITHMETIC[symbol]

    def evaluate(attributes: Attributes) -> Value:
        x, y = to_integer(left.evaluate(attributes)), to_integer(right.evaluate(attributes))
        return bounded(compute(x, y))

    return Node(int, evaluate)


def ordering(symbol: str, left: Node, right: Node) -> Node:
    """`x < y` and its kin, of integers."""
    compare = ORDER[symbol]

    def evaluate(attributes: Attributes) -> Value:
        return compare(to_integer(left.evaluate(attributes)), to_integer(right.evaluate(attributes)))

    return Node(bool, evaluate)


def equality(left: Node, right: Node) -> Node:
    """`x = y`: the left value is cast to the type of the right one (3.7); strings compare case-sensitively."""

    def evaluate(attributes: Attributes) -> Value:
        x, y = left.evaluate(attributes), right.evaluate(attributes)
        return cast(x, type(y)) == y

    return Node(bool, evaluate)


def conjunction(left: Node, right: Node) -> Node:
    """`x AND y`; y is left alone when x is false."""
    return Node(
        bool,
        lambda attributes: to_boolean(left.evaluate(attributes)) and to_boolean(right.evaluate(attributes)),
    )


def disjunction(left: Node, right: Node) -> Node:
    """`x OR y`; y is left alone when x is true."""
    return Node(
        bool,
        lambda attributes: to_boolean(left.evaluate(attributes)) or to_boolean(right.evaluate(attributes)),
    )


def exclusive(left: Node, right: Node) -> Node:
    """`x XOR y`."""
    return Node(
        bool,
        lambda attributes: to_boolean(left.evaluate(attributes)) is not to_boolean(right.evaluate(attributes)),
    )


LOGIC: dict[str, Callable[[Node, Node], Node]] = {"AND": conjunction, "OR": disjunction, "XOR": exclusive}


def like(operand: Node, pattern: str) -> Node:
    """`x LIKE pattern`."""
    matches = like_pattern(pattern).fullmatch
    return Node(bool, lambda attributes: matches(to_string(operand.evaluate(attributes))) is not None)


def like_pattern(pattern: str) -> re.Pattern[str]:
    r"""`%` is any run of characters, `_` any one; `\%` and `\_` stand for themselves, other backslashes too.

    Each run is an atomic group that stops at the first match of what follows it, so that matching never backtracks
    over earlier runs: its time is at most text length times pattern length, whatever the author of a Trigger writes.
    """
    segments = [""]
    for piece in re.findall(r"\\[%_]|.", pattern, re.DOTALL):
        if piece == "%":
            segments.append("")
        else:
            segments[-1] += "." if piece == "_" else re.escape(piece[-1])
    head, *rest = segments
    if not rest:
        return re.compile(head, re.DOTALL)
    *middle, tail = rest
    runs = "".join(f"(?>.*?{segment})" for segment in middle if segment)
    return re.compile(f"{head}{runs}.*{tail}", re.DOTALL)


def membership(operand: Node, elements: tuple[Node, ...]) -> Node:
    """`x IN (...)`: every element is cast to the type of x."""

    def evaluate(attributes: Attributes) -> Value:
        value = operand.evaluate(attributes)
        return any(cast(element.evaluate(attributes), type(value)) == value for element in elements)

    return Node(bool, evaluate)


def call(function: Function, arguments: tuple[Node, ...]) -> Node:
    """A built-in function with its arguments, cast to the parameters' types."""

    def evaluate(attributes: Attributes) -> Value:
        values = []
        for index, argument in enumerate(arguments):
            value, wanted = argument.evaluate(attributes), function.parameter(index)
            values.append(value if wanted is None else cast(value, wanted))
        return function.body(*values)

    return Node(function.returns, evaluate)
