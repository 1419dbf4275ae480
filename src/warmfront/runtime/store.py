"""All API objects of the embedded Knative, durable, with Kubernetes' rules for writing and watching them.

What may live here: versions, generations, optimistic locking, ownership. What must not: what any kind of
object means. One writer, the event loop's thread; every call is synchronous and has happened when it
returns. Objects go in and out as fresh dicts, so nobody can change what is stored except by a write.
"""

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from warmfront.errors import Conflict, InvalidRequest, NotFound, SetupError
from warmfront.kube.resources import Json, Resource
from warmfront.runtime.watches import Event, Key, RawCallback, Scope, Watches

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  resource TEXT, namespace TEXT, name TEXT, body BLOB NOT NULL, PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS version (id INTEGER PRIMARY KEY CHECK (id = 0), value INTEGER NOT NULL);
INSERT OR IGNORE INTO version VALUES (0, 0);
"""
_KEPT = ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Json).decode

Callback = Callable[[str, Json], None]


class StoreInUse(SetupError):
    """Another store has the file open."""


class Store:
    """Create, read, change, delete and watch API objects. What was written survives kill -9.

    SQLite in WAL mode with synchronous=NORMAL does it (a commit is in the kernel's cache); only a power
    cut may lose the last moments. None as `path` keeps everything in memory. Raises StoreInUse when another
    process has the file open, SetupError when it is not a store.
    """

    def __init__(self, path: Path | None) -> None:
        self._db = _open(path)
        rows = self._db.execute("SELECT resource, namespace, name, body FROM objects")
        self._objects = {Key(*row[:3]): bytes(row[3]) for row in rows}
        self._version: int = self._db.execute("SELECT value FROM version").fetchone()[0]
        self._watches = Watches(self._version)

    def close(self) -> None:
        """Close the file. No call is allowed afterwards."""
        self._db.close()

    @property
    def version(self) -> str:
        """The resourceVersion of the latest write."""
        return str(self._version)

    def namespaces(self) -> set[str]:
        """The namespaces that hold an object."""
        return {key.namespace for key in self._objects}

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object, or None."""
        raw = self._objects.get(Key(resource.id, namespace, name))
        return None if raw is None else _decode(raw)

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """The object; NotFound when there is none."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise NotFound(f'{resource.id} "{name}" not found')
        return found

    def list(
        self, resource: Resource, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> tuple[list[Json], str]:
        """Objects by namespace and name (None: of all namespaces), and the version to watch from."""
        scope = Scope(resource.id, namespace, labels, fields)
        return [_decode(raw) for raw in self._select(scope)], self.version

    def _select(self, scope: Scope) -> Iterator[bytes]:
        for key in sorted(key for key in self._objects if scope.covers(key)):
            raw = self._objects[key]
            if scope.selects(raw):
                yield raw

    def create(self, resource: Resource, obj: Json) -> Json:
        """Keep a new object and return it with uid, creationTimestamp, generation 1 and resourceVersion.

        A status in it is ignored. Conflict if the name is taken.
        """
        key = _key(resource, obj)
        if key in self._objects:
            raise Conflict(f'{resource.id} "{key.name}" already exists')
        new = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        new.pop("status", None)
        new["metadata"] = {
            **obj["metadata"],
            "namespace": key.namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now_rfc3339(),
            "generation": 1,
        }
        return self._write(_Change(key, new))

    def replace(self, resource: Resource, obj: Json) -> Json:
        """Put the object in place of the one of its name; the status stays what it was.

        With metadata.resourceVersion given, Conflict unless it is the current one. The generation rises when
        anything outside metadata changes. Nothing changed: nothing is written and no event sent.
        """
        key = _key(resource, obj)
        old = self.get(resource, key.namespace, key.name)
        check_version(resource, obj, old)
        new = {**obj, "apiVersion": resource.api_version, "kind": resource.kind}
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
        new["metadata"] = {**obj["metadata"], **{k: old["metadata"][k] for k in _KEPT}}
        if _specification(new) != _specification(old):
            new["metadata"]["generation"] += 1
        return old if new == old else self._write(_Change(key, new))

    def merge(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Apply an RFC 7386 merge patch, then `replace`; a resourceVersion in it is the optimistic lock."""
        old = self.get(resource, namespace, name)
        new = merge_patch(old, patch)
        if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
            raise InvalidRequest(f'patch of {resource.id} "{name}" removes metadata; only its fields can be changed')
        if (new["metadata"].get("name"), new["metadata"].get("namespace")) != (name, namespace):
            raise InvalidRequest(f'patch of {resource.id} "{name}" changes name or namespace; they are immutable')
        return self.replace(resource, new)

    def set_status(self, resource: Resource, namespace: str, name: str, status: Json) -> Json:
        """Put a whole status in place; equal to what is there, nothing is written and no event sent."""
        obj = self.get(resource, namespace, name)
        if obj.get("status") == status:
            return obj
        return self._write(_Change(Key(resource.id, namespace, name), {**obj, "status": status}))

    def delete(self, resource: Resource, namespace: str, name: str) -> Json:
        """Remove the object and everything it owns, at once, and return its last state."""
        obj = self.get(resource, namespace, name)
        doomed = {Key(resource.id, namespace, name): obj}
        self._collect_owned(obj["metadata"]["uid"], doomed)
        return self._write(*(_Change(key, body, deleted=True) for key, body in doomed.items()))

    def _collect_owned(self, uid: str, doomed: dict[Key, Json]) -> None:
        for key, raw in self._objects.items():
            if key in doomed or uid.encode() not in raw:
                continue
            body = _decode(raw)
            if any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or ()):
                doomed[key] = body
                self._collect_owned(body["metadata"]["uid"], doomed)

    def _write(self, *changes: "_Change") -> Json:
        """Commit all changes together, then tell the watchers. Returns the first object as it is now."""
        version = self._version
        events = []
        self._db.execute("BEGIN")
        try:
            for change in changes:
                version += 1
                events.append(self._persist(change, version))
            self._db.execute("UPDATE version SET value = ?", (version,))
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._version = version
        for event in events:
            if event.deleted:
                del self._objects[event.key]
            else:
                self._objects[event.key] = event.after
        self._watches.publish(events)
        return _decode(events[0].after)

    def _persist(self, change: "_Change", version: int) -> Event:
        change.body["metadata"]["resourceVersion"] = str(version)
        raw = _encode(change.body)
        if change.deleted:
            self._db.execute("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?", change.key)
        else:
            self._db.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", (*change.key, raw))
        before = self._objects.get(change.key)
        return Event(version=version, key=change.key, before=before, after=raw, deleted=change.deleted)

    def subscribe(self, resource: Resource, callback: Callback) -> Callable[[], None]:
        """Call back with ("ADDED" | "MODIFIED" | "DELETED", object): all that exist now, then every change.

        Called within the write that caused it, or, for a write made inside a callback, right after that
        callback: never re-entrant, always in order. What a callback raises is logged and goes no further.
        Returns the way to stop.
        """
        return self.watch(resource, None, lambda kind, raw: callback(kind, _decode(raw)))

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        callback: RawCallback,
        *,
        labels: str = "",
        fields: str = "",
        since: str = "",
    ) -> Callable[[], None]:
        """Like `subscribe`, with selectors and the object as JSON bytes; returns the way to stop.

        `since` is a resourceVersion: the changes after it come first, and Gone is raised when they are no
        longer known. Empty or "0" begins with everything that exists. An object that begins or ceases to
        match the selectors is ADDED or DELETED, as in Kubernetes.
        """
        scope = Scope(resource.id, namespace, labels, fields)
        return self._watches.add(scope, callback, since=since, existing=lambda: self._select(scope))


