"""Inputs with the right answer: from a CSV to samples. What must not live here: sending them.

Columns: `label`, and `input` (text) or `input_base64` (bytes). Other names can be given; a name that ends in `_base64`
is decoded. Sizes are bytes of the input as it is sent.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from warmfront.errors import SetupError
from warmfront.experiments import csv_file

TEXT, BYTES = "text/plain; charset=utf-8", "application/octet-stream"
_BASE64 = "_base64"
_INPUTS = ("input", "input_base64")
_LONG_BYTES = 1024
_MOST_LONG = 20

# what ships with the project, by task: file below experiments/data, input and label columns
SHIPPED = {
    "langid": ("langid_texts.csv", "text", "lang"),
    "digits": ("digits_test.csv.gz", "input_base64", "label"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One input and its label; None when only its latency counts. `group` is the value of the column asked for."""

    body: bytes
    label: str | None
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """All samples of a file, in its order. `digest` names their content; `long` are longer inputs made of them."""

    samples: tuple[Sample, ...]
    long: tuple[Sample, ...]
    content_type: str
    digest: str
    source: str


def shipped(task: str, group: str = "") -> Labelled:
    """The labelled inputs that ship for a task. Raises SetupError when there are none."""
    if task not in SHIPPED:
        known = ", ".join(sorted(SHIPPED))
        raise SetupError(f"no labelled inputs ship for task {task!r} (only for {known}); give a CSV with --data")
    name, input_column, label_column = SHIPPED[task]
    path = Path(str(files("warmfront.experiments"))) / "data" / name
    return read(path, input_column=input_column, label_column=label_column, group_column=group)


def read(
    path: Path, *, input_column: str = "", label_column: str = "label", group_column: str = "", content_type: str = ""
) -> Labelled:
    """The samples of a CSV file, gzipped or not.

    Raises:
        SetupError: no such file, not a CSV in UTF-8, a column that is missing, a row without input or label; the
            message names file, line and column.
    """
    rows, columns = csv_file.read(path, "a CSV file with the columns input and label, a row per input")
    chosen = input_column or next((name for name in _INPUTS if name in columns), "")
    wanted = [chosen or " or ".join(_INPUTS), label_column, *filter(None, [group_column])]
    if missing := [name for name in wanted if name not in columns]:
        raise SetupError(
            f"{path}: found the columns {', '.join(columns) or 'of nothing'}; wanted {', '.join(missing)} too "
            f"(other names: --input-column, --label-column)"
        )
    binary = chosen.endswith(_BASE64)
    samples = []
    for line, row in rows:
        label = row.get(label_column) or ""
        if not label:
            raise SetupError(f"{path}: line {line}: {label_column} is empty; wanted the right answer to this input")
        body = _body(path, line, row.get(chosen) or "", chosen, binary=binary)
        samples.append(Sample(body=body, label=label, group=row.get(group_column) or ""))
    if not samples:
        raise SetupError(f"{path}: found no rows below the header; wanted one per labelled input")
    made = hashlib.sha256(repr([(one.body, one.label) for one in samples]).encode())
    return Labelled(
        samples=tuple(samples), long=() if binary else _long(samples),
        content_type=content_type or (BYTES if binary else TEXT), digest=made.hexdigest()[:16], source=path.name,
    )  # fmt: skip


def _body(path: Path, line: int, text: str, column: str, *, binary: bool) -> bytes:
    if not text.strip():
        raise SetupError(f"{path}: line {line}: {column} is empty; wanted an input")
    if not binary:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise SetupError(
            f"{path}: line {line}: {column} is not base64 ({error}); text goes into a column of another name"
        ) from None


def _long(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Texts of one label joined to about 1 KiB, to tell what a longer input costs; they have no label to judge by."""
    joined: dict[str | None, bytes] = {}
    for sample in samples:
        if len(joined.get(sample.label, b"")) < _LONG_BYTES:
            joined[sample.label] = joined.get(sample.label, b"") + sample.body + b" "
    longest = sorted(joined.values(), key=len, reverse=True)[:_MOST_LONG]
    usual = sorted(len(sample.body) for sample in samples)[len(samples) // 2]
    return tuple(Sample(body=body, label=None) for body in longest if len(body) >= 4 * usual)
