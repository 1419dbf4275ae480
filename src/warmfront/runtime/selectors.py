"""Label and field selectors, as a query string of the Kubernetes API spells them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from warmfront.errors import InvalidRequest

Predicate = Callable[[Mapping[str, Any]], bool]

_KEY = r"(?P<key>[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?)"
_SET = re.compile(rf"{_KEY}\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL = re.compile(rf"{_KEY}\s*(?P<op>==|=|!=)\s*(?P<value>[A-Za-z0-9._-]*)")
_EXISTS = re.compile(rf"(?P<op>!?)\s*{_KEY}")
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")
_FIELDS = {"metadata.name": "name", "metadata.namespace": "namespace"}


def label_selector(text: str) -> Predicate | None:
    """A predicate on objects: all of `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`.

    Commas separate them.

    None selects everything. As in Kubernetes, `!=` and `notin` also select objects without the label. Raises
    InvalidRequest naming the requirement that cannot be read.
    """
    requirements = [_requirement(part.strip()) for part in _split(text)]
    if not requirements:
        return None

    def selects(obj: Mapping[str, Any]) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(requirement(labels) for requirement in requirements)

    return selects


def field_selector(text: str) -> Predicate | None:
    """`metadata.name` and `metadata.namespace` with `=`, `==` or `!=`, as for any custom resource.

    None selects everything; any other field is an InvalidRequest.
    """
    requirements = [_field_requirement(part.strip()) for part in _split(text)]
    if not requirements:
        return None
    return lambda obj: all(requirement(obj["metadata"]) for requirement in requirements)


def _split(text: str) -> list[str]:
    return _COMMA_OUTSIDE_PARENTHESES.split(text) if text.strip() else []


def _requirement(part: str) -> Predicate:
    if match := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in match["values"].split(","))
        key, wanted = match["key"], match["op"] == "in"
        # a label that is absent is None, which is in no set of values: "notin" selects it, "in" does not
        return lambda labels: (labels.get(key) in values) is wanted
    if match := _EQUAL.fullmatch(part):
        key, value, wanted = match["key"], match["value"], match["op"] != "!="
        return lambda labels: (labels.get(key) == value) is wanted
    if match := _EXISTS.fullmatch(part):
        key, wanted = match["key"], not match["op"]
        return lambda labels: (key in labels) is wanted
    raise InvalidRequest(
        f"label selector has {part!r}; write KEY, !KEY, KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B)"
    )


def _field_requirement(part: str) -> Predicate:
    match = _EQUAL.fullmatch(part)
    if match is None or match["key"] not in _FIELDS:
        raise InvalidRequest(f"field selector has {part!r}; only metadata.name and metadata.namespace with = or !=")
    key, value, wanted = _FIELDS[match["key"]], match["value"], match["op"] != "!="
    return lambda metadata: (metadata.get(key) == value) is wanted
