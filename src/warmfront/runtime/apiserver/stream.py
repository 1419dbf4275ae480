"""One watch: the store's changes as JSON lines on one reply, until the client or a timer ends it."""

import asyncio
from collections.abc import Callable

import msgspec

from warmfront.kube.resources import Json
from warmfront.runtime.apiserver.paths import Query, Target
from warmfront.runtime.store import Store
from warmfront.wire.messages import Exchange

DEFAULT_TIMEOUT_S = 1800.0
BOOKMARK_EVERY_S = 60.0
MAX_UNSENT = 1000
"""Events that may wait for a client that does not read; beyond, it is cut off and has to list again."""


class WatchStream:
    """Streams one watch. Raises what `Store.watch` raises before a byte is sent.

    `on_end` is called once, with the stream, when it is over for whatever reason.
    """

    def __init__(
        self,
        exchange: Exchange,
        store: Store,
        target: Target,
        query: Query,
        *,
        on_end: Callable[["WatchStream"], None],
    ) -> None:
        self._exchange = exchange
        self._store = store
        self._target = target
        self._on_end = on_end
        self._unsent: list[bytes] | None = []  # a list while nothing may be written
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._stop = store.watch(
            target.resource,
            target.namespace,
            self._on_event,
            labels=query.labels,
            fields=query.fields,
            since="" if query.initial_events else query.since,
        )
        exchange.on_disconnect = self._end
        exchange.on_pause = self._pause
        exchange.on_resume = self._flush
        exchange.start(200, [(b"content-type", b"application/json")])
        self._flush()
        if query.initial_events:
            self._bookmark({"k8s.io/initial-events-end": "true"})
        self._bookmarks = query.bookmarks
        if query.bookmarks:
            self._bookmark_later()
        loop = asyncio.get_running_loop()
        self._timers["timeout"] = loop.call_later(query.timeout_s or DEFAULT_TIMEOUT_S, self.finish)

    def finish(self) -> None:
        """End the watch in good order; the client goes on from the last version it saw."""
        if self._bookmarks:
            self._bookmark({})
        self._end()
        self._exchange.finish()

    def _end(self) -> None:
        self._stop()
        for timer in self._timers.values():
            timer.cancel()
        self._on_end(self)

    def _bookmark_later(self) -> None:
        self._timers["bookmark"] = asyncio.get_running_loop().call_later(BOOKMARK_EVERY_S, self._on_bookmark_due)

    def _on_bookmark_due(self) -> None:
        self._bookmark({})
        self._bookmark_later()

    def _bookmark(self, annotations: Json) -> None:
        resource = self._target.resource
        metadata: Json = {"resourceVersion": self._store.version, "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        mark = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        self._on_event("BOOKMARK", msgspec.json.encode(mark))

    def _on_event(self, kind: str, raw: bytes) -> None:
        line = b'{"type":"%b","object":%b}\n' % (kind.encode(), raw)
        if self._unsent is None:
            self._exchange.write(line)
            return
        self._unsent.append(line)
        if self._exchange.responded and len(self._unsent) > MAX_UNSENT:
            self._end()
            self._exchange.abort()

    def _pause(self) -> None:
        if self._unsent is None:
            self._unsent = []

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, None
        if unsent:
            self._exchange.write(b"".join(unsent))
