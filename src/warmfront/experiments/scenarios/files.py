"""Scenario files and their tables: found, read, merged and checked. What must not live here: what they mean.

A name is that of a shipped file, or a path. `extends` names another file or several, later ones first, whose tables
are taken where the file itself says nothing; a table with another `kind` replaces the other's. Whatever is wrong is a
SetupError that names the file, the field, what was found and what was wanted.
"""

import math
import os
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from warmfront.errors import SetupError
from warmfront.experiments import csv_file
from warmfront.experiments.csv_file import Row
from warmfront.experiments.scenarios.fields import override, told
from warmfront.experiments.scenarios.schema import ScenarioFile

SHIPPED = Path(str(files("warmfront.experiments"))) / "data" / "scenarios"
DATA_VARIABLE = "WARMFRONT_DATA"


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
        override(merged, text)
    if endless := _endless(merged, ""):
        raise SetupError(f"{path}: {endless}, wanted a finite number")
    try:
        return msgspec.convert(merged, ScenarioFile)
    except msgspec.ValidationError as error:
        raise SetupError(f"{path}: {told(str(error), merged)}") from None


def names_a_trace(path: Path, overrides: Sequence[str]) -> bool:
    """Whether the overrides, or else the file itself, say which trace to play and give nothing to stand in for it."""
    set_here: dict[str, Any] = {"workload": {}}
    for text in overrides:
        if text.startswith("workload"):
            override(set_here, text)
    said = (table["workload"] for table in (set_here, _toml(path)) if "file" in table.get("workload", {}))
    return "stand_in" not in next(said, {"stand_in"})


def rows(path: Path, columns: Sequence[str]) -> list[tuple[int, Row]]:
    """The rows of a CSV file, or a gzipped one, that must have these columns, each with its line."""
    wanted = f"a CSV file with the columns {', '.join(columns)}" if columns else "a CSV file"
    found, there = csv_file.read(path, wanted)
    if missing := [column for column in columns if column not in there]:
        shown = f"the columns {', '.join(there)}" if there else "no columns"
        raise SetupError(f"{path}: found {shown}; {', '.join(missing)} wanted beside them")
    return found


def number(
    path: Path, line: int, row: Row, column: str, default: float | None = None, *, most: float = math.inf,
    above: float | None = None,
) -> float:  # fmt: skip
    """A cell that must be a finite number from 0, or `above` that, to `most`; an empty or absent one is the default, if
    there is one.
    """
    text = (row.get(column) or "").strip()
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and value <= most and (value >= 0 if above is None else value > above):
        return value
    wanted = "a number, 0 or more" if above is None else f"a number above {above:g}"
    if most < math.inf:
        wanted = f"a number from 0 to {most:g}"
    raise SetupError(f"{path}: line {line}: {column}: found {text!r}, wanted {wanted}")


def whole(path: Path, line: int, row: Row, column: str, default: int | None = None, *, most: int | None = None) -> int:
    """A cell that must be a whole number from 0 to `most`; an empty or absent one is the default, if there is one."""
    text = (row.get(column) or "").strip()
    if not text and default is not None:
        return default
    if not text.isdecimal() or (most is not None and int(text) > most):
        wanted = "a whole number, 0 or more" if most is None else f"a whole number from 0 to {most}"
        raise SetupError(f"{path}: line {line}: {column}: found {text!r}, wanted {wanted}")
    return int(text)


def table(name: str, beside: Path, field: str, columns: Sequence[str]) -> Path:
    """The table that a field names: beside the scenario's file, or a shipped one."""
    for folder in (beside.parent, SHIPPED):
        if name and (folder / name).is_file():
            return folder / name
    raise SetupError(
        f"{beside}: {field}: found {name!r}, which is neither beside the scenario nor shipped; wanted a CSV file with "
        f"the columns {', '.join(columns)}"
    )


def trace(name: str, beside: Path, data: Path | None) -> Path | None:
    """The recorded arrivals of that name: beside the scenario's file, or in the data folder; None when nowhere."""
    folders = [beside.parent, *([] if data is None else [data])]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


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
    found = _toml(path)
    extends = found.pop("extends", [])
    names = [extends] if isinstance(extends, str) else extends
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SetupError(f"{path}: extends: found {extends!r}, wanted the name of a scenario or a list of names")
    merged: dict[str, Any] = {}
    for name in names:
        places = [folder / f"{name}.toml" for folder in (path.parent, SHIPPED)]
        base = next((place for place in places if place.is_file()), None)
        if base is None:
            raise SetupError(f"{path}: extends: found {name!r}, wanted the name of a file beside it or a shipped one")
        merged = _merged(merged, _load(base, (*seen, path)))
    return _merged(merged, found)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror or error}; wanted a scenario in TOML") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"{path}: not UTF-8 at byte {error.start}; wanted TOML, in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path}: found {error}; wanted TOML") from None


def _merged(base: Any, over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        tables = isinstance(old, dict) and isinstance(value, dict) and value.get("kind") in {None, old.get("kind")}
        merged[key] = _merged(old, value) if tables else value
    return merged


def _endless(value: Any, field: str) -> str:
    """Which number is not finite, as FIELD: found VALUE; empty when none."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{field}: found {value}"
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = (_endless(one, f"{field}.{key}".removeprefix(".")) for key, one in pairs)
    return next(filter(None, found), "")
