"""CSV files that people hand in, gzipped or not, as rows by column. What must not live here: what a column means."""

import csv
import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from warmfront.errors import SetupError

Row = Mapping[str, str]


def read(path: Path, wanted: str) -> tuple[list[tuple[int, Row]], Sequence[str]]:
    """All rows, each with the number of the line that it ends on, and the columns that the header names.

    Raises:
        SetupError: no such file, not in UTF-8, not a CSV, a row with more cells than the header; the message says what
            was `wanted`.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        return [(reader.line_num, _whole(path, reader.line_num, row)) for row in reader], reader.fieldnames or ()
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror or error}; wanted {wanted}") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"{path}: not UTF-8 at byte {error.start}; wanted {wanted}, in UTF-8") from None
    except (csv.Error, EOFError, zlib.error) as error:
        raise SetupError(f"{path}: not a CSV file ({error}); wanted {wanted}") from None


def _whole(path: Path, line: int, row: dict[Any, Any]) -> Row:
    """The row, unless it has cells without a column."""
    if more := row.get(None):
        raise SetupError(
            f"{path}: line {line}: found {len(row) - 1 + len(more)} cells, wanted {len(row) - 1} as in the header; put "
            "quotes around a cell that has a comma in it"
        )
    return row
