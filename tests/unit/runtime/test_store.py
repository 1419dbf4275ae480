"""The store: Kubernetes' rules for writing, and what survives."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfront.errors import Conflict, InvalidRequest, NotFound, SetupError
from warmfront.kube.resources import CONFIGURATIONS, REVISIONS, SERVICES, Json, owner_reference
from warmfront.runtime.store import Store, StoreInUse, merge_patch


def service(name: str = "hello", **spec: object) -> Json:
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store(None)
    yield store
    store.close()


def test_a_created_object_gets_what_the_server_owns(store: Store) -> None:
    """uid, creation time, generation 1, resourceVersion, apiVersion, kind and namespace come from the store."""
    made = store.create(SERVICES, {**service(), "status": {"made": "up"}})
    meta = made["metadata"]
    assert (made["apiVersion"], made["kind"]) == ("serving.knative.dev/v1", "Service")
    assert (meta["namespace"], meta["generation"], meta["resourceVersion"]) == ("default", 1, "1")
    assert len(meta["uid"]) == 36
    assert meta["creationTimestamp"].endswith("Z")
    assert "status" not in made
    assert store.get(SERVICES, "default", "hello") == made


def test_names_are_unique_within_resource_and_namespace(store: Store) -> None:
    """A second object of one name is a Conflict; in another namespace or of another kind it is none."""
    store.create(SERVICES, service())
    with pytest.raises(Conflict, match='"hello" already exists'):
        store.create(SERVICES, service())
    store.create(CONFIGURATIONS, service())
    store.create(SERVICES, {"metadata": {"name": "hello", "namespace": "other"}})
    assert store.namespaces() == {"default", "other"}


def test_what_is_not_there_is_named(store: Store) -> None:
    """get, merge, set_status and delete of an absent object raise NotFound in Kubernetes' words; find gives None."""
    assert store.find(SERVICES, "default", "hello") is None
    for act in (
        lambda: store.get(SERVICES, "default", "hello"),
        lambda: store.merge(SERVICES, "default", "hello", {}),
        lambda: store.set_status(SERVICES, "default", "hello", {}),
        lambda: store.delete(SERVICES, "default", "hello"),
    ):
        with pytest.raises(NotFound, match=r'services\.serving\.knative\.dev "hello" not found'):
            act()


def test_the_generation_counts_changes_of_the_specification_only(store: Store) -> None:
    """Labels and status leave the generation, the spec raises it, and what the server owns cannot be changed."""
    made = store.create(SERVICES, service(a=1))
    labelled = store.merge(SERVICES, "default", "hello", {"metadata": {"labels": {"x": "y"}}})
    assert labelled["metadata"]["generation"] == 1
    assert store.set_status(SERVICES, "default", "hello", {"ok": True})["metadata"]["generation"] == 1
    forged = {**service(a=2), "status": {"forged": True}}
    forged["metadata"] = {"name": "hello", "uid": "forged", "generation": 77}
    changed = store.replace(SERVICES, forged)
    assert (changed["metadata"]["generation"], changed["metadata"]["uid"]) == (2, made["metadata"]["uid"])
    assert changed["status"] == {"ok": True}
    assert "labels" not in changed["metadata"]


def test_a_write_that_changes_nothing_writes_nothing(store: Store) -> None:
    """Equal object, empty patch, equal status: the version stays and no event is sent."""
    store.create(SERVICES, service(a=1))
    made = store.set_status(SERVICES, "default", "hello", {"ok": True})
    events: list[str] = []
    store.subscribe(SERVICES, lambda kind, _: events.append(kind))
    assert store.replace(SERVICES, made) == made
    assert store.merge(SERVICES, "default", "hello", {}) == made
    assert store.set_status(SERVICES, "default", "hello", {"ok": True}) == made
    assert (store.version, events) == (made["metadata"]["resourceVersion"], ["ADDED"])


def test_the_optimistic_lock(store: Store) -> None:
    """A write that names an old resourceVersion is a Conflict and changes nothing; without one it wins."""
    stale = store.create(SERVICES, service(a=1))
    store.merge(SERVICES, "default", "hello", {"spec": {"a": 2}})
    stale["spec"] = {"a": 3}
    with pytest.raises(Conflict, match="apply your changes to the latest version"):
        store.replace(SERVICES, stale)
    with pytest.raises(Conflict):
        store.merge(SERVICES, "default", "hello", {"metadata": {"resourceVersion": "1"}, "spec": {"a": 3}})
    assert store.get(SERVICES, "default", "hello")["spec"] == {"a": 2}
    del stale["metadata"]["resourceVersion"]
    assert store.replace(SERVICES, stale)["spec"] == {"a": 3}


def test_a_patch_cannot_move_an_object(store: Store) -> None:
    """A merge patch that removes metadata or renames the object is refused."""
    store.create(SERVICES, service())
    for patch in ({"metadata": None}, {"metadata": {"name": "other"}}, {"metadata": {"namespace": "other"}}):
        with pytest.raises(InvalidRequest, match=r"metadata|immutable"):
            store.merge(SERVICES, "default", "hello", patch)


