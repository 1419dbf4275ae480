"""A selector that may see which variants there are, but not how warm they are: it infers that, and says so."""

import json

import pytest

from .conftest import Cluster, ask, project, until

pytestmark = pytest.mark.cluster

HIDDEN = {"podautoscalers", "endpointslices"}
TEXT = "Wo ist der nächste Bahnhof, bitte?".encode()


@pytest.fixture(scope="module")
def selector(cluster: Cluster) -> str:
    """The selector's address; its Role lacks what tells replicas."""
    objects = [obj for obj in project("langid-cld2") if obj["kind"] not in {"Broker", "Trigger"}]
    for obj in objects:
        if obj["kind"] == "Role":
            obj["rules"] = [rule for rule in obj["rules"] if not HIDDEN & set(rule["resources"])]
    cluster.apply(objects)
    cluster.wait_ready("ksvc/selector", "ksvc/langid-cld2")
    return cluster.inside("selector")


def test_it_says_what_it_may_not_see(selector: str) -> None:
    """Readiness names the kinds, the API server's refusal and what follows; the Services are watched."""

    def said() -> dict[str, str] | None:
        found: dict[str, str] = json.loads(ask(f"{selector}/readyz").body)["catalogue"]
        return found if all("waiting" not in found[kind] for kind in HIDDEN) else None

    catalogue = until("both kinds refused", said)
    assert catalogue["services"] == "watching"
    for kind in HIDDEN:
        assert catalogue[kind].startswith("no permission")
        assert catalogue[kind].endswith("inferred from own traffic")
    assert catalogue["defaults"].startswith("of the Service only: no permission")


def test_it_learns_warmth_from_its_own_answers(selector: str) -> None:
    """The first answer waits for a start; it proves a replica, so the next is promised in a few milliseconds."""
    first = ask(f"{selector}/tasks/langid", TEXT)
    assert (first.status, first.headers["warmfront-cold-start"]) == (200, "true")
    second = ask(f"{selector}/tasks/langid", TEXT, {"Warmfront-Deadline-Ms": "500"})
    assert (second.status, second.headers["warmfront-cold-start"]) == (200, "false")
    assert float(second.headers["warmfront-predicted-ms"]) < 500
