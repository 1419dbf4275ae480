"""Which events a Trigger wants: a pure function of its filters and an event's attributes.

What lives here: the filter dialects exact, prefix, suffix, all, any, not and cesql, and the older `filter.attributes`.
What must not: triggers, brokers, anything that waits. Compile once per Trigger, ask once per event.
"""

from collections.abc import Callable, Mapping
from typing import Any

from warmfront.cloudevents import CloudEvent
from warmfront.errors import InvalidRequest
from warmfront.runtime.eventing.cesql import Attributes, compile_expression

Filter = Callable[[Attributes], bool]
"""Whether an event with these attributes passes. Never raises."""

_CORE = ("id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
_NESTING = 20


def attributes_of(event: CloudEvent) -> Attributes:
    """All context attributes of the event as strings, with extensions and `specversion`, without absent ones."""
    core = {name: value for name in _CORE if (value := getattr(event, name)) is not None}
    return {"specversion": "1.0", **core, **event.extensions}


def compile_filter(trigger_spec: Mapping[str, Any]) -> Filter:
    """What a Trigger's spec lets through: `filters` if there are any, else `filter.attributes`, else everything.

    InvalidRequest names the place, what was found and what is wanted.
    """
    filters = trigger_spec.get("filters")
    if filters:
        return _all(_list(filters, "spec.filters", 0))
    older = trigger_spec.get("filter") or {}
    return _attributes(older.get("attributes") or {}, "spec.filter.attributes")


def _attributes(wanted: object, place: str) -> Filter:
    """Every named attribute must be there; an empty value wants it there with any value."""
    pairs = tuple(_strings(wanted, place).items())
    return lambda attributes: all(name in attributes and value in ("", attributes[name]) for name, value in pairs)


def _list(dialects: object, place: str, depth: int) -> list[Filter]:
    if not isinstance(dialects, list) or not dialects:
        raise InvalidRequest(f"{place} is {dialects!r}; wanted a list of at least one filter")
    return [_filter(dialect, f"{place}[{index}]", depth) for index, dialect in enumerate(dialects)]


def _filter(dialect: object, place: str, depth: int) -> Filter:
    if depth > _NESTING:
        raise InvalidRequest(f"{place} is nested deeper than {_NESTING} levels; use fewer all, any and not")
    if not isinstance(dialect, dict) or len(dialect) != 1:
        found = sorted(dialect) if isinstance(dialect, dict) else dialect
        raise InvalidRequest(f"{place} holds {found!r}; wanted exactly one of {', '.join(_DIALECTS)}")
    ((name, argument),) = dialect.items()
    if name not in _DIALECTS:
        raise InvalidRequest(f"{place} holds the unknown dialect {name!r}; wanted one of {', '.join(_DIALECTS)}")
    return _DIALECTS[name](argument, f"{place}.{name}", depth)


def _strings(values: object, place: str) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise InvalidRequest(f"{place} is {values!r}; wanted attribute names with strings")
    return values


def _comparison(test: Callable[[str, str], bool]) -> Callable[[object, str, int], Filter]:
    """The dialects that compare attributes with strings; all named attributes must be there and match."""

    def dialect(argument: object, place: str, _: int) -> Filter:
        pairs = tuple(_strings(argument, place).items())
        if not pairs or not all(value for _, value in pairs):
            raise InvalidRequest(f"{place} is {argument!r}; wanted at least one attribute, none with an empty value")
        return lambda attributes: all(name in attributes and test(attributes[name], value) for name, value in pairs)

    return dialect


def _all(filters: list[Filter]) -> Filter:
    if len(filters) == 1:
        return filters[0]
    return lambda attributes: all(passes(attributes) for passes in filters)


def _any(filters: list[Filter]) -> Filter:
    return lambda attributes: any(passes(attributes) for passes in filters)


def _not(argument: object, place: str, depth: int) -> Filter:
    passes = _filter(argument, place, depth + 1)
    return lambda attributes: not passes(attributes)


def _cesql(argument: object, place: str, _: int) -> Filter:
    if not isinstance(argument, str):
        raise InvalidRequest(f"{place} is {argument!r}; wanted an expression as a string")
    try:
        expression = compile_expression(argument)
    except InvalidRequest as error:
        raise InvalidRequest(f"{place}: {error}") from None
    return lambda attributes: expression.evaluate(attributes).passes


_DIALECTS: dict[str, Callable[[object, str, int], Filter]] = {
    "exact": _comparison(str.__eq__),
    "prefix": _comparison(str.startswith),
    "suffix": _comparison(str.endswith),
    "all": lambda argument, place, depth: _all(_list(argument, place, depth + 1)),
    "any": lambda argument, place, depth: _any(_list(argument, place, depth + 1)),
    "not": _not,
    "cesql": _cesql,
}
