"""What was measured, as rows of JSON lines that outlive an interruption. What must not live here: computing figures.

A row belongs to a revision; rows of another revision are left alone, so a changed variant starts anew. Times are
seconds, sizes bytes, memory MB.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from warmfront.errors import SetupError


class StartRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="start"):
    """One cold start: asked at zero replicas, to the whole answer.

    `platform_s` is asked to process start, `load_s` process start to model loaded, `answer_s` the rest: probes,
    proxies, the first prediction. The parts are None when the variant does not tell them. The first start of a series
    fills the node's file cache and is not `counted`.
    """

    variant: str
    revision: str
    counted: bool
    total_s: float
    platform_s: float | None = None
    load_s: float | None = None
    answer_s: float | None = None


class AnswerRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="answer"):
    """One answer of a warm replica with `in_flight` requests at once, to input `index` of the data called `data`.

    `execution_s` is the model's own time when the variant tells it, `label` what it answered, `right` None where there
    is nothing to judge by. Indices beyond the data's own are its longer inputs. An input that the variant `refused`
    (4xx) was not answered right, and its time says nothing.
    """

    variant: str
    revision: str
    data: str
    index: int
    in_flight: int
    size_bytes: int
    label: str | None
    right: bool | None
    round_trip_s: float
    execution_s: float | None
    refused: bool = False


class MemoryRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="memory"):
    """What one replica held after all answers, and who says so (`source`)."""

    variant: str
    revision: str
    memory_mb: float
    source: str


class LentRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="lent"):
    """Annotations of a Revision that were changed for the measurement, as they were before; empty: given back."""

    namespace: str
    revision: str
    before: dict[str, str | None]


Row = StartRow | AnswerRow | MemoryRow | LentRow


class Measurements:
    """The rows of one file, all read at first; `add` writes through, so nothing is lost by Ctrl-C or a crash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = []
        decoder = msgspec.json.Decoder(Row)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes() if path.exists() else b""
            self._file: BinaryIO = path.open("ab", buffering=0)
        except OSError as error:
            raise SetupError(f"{path}: {error.strerror}; give a folder that can be written with --out") from None
        for number, line in enumerate(lines := data.splitlines(), 1):
            try:
                self.rows.append(decoder.decode(line))
            except msgspec.MsgspecError as error:
                if number < len(lines):  # the last one may have been cut off by a crash
                    self._file.close()
                    raise SetupError(
                        f"{path}: line {number} is no measurement ({error}); move the file away to begin anew"
                    ) from None
        if data and not data.endswith(b"\n"):
            self._file.write(b"\n")

    def add(self, row: Row) -> None:
        """Remember a row and write it."""
        self.rows.append(row)
        self._file.write(msgspec.json.encode(row) + b"\n")

    def of(self, revision: str) -> list[Row]:
        """What was measured of a revision."""
        return [row for row in self.rows if row.revision == revision and not isinstance(row, LentRow)]

    def lent(self) -> Iterable[LentRow]:
        """What was changed and not given back, because a session was killed."""
        last = {(row.namespace, row.revision): row for row in self.rows if isinstance(row, LentRow)}
        return [row for row in last.values() if row.before]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
