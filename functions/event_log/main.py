"""The last stop of events: each becomes one JSON line on stdout, is counted, and is kept while there is room."""

import base64
import os
import sys
import threading
from collections import deque

import msgspec

from warmfront.cloudevents import CloudEvent, Headers, Mode, decode, decode_batch, mode_of
from warmfront.errors import InvalidEvent, MethodNotAllowed, NotFound, WarmfrontError
from warmfront.telemetry.metrics import CONTENT_TYPE, Registry
from warmfront.wire.messages import Response

KEPT = 200
SHOWN_BYTES = 4096
MAX_TYPES = 100
HEALTH = ("/healthz", "/readyz")


class EventLog:
    """Takes any CloudEvent; `/events` shows the last ones, oldest first, `/metrics` how many of which type came."""

    def __init__(self) -> None:
        self.service = os.environ.get("K_SERVICE", "event-log")
        self.max_body = 16 * 2**20
        self.draining = False
        self._lines: deque[bytes] = deque(maxlen=KEPT)
        self._types: set[str] = set()
        self._lock = threading.Lock()
        self._registry = Registry()
        self._counter = self._registry.counter(
            "event_log_events_total",
            "Events taken, by type and by the status that made them dead letters.",
            ("type", "code"),
        )

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        """202 without a body for events: a Broker takes any other text for a broken reply."""
        try:
            return self._take(headers, body) if method == "POST" else self._show(method, path)
        except WarmfrontError as error:
            text = msgspec.json.encode({"error": str(error)})
            return Response(status=error.status, headers=[(b"content-type", b"application/json")], body=text)

    def _take(self, headers: Headers, body: bytes) -> Response:
        mode = mode_of(headers)
        if mode is None:
            raise InvalidEvent({"specversion": "found neither ce- headers nor application/cloudevents+json"})
        for event in decode_batch(headers, body) if mode is Mode.BATCH else [decode(headers, body)]:
            self._keep(event)
        return Response(status=202, headers=[], body=b"")

    def _keep(self, event: CloudEvent) -> None:
        line = msgspec.json.encode(_members(event))
        with self._lock:
            self._lines.append(line)
            if event.type in self._types or len(self._types) < MAX_TYPES:
                self._types.add(event.type)
            kind = event.type if event.type in self._types else "other"
            code = event.extensions.get("knativeerrorcode", "")
            self._counter.child(kind, code if len(code) == 3 and code.isdecimal() else "").value += 1
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()

    def _show(self, method: str, path: str) -> Response:
        if method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{method} is not served here; POST events, GET /events or /metrics")
        if path in HEALTH:
            return Response(status=503 if self.draining else 200, headers=[], body=b"")
        with self._lock:
            if path == "/metrics":
                return Response(status=200, headers=[(b"content-type", CONTENT_TYPE)], body=self._registry.render())
            if path == "/events":
                lines = b"".join(line + b"\n" for line in self._lines)
                return Response(status=200, headers=[(b"content-type", b"application/x-ndjson")], body=lines)
        raise NotFound(f"no route {path}; there are POST /, /events, /metrics, /healthz and /readyz")


def _members(event: CloudEvent) -> dict[str, str]:
    """The event as members of one JSON object; of long data the beginning."""
    named = ("id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
    members = {name: value for name in named if (value := getattr(event, name)) is not None}
    members.update(event.extensions)
    shown = event.data[:SHOWN_BYTES]
    try:
        members["data"] = shown.decode()
    except UnicodeDecodeError:
        members["data_base64"] = base64.b64encode(shown).decode()
    if len(event.data) > SHOWN_BYTES:
        members["data_bytes"] = str(len(event.data))
    return members


def handle(request):
    """The same as a function of the http signature, for the stock functions-framework."""
    headers = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in request.headers]
    reply = handle.model.answer(request.method, request.path, headers, request.get_data())
    return reply.body, reply.status, [(key.decode("latin-1"), value.decode("latin-1")) for key, value in reply.headers]


handle.model = EventLog()
