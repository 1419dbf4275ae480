"""Logs as JSON lines: one object per line on one stream, with the trace id where a request is concerned.

What may live here: the shape of a line and the means to say something seldom. What must not: what is worth saying.
The data path writes no line per request unless an access log is asked for: a line costs more than the whole hop.
"""

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NO_TRACE = b"0" * 32


def trace_id(traceparent: bytes | None) -> str:
    """The trace id of a W3C `traceparent` header; empty when absent or not valid."""
    found = _TRACEPARENT.match(traceparent) if traceparent else None
    return "" if found is None or found[1] == _NO_TRACE else found[1].decode()


class JsonLines(logging.Formatter):
    """One JSON object per record: ts, severity, logger, message, then the constant and the record's own `fields`."""

    def __init__(self, constant: Mapping[str, str]) -> None:
        super().__init__()
        self._constant = {name: text for name, text in constant.items() if text}

    def format(self, record: logging.LogRecord) -> str:
        """The line without its newline."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._constant,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=repr).decode()


def configure(level: str, constant: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Send the log of package `warmfront` at `level` and above to `stream` (default stderr), as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(constant))
    logger = logging.getLogger("warmfront")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False


class Seldom:
    """Lets one line per key through per interval, so that an overload does not also flood the log."""

    def __init__(self, interval_s: float = 1.0) -> None:
        self._interval_s = interval_s
        self._last: dict[str, tuple[float, int]] = {}

    def admit(self, key: str, now: float) -> int | None:
        """None: stay silent. Else the number of lines suppressed since the last one with this key."""
        last_at, suppressed = self._last.get(key, (float("-inf"), 0))
        if now - last_at < self._interval_s:
            self._last[key] = (last_at, suppressed + 1)
            return None
        self._last[key] = (now, 0)
        return suppressed
