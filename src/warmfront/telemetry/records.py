"""Request, replica and decision rows as JSON lines: what metrics and reports are computed from.

What may live here: the rows and how they get to disk. What must not: computing anything from rows.
Times are seconds; `arrival_s` counts from the start of the run. Absent is null.
"""

from pathlib import Path
from typing import BinaryIO

import msgspec

_FLUSH_BYTES = 65_536


class RequestRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="request"):
    """One request and what became of it. `queued_s` is the part of `latency_s` before the model began to run.

    `latency_weight` is latency's share of the request's weights; absent when it gave none.
    """

    run_id: str
    policy: str
    seed: int | None
    request_id: str
    task: str
    arrival_s: float
    deadline_s: float | None
    min_accuracy: float | None
    variant: str | None
    revision: str | None
    reason: str
    predicted_s: float | None
    probability: float | None
    cold: bool
    queued_s: float
    latency_s: float
    on_time: bool
    correct: bool | None
    status: str
    hedged: bool = False
    latency_weight: float | None = None


class ReplicaRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="replica"):
    """One replica from asked for to stopped, in seconds of the run; cost is computed from these and nothing else.

    `cause` says who wanted it: request, background, keep or scale. One that never became ready has `ready_s` equal to
    `stopped_s`.
    """

    run_id: str
    variant: str
    revision: str
    requested_s: float
    ready_s: float
    stopped_s: float
    cause: str
    memory_mb: float | None


class CandidateRow(msgspec.Struct, frozen=True, kw_only=True):
    """One variant as it stood for one decision; `score` is the policy's, larger is better.

    `price` is what choosing it costs beyond this request (`domain.Candidate`), taken from the score. `excluded` is why
    it was not eligible, empty if it was.
    """

    variant: str
    revision: str
    warmth: str
    ready: int
    in_flight: int
    accuracy: float
    probability: float
    predicted_s: float
    p95_s: float
    wait_s: float
    price: float
    score: float
    excluded: str


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="decision"):
    """One decision with all candidates: of a request's first try, of its retry, or of a second variant's being asked.

    `chosen` is absent in a refusal. `hedge_at_s` is when a second variant is to be asked if there is no reply; the
    decision on that one `hedges` this one, by id.
    """

    run_id: str
    policy: str
    seed: int | None
    request_id: str
    decision_id: str
    at_s: float
    reason: str
    chosen: str | None
    hedge_at_s: float | None
    hedges: str | None
    candidates: tuple[CandidateRow, ...]


class RecordFile:
    """Appends rows to a file in batches; `flush` writes what is pending, `close` too.

    A crash loses at most what came after the last flush, and never leaves half a line before a whole one.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._encoder = msgspec.json.Encoder()
        self._pending = bytearray()

    def write(self, row: RequestRow | ReplicaRow | DecisionRow) -> None:
        """Add one row."""
        self._pending += self._encoder.encode(row)
        self._pending += b"\n"
        if len(self._pending) >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        if self._pending:
            self._file.write(self._pending)
            self._pending.clear()

    def close(self) -> None:
        """Write what is pending and close the file."""
        self.flush()
        self._file.close()
