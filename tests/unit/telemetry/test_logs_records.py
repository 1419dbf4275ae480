"""Logs and records are JSON lines that lose nothing and repeat nothing."""

import io
import json
import logging

import pytest

from warmfront.telemetry import logs
from warmfront.telemetry.records import RecordFile, RequestRow


@pytest.fixture(autouse=True)
def restored():
    """Logging as it was."""
    logger = logging.getLogger("warmfront")
    before = (logger.handlers, logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before


def test_a_log_line_is_one_json_object():
    """Time, severity, logger, message, the constant fields that have a value, and the record's own."""
    stream = io.StringIO()
    logs.configure("INFO", {"service": "sel", "revision": ""}, stream)
    log = logging.getLogger("warmfront.x")
    log.info("woke %s", "fast", extra={"fields": {"variant": "fast", "odd": {1}}})
    log.debug("not shown")
    try:
        int("inner")
    except ValueError:
        log.exception("outer")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.pop("ts").endswith("+00:00")
    assert first.pop("odd") == [1]
    assert first == {
        "severity": "INFO",
        "logger": "warmfront.x",
        "message": "woke fast",
        "service": "sel",
        "variant": "fast",
    }
    assert "ValueError: invalid literal" in second["exception"]


def test_trace_id_of_a_traceparent():
    """Only a valid, non-zero id counts."""
    good = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert logs.trace_id(good) == "0af7651916cd43dd8448eb211c80319c"
    assert (
        logs.trace_id(None)
        == logs.trace_id(b"x")
        == logs.trace_id(b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01")
        == ""
    )


def test_seldom_lets_one_line_per_interval_through():
    """Time-line: the first, silence, then the count of what was suppressed."""
    seldom = logs.Seldom(1.0)
    assert seldom.admit("a", 0.0) == 0
    assert seldom.admit("a", 0.5) is None
    assert seldom.admit("a", 0.9) is None
    assert seldom.admit("b", 0.9) == 0
    assert seldom.admit("a", 1.0) == 2
    assert seldom.admit("a", 2.0) == 0


def row(**more):
    fields = {
        "run_id": "r", "policy": "effective", "seed": None, "request_id": "1", "task": "t", "arrival_s": 1.5,
        "deadline_s": None, "min_accuracy": None, "variant": "v", "revision": "v-1", "reason": "chosen",
        "predicted_s": 0.1, "probability": 0.9, "cold": False, "queued_s": 0.0, "latency_s": 0.2, "on_time": True,
        "correct": None, "status": "ok",
    }  # fmt: skip
    return RequestRow(**(fields | more))


def test_rows_are_json_lines_of_the_documented_fields(tmp_path):
    """The fields of section 3.5 in their order, kind first; pending rows are written by flush and close."""
    path = tmp_path / "records.jsonl"
    file = RecordFile(path)
    file.write(row())
    assert path.read_bytes() == b""
    file.flush()
    assert list(json.loads(path.read_bytes())) == [
        "kind", "run_id", "policy", "seed", "request_id", "task", "arrival_s", "deadline_s", "min_accuracy", "variant",
        "revision", "reason", "predicted_s", "probability", "cold", "queued_s", "latency_s", "on_time", "correct",
        "status", "hedged", "latency_weight",
    ]  # fmt: skip
    file.write(row(request_id="2"))
    file.close()
    assert [json.loads(line)["request_id"] for line in path.read_text().splitlines()] == ["1", "2"]


def test_many_rows_are_written_without_a_flush(tmp_path):
    """Memory does not grow with the run."""
    path = tmp_path / "records.jsonl"
    file = RecordFile(path)
    for _ in range(500):
        file.write(row())
    assert path.stat().st_size > 65_536
    file.close()
    assert len(path.read_text().splitlines()) == 500
