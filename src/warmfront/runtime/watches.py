"""Who is told of which write to the store, in which order, and how far back a late watcher can catch up.

What may live here: scopes, history, delivery. What must not: how objects are kept or what they mean.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from warmfront.errors import Gone, InvalidRequest
from warmfront.kube.resources import Json
from warmfront.runtime.selectors import Predicate, field_selector, label_selector

HISTORY = 1000
"""How many past events a watcher may catch up on; older than that it must list again (410 Gone)."""

_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(Json).decode

RawCallback = Callable[[str, bytes], None]


class Key(NamedTuple):
    """Where an object is kept."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One write: the object's JSON before (None: created) and after; after a deletion, its last state."""

    version: int
    key: Key
    before: bytes | None
    after: bytes
    deleted: bool


class Scope:
    """What a list or watch is about: one resource, perhaps one namespace, perhaps selectors."""

    def __init__(self, resource: str, namespace: str | None, labels: str, fields: str) -> None:
        self._resource = resource
        self._namespace = namespace
        selectors = (label_selector(labels), field_selector(fields))
        self._predicates: list[Predicate] = [selector for selector in selectors if selector]

    def covers(self, key: Key) -> bool:
        """Whether resource and namespace fit."""
        return key.resource == self._resource and self._namespace in {None, key.namespace}

    def selects(self, raw: bytes) -> bool:
        """Whether the object fits every selector."""
        if not self._predicates:
            return True
        obj = _decode(raw)
        return all(predicate(obj) for predicate in self._predicates)


class Watches:
    """The watchers of one store and the events they have yet to see.

    Watchers are called in the order of the writes, never one inside another: an event that a callback
    causes waits until every watcher has seen the one before.
    """

    def __init__(self, version: int) -> None:
        self._version = version
        self._forgotten = version
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._pending: deque[Event] = deque()
        self._watchers: list[_Watcher] = []
        self._telling = False

    def add(
        self, scope: Scope, callback: RawCallback, *, since: str, existing: Callable[[], Iterable[bytes]]
    ) -> Callable[[], None]:
        """Tell `callback` what exists (`since` empty or "0") or what came after `since`; then every change.

        Returns the way to stop. Raises Gone when the changes after `since` are no longer known.
        """
        missed = [] if since in {"", "0"} else self._events_after(since)
        watcher = _Watcher(scope, callback, self._version)
        self._watchers.append(watcher)
        with self._one_at_a_time():
            if since in {"", "0"}:
                for raw in list(existing()):
                    watcher.call("ADDED", raw)
            for event in missed:
                watcher.tell(event)

        def stop() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return stop

    def publish(self, events: Iterable[Event]) -> None:
        """Remember the events and tell the watchers, unless a caller up the stack is doing so already."""
        for event in events:
            if len(self._history) == HISTORY:
                self._forgotten = self._history[0].version
            self._history.append(event)
            self._pending.append(event)
            self._version = event.version
        with self._one_at_a_time():
            pass

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Run the block with no other watcher called meanwhile, then tell what came of it."""
        if self._telling:
            yield
            return
        self._telling = True
        try:
            yield
            while self._pending:
                self._tell(self._pending.popleft())
        finally:
            self._telling = False

    def _tell(self, event: Event) -> None:
        for watcher in list(self._watchers):
            # a watcher that came while this event was waiting has seen it already; one callback may stop
            # another
            if event.version > watcher.since and watcher in self._watchers:
                watcher.tell(event)

    def _events_after(self, since: str) -> list[Event]:
        if not since.isdecimal():
            raise InvalidRequest(f"resourceVersion is {since!r}; it must be a number that this API gave")
        version = int(since)
        if not self._forgotten <= version <= self._version:
            raise Gone(f"too old resource version: {since} ({self._forgotten}); list again and watch from there")
        return [event for event in self._history if event.version > version]


class _Watcher:
    def __init__(self, scope: Scope, callback: RawCallback, since: int) -> None:
        self._scope = scope
        self._callback = callback
        self.since = since

    def tell(self, event: Event) -> None:
        if not self._scope.covers(event.key):
            return
        was = event.before is not None and self._scope.selects(event.before)
        now = not event.deleted and self._scope.selects(event.after)
        if was and not now:
            self.call("DELETED", event.after)
        elif now:
            self.call("MODIFIED" if was else "ADDED", event.after)

    def call(self, kind: str, raw: bytes) -> None:
        try:
            self._callback(kind, raw)
        except Exception:  # noqa: BLE001 - one watcher's fault must not undo a write or silence the others
            _log.exception("a watcher of the store failed on %s; the others go on", kind)
