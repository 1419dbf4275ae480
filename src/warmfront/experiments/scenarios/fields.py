"""Fields of a scenario by their dotted names: set by an override, and named when one is wrong. Nothing is read here."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec

from warmfront.errors import SetupError
from warmfront.experiments.scenarios.schema import ScenarioFile

_PATH = re.compile(r" - at `\$\.?(.*)`$")


def override(merged: dict[str, Any], text: str) -> None:
    """Set a field by FIELD=VALUE, the value as TOML or else as text; an entry of a list is named by its number."""
    key, equals, given = text.partition("=")
    if not equals or not key.strip():
        raise SetupError(f"--set: found {text!r}, wanted FIELD=VALUE such as platform.window_s=10")
    try:
        value = tomllib.loads(f"value = {given.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = given.strip()
    *tables, last = key.strip().split(".")
    place: Any = merged
    for depth, name in enumerate(tables):
        index = _index(place, name, text, ".".join(tables[:depth]))
        if isinstance(place, dict):
            place.setdefault(index, {})
        place = place[index]
    place[_index(place, last, text, ".".join(tables))] = value


def told(message: str, merged: Mapping[str, Any]) -> str:
    """The complaint of msgspec with the field in front and the value that was found, or the fields there are."""
    match = _PATH.search(message)
    wanted = message[: match.start()] if match else message
    field = match[1] if match else ""
    value: Any = merged
    place: Any = msgspec.inspect.type_info(ScenarioFile)
    for part in re.findall(r"\w+|\[[\d.]+\]", field):
        index: Any = int(part[1:-1]) if part[1:-1].isdecimal() else part
        place = _within(place, part, value)
        try:
            value = value[index]
        except (KeyError, IndexError, TypeError):
            value = None
    place = _one(place, value)
    if "unknown field" in wanted and isinstance(place, msgspec.inspect.StructType):
        return f"{field or 'the file'}: {wanted}; wanted some of {', '.join(one.name for one in place.fields)}"
    if value is None or isinstance(value, dict):
        return f"{field or 'the file'}: {wanted}"
    return f"{field}: found {value!r}: {wanted}"


def _index(place: Any, name: str, text: str, field: str) -> Any:
    """By what `name` is found in the table or list `field`. Raises SetupError when it has no such."""
    if isinstance(place, dict):
        return name
    if not isinstance(place, list):
        raise SetupError(f"--set {text}: {field}: found {place!r}, wanted a table, since {name!r} is set in it")
    if not name.isdecimal() or int(name) >= len(place):
        wanted = f"an entry from 0 to {len(place) - 1}" if place else "a whole list, since it is empty"
        raise SetupError(f"--set {text}: {field}: found {name!r}, wanted {wanted}")
    return int(name)


def _one(place: Any, value: Any) -> Any:
    """Of a choice of tables the one that the value is, by its `kind`."""
    if not isinstance(place, msgspec.inspect.UnionType):
        return place
    kind = value.get("kind") if isinstance(value, dict) else None
    records = [one for one in place.types if isinstance(one, msgspec.inspect.StructType)]
    return next((one for one in records if len(records) == 1 or one.tag == kind), None)


def _within(place: Any, part: str, value: Any) -> Any:
    """The type of a table's field, of a list's entries or of a mapping's values; None where there is no such."""
    place = _one(place, value)
    if isinstance(place, msgspec.inspect.StructType):
        return next((one.type for one in place.fields if one.name == part), None)
    if isinstance(place, msgspec.inspect.VarTupleType):
        return place.item_type
    return place.value_type if isinstance(place, msgspec.inspect.DictType) else None
