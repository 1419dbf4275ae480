"""Watching the store: order, catching up, selectors, and failing watchers."""

import json
import logging
from collections.abc import Iterator

import pytest

from warmfront.errors import Gone, InvalidRequest
from warmfront.kube.resources import CONFIGURATIONS, SERVICES, Json
from warmfront.runtime.store import Store
from warmfront.runtime.watches import HISTORY

Seen = list[tuple[str, str]]


def service(name: str, **labels: str) -> Json:
    return {"metadata": {"name": name, "labels": labels}}


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store(None)
    yield store
    store.close()


def watch(store: Store, seen: Seen, **selectors: str) -> None:
    def note(kind: str, raw: bytes) -> None:
        seen.append((kind, json.loads(raw)["metadata"]["name"]))

    store.watch(SERVICES, selectors.pop("namespace", None), note, **selectors)


def test_a_subscriber_sees_what_exists_and_every_change_at_once(store: Store) -> None:
    """ADDED for what is there, then each write before it returns, until stopped."""
    seen: Seen = []
    store.create(SERVICES, service("a"))
    stop = store.subscribe(SERVICES, lambda kind, obj: seen.append((kind, obj["metadata"]["name"])))
    assert seen == [("ADDED", "a")]
    store.create(SERVICES, service("b"))
    store.merge(SERVICES, "default", "a", {"spec": {"x": 1}})
    store.set_status(SERVICES, "default", "a", {"x": 1})
    store.create(CONFIGURATIONS, service("other-kind"))
    store.delete(SERVICES, "default", "b")
    assert seen[1:] == [("ADDED", "b"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "b")]
    stop()
    stop()
    store.create(SERVICES, service("c"))
    assert len(seen) == 5


def test_a_write_inside_a_callback_waits_its_turn(store: Store) -> None:
    """Every watcher sees event 1 before any sees event 2, though the first watcher caused event 2 while told of 1."""
    order: list[str] = []

    def first(kind: str, obj: Json) -> None:
        order.append(f"first {kind}")
        if kind == "ADDED":
            made = store.set_status(SERVICES, "default", "a", {"seen": True})
            assert made["status"] == {"seen": True}  # the write has happened, only its news waits

    store.subscribe(SERVICES, first)
    store.subscribe(SERVICES, lambda kind, _: order.append(f"second {kind}"))
    store.create(SERVICES, service("a"))
    assert order == ["first ADDED", "second ADDED", "first MODIFIED", "second MODIFIED"]


def test_a_write_during_the_first_replay_is_not_lost(store: Store) -> None:
    """A subscriber that changes each object it is told of sees its own changes too, after the replay."""
    store.create(SERVICES, service("a"))
    store.create(SERVICES, service("b"))
    seen: Seen = []

    def mark(kind: str, obj: Json) -> None:
        seen.append((kind, obj["metadata"]["name"]))
        store.set_status(SERVICES, "default", obj["metadata"]["name"], {"seen": True})

    store.subscribe(SERVICES, mark)
    assert seen == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("MODIFIED", "b")]


def test_a_subscriber_that_comes_during_an_event_sees_each_state_once(store: Store) -> None:
    """What a late subscriber was told as existing is not told again by the event that is still under way."""
    seen: Seen = []

    def first(kind: str, _: Json) -> None:
        if kind == "ADDED":
            watch(store, seen)

    store.subscribe(SERVICES, first)
    store.create(SERVICES, service("a"))
    store.set_status(SERVICES, "default", "a", {"x": 1})
    assert seen == [("ADDED", "a"), ("MODIFIED", "a")]


def test_one_watcher_can_stop_another(store: Store) -> None:
    """A watch stopped by a callback of the same event is not called any more."""
    seen: Seen = []
    stops = []
    store.subscribe(SERVICES, lambda kind, obj: stops[0]())
    stops.append(store.subscribe(SERVICES, lambda kind, obj: seen.append((kind, obj["metadata"]["name"]))))
    store.create(SERVICES, service("a"))
    assert seen == []


def test_a_failing_watcher_harms_nobody(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """What a callback raises is logged; the write stands and the other watchers are told."""
    seen: Seen = []

    def fail(kind: str, obj: Json) -> None:
        raise RuntimeError(obj["metadata"]["name"])

    store.subscribe(SERVICES, fail)
    watch(store, seen)
    with caplog.at_level(logging.ERROR):
        store.create(SERVICES, service("a"))
    assert seen == [("ADDED", "a")]
    assert "a watcher of the store failed" in caplog.text


def test_a_watch_catches_up_from_a_version(store: Store) -> None:
    """The changes after the version come first, deletions too; then the live ones."""
    version = store.create(SERVICES, service("a"))["metadata"]["resourceVersion"]
    store.create(SERVICES, service("b"))
    store.delete(SERVICES, "default", "a")
    seen: Seen = []
    watch(store, seen, since=version)
    store.create(SERVICES, service("c"))
    assert seen == [("ADDED", "b"), ("DELETED", "a"), ("ADDED", "c")]


def test_a_version_that_is_no_longer_known_is_gone(store: Store) -> None:
    """Older than the history, of a time before a restart, or never given: Gone; not a number: InvalidRequest."""
    store.create(SERVICES, service("a"))
    for number in range(HISTORY + 1):
        store.set_status(SERVICES, "default", "a", {"n": number})
    seen: Seen = []
    watch(store, seen, since="2")
    assert len(seen) == HISTORY
    for version in ("1", "99999"):
        with pytest.raises(Gone, match="too old resource version"):
            watch(store, seen, since=version)
    with pytest.raises(InvalidRequest, match="'x'"):
        watch(store, seen, since="x")


def test_objects_enter_and_leave_a_selection(store: Store) -> None:
    """An object that begins to match is ADDED, one that ceases to is DELETED, one that never did is not mentioned."""
    seen: Seen = []
    watch(store, seen, labels="task=langid", namespace="default")
    store.create(SERVICES, service("a"))
    store.create(SERVICES, {"metadata": {"name": "b", "namespace": "other", "labels": {"task": "langid"}}})
    store.merge(SERVICES, "default", "a", {"metadata": {"labels": {"task": "langid"}}})
    store.merge(SERVICES, "default", "a", {"metadata": {"labels": {"x": "y"}}})
    store.merge(SERVICES, "default", "a", {"metadata": {"labels": {"task": None}}})
    store.delete(SERVICES, "default", "a")
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