class _Change(NamedTuple):
    key: Key
    body: Json
    deleted: bool = False


def merge_patch(target: object, patch: object) -> object:
    """RFC 7386: objects merge, null removes, anything else replaces. Neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def now_rfc3339() -> str:
    """The wall clock as Kubernetes writes it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _specification(obj: Json) -> Json:
    return {name: value for name, value in obj.items() if name not in {"metadata", "status"}}


def _key(resource: Resource, obj: Json) -> Key:
    name = obj["metadata"].get("name")
    if not name:
        raise InvalidRequest(f"metadata.name of a {resource.kind} is {name!r}; a name is required")
    return Key(resource.id, obj["metadata"].get("namespace") or "default", name)


def check_version(resource: Resource, obj: Json, old: Json) -> None:
    """Conflict when the object names a resourceVersion other than that of `old`: the optimistic lock."""
    wanted = obj["metadata"].get("resourceVersion")
    if wanted and wanted != old["metadata"]["resourceVersion"]:
        raise Conflict(
            f'Operation cannot be fulfilled on {resource.id} "{old["metadata"]["name"]}": the object has '
            "been modified; please apply your changes to the latest version and try again"
        )


def _open(path: Path | None) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=0)
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_SCHEMA)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise StoreInUse(f"{path} is in use by another process; end that, or name another file") from error
        raise SetupError(
            f"cannot use {path} as the store of API objects ({error}); move it away to begin with an empty one"
        ) from error
    return db
