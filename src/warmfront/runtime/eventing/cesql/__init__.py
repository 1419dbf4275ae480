"""CloudEvents SQL 1.0: compile an expression once, evaluate it for many events. Pure; no clock, no I/O.

Left out of the specification: user-defined functions. Data is never looked at, only context attributes.
"""

from dataclasses import dataclass

from warmfront.runtime.eventing.cesql.nodes import Node
from warmfront.runtime.eventing.cesql.parser import parse
from warmfront.runtime.eventing.cesql.values import Attributes, ErrorKind, EvaluationError, Value, zero

__all__ = ["Attributes", "ErrorKind", "Expression", "Result", "Value", "compile_expression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an expression came to. With an error, `value` is the zero value of the expression's type."""

    value: Value
    error: ErrorKind | None = None
    message: str = ""

    @property
    def passes(self) -> bool:
        """Whether a filter lets the event through: only for the Boolean true without an error (CESQL 1.2)."""
        return self.error is None and self.value is True


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression."""

    root: Node

    def evaluate(self, attributes: Attributes) -> Result:
        """Fail-fast evaluation: the first error ends it. Never raises."""
        try:
            return Result(value=self.root.evaluate(attributes))
        except EvaluationError as error:
            return Result(value=zero(self.root.returns), error=error.kind, message=str(error))


def compile_expression(text: str) -> Expression:
    """Parse and check; InvalidRequest tells column, found and wanted, also for unknown functions."""
    return Expression(parse(text))