def test_deletion_takes_along_what_is_owned(store: Store) -> None:
    """Owners go with all they own, at any depth, in one step; strangers of the same name stay."""
    owner = store.create(SERVICES, service())
    child = {"metadata": {"name": "hello", "ownerReferences": [owner_reference(owner)]}}
    configuration = store.create(CONFIGURATIONS, child)
    for name in ("hello-00001", "hello-00002"):
        references = [owner_reference(configuration)]
        store.create(REVISIONS, {"metadata": {"name": name, "ownerReferences": references}})
    store.create(REVISIONS, {"metadata": {"name": "stranger"}})
    deleted: list[str] = []
    for resource in (SERVICES, CONFIGURATIONS, REVISIONS):
        store.subscribe(resource, lambda kind, obj: kind == "DELETED" and deleted.append(obj["metadata"]["name"]))
    store.delete(SERVICES, "default", "hello")
    assert sorted(deleted) == ["hello", "hello", "hello-00001", "hello-00002"]
    assert [obj["metadata"]["name"] for obj in store.list(REVISIONS, None)[0]] == ["stranger"]


def test_callers_cannot_change_what_is_stored(store: Store) -> None:
    """What goes in and comes out are copies."""
    given = service(a=[1])
    made = store.create(SERVICES, given)
    given["spec"]["a"].append(2)
    made["spec"]["a"].append(3)
    store.list(SERVICES, None)[0][0]["spec"]["a"].append(4)
    assert store.get(SERVICES, "default", "hello")["spec"] == {"a": [1]}


def test_lists_are_sorted_and_selected(store: Store) -> None:
    """Namespace, labels and fields select; the version is the one to watch from."""
    for namespace, name in (("default", "b"), ("default", "a"), ("other", "a")):
        store.create(SERVICES, {"metadata": {"name": name, "namespace": namespace, "labels": {"app": name}}})

    def names(namespace: str | None, **selectors: str) -> list[tuple[str, str]]:
        found, version = store.list(SERVICES, namespace, **selectors)
        assert version == "3"
        return [(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in found]

    assert names(None) == [("default", "a"), ("default", "b"), ("other", "a")]
    assert names("default", labels="app=a") == [("default", "a")]
    assert names(None, fields="metadata.name=a") == [("default", "a"), ("other", "a")]
    assert names("nowhere") == []


def test_a_write_that_fails_leaves_nothing_behind(store: Store) -> None:
    """An object that is not JSON is not kept, not even in part, and the next write is fine."""
    with pytest.raises(TypeError):
        store.create(SERVICES, service(a=object()))
    with pytest.raises(InvalidRequest, match="a name is required"):
        store.create(SERVICES, {"metadata": {}})
    assert store.list(SERVICES, None) == ([], "0")
    assert store.create(SERVICES, service())["metadata"]["resourceVersion"] == "1"


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """A new store on the same file has the same objects and goes on counting where the old one stopped."""
    store = Store(tmp_path / "api.db")
    made = store.create(SERVICES, service())
    store.create(SERVICES, service("gone"))
    store.delete(SERVICES, "default", "gone")
    store.close()
    again = Store(tmp_path / "api.db")
    assert again.list(SERVICES, None) == ([made], "3")
    assert again.create(SERVICES, service("next"))["metadata"]["resourceVersion"] == "4"
    again.close()


def test_a_written_object_survives_kill_9(tmp_path: Path) -> None:
    """A process that is killed right after create() returned loses nothing."""
    path = tmp_path / "api.db"
    program = """
        import os, signal, sys
        from pathlib import Path
        from warmfront.kube.resources import SERVICES
        from warmfront.runtime.store import Store
        store = Store(Path(sys.argv[1]))
        for number in range(50):
            store.create(SERVICES, {"metadata": {"name": f"s{number:02d}"}})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    store = Store(path)
    assert len(store.list(SERVICES, None)[0]) == 50
    store.close()


def test_one_file_has_one_owner(tmp_path: Path) -> None:
    """A second store on a file in use, or a file that is no store, is a SetupError that says what to do."""
    path = tmp_path / "api.db"
    store = Store(path)
    with pytest.raises(StoreInUse, match=r"api\.db is in use by another process"):
        Store(path)
    store.close()
    path.write_text("not a database, but long enough to be read as one" * 20)
    with pytest.raises(SetupError, match="move it away"):
        Store(path)


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_the_examples_of_rfc_7386(target: object, patch: object, merged: object) -> None:
    """The test cases of appendix A, as printed there."""
    assert merge_patch(target, patch) == merged


_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(target=_values, patch=_values)
def test_a_merge_patch_applied_twice_is_applied_once(target: object, patch: object) -> None:
    """Merging is idempotent, for any target and patch."""
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
