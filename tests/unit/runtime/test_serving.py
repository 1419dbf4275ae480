"""The serving controller: what a Service becomes, and what its state says. The data plane's part is played by hand."""

import asyncio
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from warmfront.kube.resources import (
    CONFIGURATIONS,
    PODAUTOSCALERS,
    REVISIONS,
    ROUTES,
    SERVICES,
    Json,
    annotations_of,
    condition_of,
    labels_of,
)
from warmfront.runtime.addresses import Addresses
from warmfront.runtime.serving import ServingController
from warmfront.runtime.serving.controller import RETAINED_REVISIONS
from warmfront.runtime.serving.status import Verdict, conditions
from warmfront.runtime.store import Store

MIN_SCALE = "autoscaling.knative.dev/min-scale"


class Timers:
    """Runs what was put off when told to."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def later(self, _: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        self.due.append(action)

        class Handle:
            def cancel(handle) -> None:  # noqa: N805 - `self` is the timers
                self.due.remove(action)

        return cast("asyncio.TimerHandle", Handle())

    def fire(self) -> None:
        due, self.due = self.due, []
        for action in due:
            action()


class Cluster:
    """A store with its controller, and shorthands for what users and the data plane do."""

    def __init__(self) -> None:
        self.store = Store(None)
        self.timers = Timers()
        self.controller = ServingController(self.store, Addresses(port=80), later=self.timers.later)
        self.controller.start()

    def create(self, name: str = "hello", **template: object) -> None:
        metadata = {"name": name, "labels": {"warmfront.dev/task": "langid"}, "annotations": {"warmfront.dev/x": "y"}}
        self.store.create(SERVICES, {"metadata": metadata, "spec": {"template": {"spec": {"image": 1}, **template}}})

    def change(self, image: int, name: str = "hello") -> None:
        self.store.merge(SERVICES, "default", name, {"spec": {"template": {"spec": {"image": image}}}})

    def report(self, revision: str, status: str, message: str = "") -> None:
        condition = {"type": "Ready", "status": status, "message": message, "lastTransitionTime": "t"}
        self.store.set_status(REVISIONS, "default", revision, {"conditions": [condition]})

    def status(self, name: str = "hello") -> Json:
        found: Json = self.store.get(SERVICES, "default", name)["status"]
        return found

    def condition(self, kind: str = "Ready", name: str = "hello") -> tuple[str, str]:
        condition = condition_of(self.store.get(SERVICES, "default", name), kind)
        assert condition is not None
        return condition["status"], condition.get("message", "")

    def traffic(self) -> list[str]:
        return [entry["revisionName"] for entry in self.status()["traffic"]]

    def routing(self) -> dict[str, str]:
        revisions, _ = self.store.list(REVISIONS, "default")
        return {r["metadata"]["name"]: labels_of(r)["serving.knative.dev/routingState"] for r in revisions}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.controller.stop()
    cluster.store.close()


def test_a_service_becomes_its_parts_at_once(cluster: Cluster) -> None:
    """One write makes Configuration, Route, first Revision and its PodAutoscaler, named and owned as in Knative."""
    cluster.create(metadata={"labels": {"mine": "1"}, "annotations": {MIN_SCALE: "1"}})
    service = cluster.store.get(SERVICES, "default", "hello")
    configuration = cluster.store.get(CONFIGURATIONS, "default", "hello")
    route = cluster.store.get(ROUTES, "default", "hello")
    revision = cluster.store.get(REVISIONS, "default", "hello-00001")
    autoscaler = cluster.store.get(PODAUTOSCALERS, "default", "hello-00001")
    owners = [obj["metadata"]["ownerReferences"][0]["uid"] for obj in (configuration, route, revision, autoscaler)]
    uid = service["metadata"]["uid"]
    assert owners == [uid, uid, configuration["metadata"]["uid"], revision["metadata"]["uid"]]
    labels = labels_of(revision)
    assert labels["mine"] == "1"
    assert labels["serving.knative.dev/service"] == labels["serving.knative.dev/configuration"] == "hello"
    assert labels["serving.knative.dev/configurationGeneration"] == "1"
    assert "warmfront.dev/task" not in labels
    assert annotations_of(autoscaler)[MIN_SCALE] == "1"
    assert labels_of(autoscaler)["serving.knative.dev/revision"] == "hello-00001"


def test_readiness_rolls_up_from_the_revision(cluster: Cluster) -> None:
    """Unknown while the Revision says nothing, True with URL and traffic as soon as it is ready."""
    cluster.create()
    assert cluster.condition() == ("Unknown", 'Waiting for Revision "hello-00001" to become ready.')
    assert cluster.traffic() == []
    cluster.report("hello-00001", "True")
    assert [cluster.condition(kind)[0] for kind in ("ConfigurationsReady", "RoutesReady", "Ready")] == ["True"] * 3
    status = cluster.status()
    assert (status["latestCreatedRevisionName"], status["latestReadyRevisionName"]) == ("hello-00001", "hello-00001")
    assert status["url"] == status["address"]["url"] == "http://hello.default.localhost:80"
    assert status["traffic"] == [{"latestRevision": True, "percent": 100, "revisionName": "hello-00001"}]
    assert status["observedGeneration"] == 1
    assert cluster.routing() == {"hello-00001": "active"}


def test_a_new_template_is_a_new_revision_and_nothing_else_is(cluster: Cluster) -> None:
    """Labels, annotations and traffic of the Service make none; the template makes exactly one."""
    cluster.create()
    cluster.report("hello-00001", "True")
    cluster.store.merge(SERVICES, "default", "hello", {"metadata": {"labels": {"x": "y"}}})
    cluster.store.merge(SERVICES, "default", "hello", {"spec": {"traffic": [{"latestRevision": True, "percent": 100}]}})
    assert list(cluster.routing()) == ["hello-00001"]
    cluster.change(2)
    assert cluster.routing() == {"hello-00001": "active", "hello-00002": "pending"}
    assert cluster.condition()[0] == "Unknown"
    cluster.report("hello-00002", "True")
    assert cluster.routing() == {"hello-00001": "reserve", "hello-00002": "active"}
    assert cluster.traffic() == ["hello-00002"]
    reachability = [a["spec"]["reachability"] for a in cluster.store.list(PODAUTOSCALERS, None)[0]]
    assert reachability == ["Unreachable", "Reachable"]


def test_a_revision_that_fails_takes_no_traffic(cluster: Cluster) -> None:
    """The Service says why it is not ready, and the ready Revision goes on serving."""
    cluster.create()
    cluster.report("hello-00001", "True")
    cluster.change(2)
    cluster.report("hello-00002", "False", "no local folder for image x")
    assert cluster.condition()[0] == "Unknown"  # not believed at once, see serving/patience.py
    cluster.timers.fire()
    assert cluster.condition() == ("False", 'Revision "hello-00002" failed with message: no local folder for image x.')
    assert cluster.condition("RoutesReady")[0] == "True"
    assert cluster.traffic() == ["hello-00001"]
    assert cluster.status()["latestReadyRevisionName"] == "hello-00001"
    cluster.change(3)
    cluster.report("hello-00003", "True")
    assert (cluster.condition()[0], cluster.traffic()) == ("True", ["hello-00003"])
    assert cluster.routing()["hello-00002"] == "reserve"


def test_a_first_revision_that_fails_leaves_nothing_to_route_to(cluster: Cluster) -> None:
    """Ready is False with the Revision's message, the Route's with its own; a repaired one makes all True."""
    cluster.create()
    cluster.report("hello-00001", "False", "no folder")
    cluster.timers.fire()
    assert cluster.condition() == ("False", 'Revision "hello-00001" failed with message: no folder.')
    assert cluster.condition("RoutesReady") == ("False", 'Configuration "hello" does not have any ready Revision.')
    cluster.report("hello-00001", "True")
    assert (cluster.condition()[0], cluster.traffic()) == ("True", ["hello-00001"])


def test_a_failure_that_passes_is_never_reported(cluster: Cluster) -> None:
    """A Revision that recovers before its failure is believed leaves no trace on the Service."""
    seen: list[str] = []
    cluster.store.subscribe(SERVICES, lambda _, obj: seen.extend(c["status"] for c in _conditions(obj)))
    cluster.create()
    cluster.report("hello-00001", "False", "still starting")
    cluster.report("hello-00001", "True")
    assert cluster.timers.due == []
    assert "False" not in seen
    assert cluster.condition()[0] == "True"


def _conditions(obj: Json) -> list[Json]:
    return list((obj.get("status") or {}).get("conditions") or ())


def test_a_lapse_of_a_serving_revision_does_not_move_traffic(cluster: Cluster) -> None:
    """The latest ready Revision stays the target when it fails later; the Service says so."""
    cluster.create()
    cluster.report("hello-00001", "True")
    cluster.report("hello-00001", "False", "it crashes")
    cluster.timers.fire()
    assert cluster.condition()[0] == "False"
    assert cluster.traffic() == ["hello-00001"]
    assert cluster.routing() == {"hello-00001": "active"}


def test_traffic_may_be_pinned_and_tagged(cluster: Cluster) -> None:
    """A named Revision keeps all traffic while newer ones come; tags keep theirs reachable, under their own URL."""
    cluster.create()
    cluster.report("hello-00001", "True")
    traffic = [{"revisionName": "hello-00001", "percent": 100}, {"latestRevision": True, "tag": "next", "percent": 0}]
    cluster.store.merge(SERVICES, "default", "hello", {"spec": {"traffic": traffic}})
    cluster.change(2)
    cluster.report("hello-00002", "True")
    assert cluster.traffic() == ["hello-00001", "hello-00002"]
    assert cluster.status()["traffic"][1]["url"] == "http://next-hello.default.localhost:80"
    assert cluster.routing() == {"hello-00001": "active", "hello-00002": "active"}
    traffic = [{"revisionName": "hello-00007", "percent": 100}]
    cluster.store.merge(SERVICES, "default", "hello", {"spec": {"traffic": traffic}})
    assert cluster.condition() == ("False", 'Revision "hello-00007" referenced in traffic not found.')
    assert cluster.traffic() == ["hello-00001", "hello-00002"]


def test_traffic_to_a_revision_that_is_not_ready_waits(cluster: Cluster) -> None:
    """Pinned to a Revision that is starting, then failed: Unknown, then False with its message; traffic stays."""
    cluster.create()
    cluster.report("hello-00001", "True")
    cluster.change(2)
    traffic = [{"revisionName": "hello-00002", "percent": 100}]
    cluster.store.merge(SERVICES, "default", "hello", {"spec": {"traffic": traffic}})
    message = 'Revision "hello-00002" referenced in traffic is not yet ready.'
    assert cluster.condition("RoutesReady") == ("Unknown", message)
    assert cluster.routing() == {"hello-00001": "active", "hello-00002": "active"}
    cluster.report("hello-00002", "False", "no folder")
    message = 'Revision "hello-00002" referenced in traffic failed to become ready: no folder'
    assert cluster.condition("RoutesReady") == ("False", message)
    assert cluster.traffic() == ["hello-00001"]


def test_a_stopped_controller_follows_nothing(cluster: Cluster) -> None:
    """After stop no write is answered and no failure is waited for."""
    cluster.create()
    cluster.report("hello-00001", "False", "no folder")
    assert len(cluster.timers.due) == 1
    cluster.controller.stop()
    assert cluster.timers.due == []
    version = int(cluster.store.version)
    cluster.report("hello-00001", "True")
    assert int(cluster.store.version) == version + 1


def test_annotations_of_a_revision_reach_its_autoscaler(cluster: Cluster) -> None:
    """Set and removed at run time without a new Revision, other annotations untouched."""
    cluster.create()
    cluster.report("hello-00001", "True")
    for value, expected in (("1", "1"), (None, None)):
        cluster.store.merge(REVISIONS, "default", "hello-00001", {"metadata": {"annotations": {MIN_SCALE: value}}})
        autoscaler = cluster.store.get(PODAUTOSCALERS, "default", "hello-00001")
        assert annotations_of(autoscaler).get(MIN_SCALE) == expected
        assert annotations_of(autoscaler)["serving.knative.dev/routes"] == "hello"
    assert list(cluster.routing()) == ["hello-00001"]


def test_a_given_revision_name_is_used_and_never_taken_twice(cluster: Cluster) -> None:
    """A template may name its Revision; another content under a taken name makes the Service not ready."""
    cluster.create(metadata={"name": "hello-one"})
    cluster.report("hello-one", "True")
    cluster.change(2)
    status, message = cluster.condition()
    assert (status, "hello-one" in message, cluster.traffic()) == ("False", True, ["hello-one"])
    cluster.change(1)
    assert (cluster.condition()[0], list(cluster.routing())) == ("True", ["hello-one"])


def test_old_revisions_are_collected(cluster: Cluster) -> None:
    """The newest unreferenced ones stay to go back to; the rest go, with their autoscalers."""
    cluster.create()
    last = RETAINED_REVISIONS + 3
    for image in range(1, last + 1):
        cluster.change(image)
        cluster.report(f"hello-{image:05d}", "True")
    expected = [f"hello-{image:05d}" for image in range(last - RETAINED_REVISIONS, last + 1)]
    assert list(cluster.routing()) == expected
    assert [a["metadata"]["name"] for a in cluster.store.list(PODAUTOSCALERS, None)[0]] == expected


def test_what_is_deleted_by_hand_comes_back_and_a_deleted_service_does_not(cluster: Cluster) -> None:
    """Configuration, Route, Revision and autoscaler are made again; deleting the Service takes all along for good."""
    cluster.create()
    for resource, name in ((PODAUTOSCALERS, "hello-00001"), (REVISIONS, "hello-00001"), (ROUTES, "hello"),
                           (CONFIGURATIONS, "hello")):  # fmt: skip
        cluster.store.delete(resource, "default", name)
        assert cluster.store.find(resource, "default", name) is not None
    cluster.store.delete(SERVICES, "default", "hello")
    assert cluster.store.namespaces() == set()


def test_a_restart_changes_nothing(cluster: Cluster) -> None:
    """A new controller on the same store writes nothing, a known failure included."""
    cluster.create()
    cluster.report("hello-00001", "True")
    cluster.change(2)
    cluster.report("hello-00002", "False", "no folder")
    cluster.timers.fire()
    version = cluster.store.version
    cluster.controller.stop()
    again = ServingController(cluster.store, Addresses(port=80), later=cluster.timers.later)
    again.start()
    assert (cluster.store.version, cluster.timers.due) == (version, [])
    again.stop()


def test_transition_times_move_only_with_the_status() -> None:
    """A condition that keeps its status keeps its time, even when its message changes."""
    parts = {"A": Verdict("True"), "B": Verdict("Unknown", "Why", "first")}
    before = conditions({}, parts, "t1")
    assert [(c["type"], c["status"], c.get("message")) for c in before] == [
        ("A", "True", None), ("B", "Unknown", "first"), ("Ready", "Unknown", "first")]  # fmt: skip
    after = conditions({"status": {"conditions": before}}, {**parts, "B": Verdict("Unknown", "Why", "second")}, "t2")
    assert [(c["lastTransitionTime"], c.get("message")) for c in after] == [
        ("t1", None), ("t1", "second"), ("t1", "second")]  # fmt: skip
    last = conditions({"status": {"conditions": after}}, {**parts, "B": Verdict("False")}, "t3")
    assert [(c["status"], c["lastTransitionTime"]) for c in last] == [("True", "t1"), ("False", "t3"), ("False", "t3")]
