"""Rows that outlive an interruption."""

import pytest

from warmfront.errors import SetupError
from warmfront.experiments.profiling.measurements import LentRow, Measurements, MemoryRow, StartRow


def start(revision: str = "a-00001", total_s: float = 1.0) -> StartRow:
    return StartRow(variant="a", revision=revision, counted=True, total_s=total_s)


def test_a_second_session_finds_the_rows_of_the_first(tmp_path):
    """By revision: those of another one are left alone."""
    path = tmp_path / "out" / "rows.jsonl"
    with Measurements(path) as book:
        book.add(start())
        book.add(MemoryRow(variant="a", revision="a-00001", memory_mb=20.0, source="process"))
        book.add(start("a-00002"))
    with Measurements(path) as book:
        assert book.of("a-00001") == [
            start(),
            MemoryRow(variant="a", revision="a-00001", memory_mb=20.0, source="process"),
        ]
        assert book.of("a-00002") == [start("a-00002")]
        assert book.of("a-00003") == []


def test_half_a_line_at_the_end_is_dropped(tmp_path):
    """A crash may leave one; the next row begins a line of its own."""
    path = tmp_path / "rows.jsonl"
    with Measurements(path) as book:
        book.add(start())
    path.write_bytes(path.read_bytes() + b'{"kind":"start","vari')
    with Measurements(path) as book:
        book.add(start(total_s=2.0))
        assert [row.total_s for row in book.rows] == [1.0, 2.0]
    lines = path.read_bytes().splitlines()
    assert len(lines) == 3
    path.write_bytes(b"\n".join([lines[0], b"nonsense", lines[2]]) + b"\n")
    with pytest.raises(SetupError, match="line 2 is no measurement"):
        Measurements(path)


def test_what_is_lent_is_known_until_it_is_given_back(tmp_path):
    """So that the session after a kill can give it back."""
    before = {"autoscaling.knative.dev/window": "60s", "autoscaling.knative.dev/min-scale": None}
    lent = LentRow(namespace="n", revision="a-00001", before=before)
    with Measurements(tmp_path / "rows.jsonl") as book:
        book.add(lent)
    with Measurements(tmp_path / "rows.jsonl") as book:
        assert list(book.lent()) == [lent]
        assert book.of("a-00001") == []
        book.add(LentRow(namespace="n", revision="a-00001", before={}))
        assert list(book.lent()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    """Says which option to change."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="--out"):
        Measurements(tmp_path / "file" / "rows.jsonl")
