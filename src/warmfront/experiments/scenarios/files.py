"""Scenario files and their tables: found, read, merged and checked. What must not live here: what they mean.

A name is that of a shipped file, or a path. `extends` names another file or several, later ones first, whose tables
are taken where the file itself says nothing; a table with another `kind` replaces the other's. Whatever is wrong is a
SetupError that names the file, the field, what was found and what was wanted.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from warmfront.errors import SetupError
from warmfront.experiments import csv_file
from warmfront.experiments.csv_file import Row
from warmfront.experiments.scenarios.schema import ScenarioFile

SHIPPED = Path(str(files("warmfront.experiments"))) / "data" / "scenarios"
DATA_VARIABLE = "WARMFRONT_DATA"
_PATH = re.compile(r" - at `\$\.?(.*)`$")


def names() -> list[str]:
    """The shipped scenarios; what only others extend begins with an underscore and is none."""
    return sorted(path.stem for path in SHIPPED.glob("[!_]*.toml"))


def find(name: str) -> Path:
    """The file of a scenario: a path as given, or the shipped one of that name."""
    given = Path(name)
    if given.suffix == ".toml" and given.is_file():
        return given.resolve()
    shipped = SHIPPED / f"{given.name}.toml"
    if given.name == name and shipped.is_file():
        return shipped
    family = name.partition("-")[0]
    close = [known for known in names() if family in known] or names()
    raise SetupError(f"no scenario {name!r}: wanted the path of a .toml file or one of {', '.join(close)}")


def read(path: Path, overrides: Sequence[str] = ()) -> ScenarioFile:
    """The scenario that a file describes, with `overrides` such as `platform.window_s=10`, values as TOML."""
    merged = _load(path, ())
    for text in overrides:
        _override(merged, text)
    try:
        return msgspec.convert(merged, ScenarioFile)
    except msgspec.ValidationError as error:
        raise SetupError(f"{path}: {_told(str(error), merged)}") from None


def rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV file, or a gzipped one, that must have these columns."""
    wanted = f"a CSV file with the columns {', '.join(columns)}" if columns else "a CSV file"
    found, there = csv_file.read(path, wanted)
    if missing := [column for column in columns if column not in there]:
        shown = f"the columns {', '.join(there)}" if there else "no columns"
        raise SetupError(f"{path}: found {shown}; {', '.join(missing)} wanted beside them")
    return found


def number(path: Path, line: int, row: Row, column: str, default: float | None = None) -> float:
    """A cell that must be a number; an empty or absent one is the default, if there is one."""
    text = row.get(column) or ""
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        raise SetupError(f"{path}: line {line}: {column}: found {text!r}, wanted a number") from None


def whole(path: Path, line: int, row: Row, column: str) -> int:
    """A cell that must be a whole number, 0 or more."""
    text = (row.get(column) or "").strip()
    if not text.isdecimal():
        raise SetupError(f"{path}: line {line}: {column}: found {text!r}, wanted a whole number")
    return int(text)


def table(name: str, beside: Path) -> Path:
    """A table beside the scenario's file, or a shipped one."""
    for folder in (beside.parent, SHIPPED):
        if (folder / name).is_file():
            return folder / name
    return beside.parent / name


def data_folder(given: Path | None) -> Path | None:
    """Where measured traces and profiles lie: as given, by WARMFRONT_DATA, or ../shared/data; None when nowhere."""
    if given is not None:
        if not given.is_dir():
            raise SetupError(f"data folder: found nothing at {given}, wanted a folder with traces/ and profiles/")
        return given
    named = os.environ.get(DATA_VARIABLE)
    if named:
        return data_folder(Path(named))
    beside = Path("../shared/data")
    return beside if beside.is_dir() else None


def _load(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise SetupError(f"{path}: extends: found a circle over {', '.join(one.name for one in seen)}, wanted none")
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path}: found {error}; wanted TOML") from None
    extends = found.pop("extends", [])
    merged: dict[str, Any] = {}
    for name in [extends] if isinstance(extends, str) else extends:
        places = [folder / f"{name}.toml" for folder in (path.parent, SHIPPED)]
        base = next((place for place in places if place.is_file()), None)
        if base is None:
            raise SetupError(f"{path}: extends: found {name!r}, wanted the name of a file beside it or a shipped one")
        merged = _merged(merged, _load(base, (*seen, path)))
    return _merged(merged, found)


def _merged(base: Any, over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        tables = isinstance(old, dict) and isinstance(value, dict) and value.get("kind") in {None, old.get("kind")}
        merged[key] = _merged(old, value) if tables else value
    return merged


def _override(merged: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SetupError(f"found {text!r}, wanted FIELD=VALUE such as platform.window_s=10")
    *tables, last = key.strip().split(".")
    place: Any = merged
    for name in tables:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    try:
        place[last] = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        place[last] = value.strip()


def _told(message: str, merged: Mapping[str, Any]) -> str:
    """The complaint of msgspec with the field in front and the value that was found."""
    match = _PATH.search(message)
    wanted = message[: match.start()] if match else message
    field = match[1] if match else ""
    value: Any = merged
    for part in re.findall(r"\w+|\[\d+\]", field):
        index: Any = int(part[1:-1]) if part.startswith("[") else part
        try:
            value = value[index]
        except (KeyError, IndexError, TypeError):
            return f"{field or 'the file'}: {wanted}"
    if isinstance(value, dict):
        return f"{field or 'the file'}: {wanted}; experiments/scenarios/schema.py has all fields"
    return f"{field or 'the file'}: found {value!r}: {wanted}"
