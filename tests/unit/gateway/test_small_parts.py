"""The parts without a life of their own: problems, admission, routes, settings, dialects, defaults."""

from pathlib import Path

import msgspec
import pytest

from warmfront.cloudevents import CloudEvent
from warmfront.domain import Request, Variant
from warmfront.errors import (
    InvalidEvent,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    SetupError,
    Unauthorized,
    UnknownTask,
)
from warmfront.gateway import defaults, problems, routes
from warmfront.gateway.admission import Admission
from warmfront.gateway.dialects import Message, sorted_out, spoken, to_variant, way
from warmfront.gateway.objective import Objective
from warmfront.gateway.plane import Memory
from warmfront.gateway.routes import Action
from warmfront.gateway.settings import Settings


def test_a_problem_says_what_rfc_9457_wants():
    """Type, title, status, detail; the detail again as `error` for clients of model servers."""
    status, headers, body = problems.render(UnknownTask("no variant serves task 'x'"))
    assert (status, dict(headers)[b"content-type"]) == (404, b"application/problem+json")
    assert msgspec.json.decode(body) == {
        "type": "https://warmfront.dev/problems/unknown-task",
        "title": "Unknown task",
        "status": 404,
        "detail": "no variant serves task 'x'",
        "error": "no variant serves task 'x'",
    }
    assert problems.render(UnknownTask("x"), status=422)[0] == 422


def test_problems_carry_their_headers_and_faults():
    """Retry-After in whole seconds, at least one; a challenge; every fault of an event."""
    assert (b"retry-after", b"3") in problems.render(Overloaded("x", retry_after_s=2.1))[1]
    assert (b"retry-after", b"1") in problems.render(Overloaded("x", retry_after_s=0.0, status=429))[1]
    assert (b"www-authenticate", b'Bearer realm="warmfront"') in problems.render(Unauthorized("x"))[1]
    assert problems.document(InvalidEvent({"id": "is absent"}))["faults"] == {"id": "is absent"}


def test_admission_counts_and_refuses():
    """503 when full by number or by bytes, 429 when too many wait for a start; leaving makes room."""
    admission = Admission(max_in_flight=2, max_in_flight_bytes=100, max_waiting=1)
    admission.enter(500)  # one large body alone is let in: the server has bounded it already
    with pytest.raises(Overloaded, match="500 bytes"):
        admission.enter(10)
    admission.leave(500)
    admission.enter(10)
    admission.enter(10)
    with pytest.raises(Overloaded) as full:
        admission.enter(10)
    assert (full.value.status, full.value.retry_after_s) == (503, 1.0)
    admission.begin_wait(2.5)
    with pytest.raises(Overloaded) as waiting:
        admission.begin_wait(2.5)
    assert (waiting.value.status, waiting.value.retry_after_s) == (429, 2.5)
    admission.end_wait()
    admission.begin_wait(2.5)


@pytest.mark.parametrize(
    ("method", "path", "action", "task"),
    [
        ("POST", "/", Action.EVENT, ""),
        ("POST", "/tasks/lang", Action.INFER, "lang"),
        ("POST", "/v2/models/lang/infer", Action.INFER, "lang"),
        ("POST", "/v1/models/lang:predict", Action.INFER, "lang"),
        ("POST", "/invocations", Action.INFER, ""),
        ("POST", "/decide/lang", Action.DECIDE, "lang"),
        ("POST", "/tasks/gr%C3%B6%C3%9Fe", Action.INFER, "größe"),
        ("GET", "/tasks", Action.TASKS, ""),
        ("HEAD", "/tasks/lang", Action.TASK, "lang"),
        ("GET", "/v2/health/ready", Action.READY, ""),
        ("GET", "/metrics", Action.METRICS, ""),
    ],
)
def test_every_path_leads_somewhere(method, path, action, task):
    """The table of section 3.4 of the design."""
    route, found = routes.match(method, path)
    assert (route.action, found) == (action, task)


def test_paths_that_lead_nowhere():
    """Unknown paths are 404, wrong methods 405 with what the path takes, a broken escape 400."""
    for path in ("/tasks/", "/tasks/a/b", "/v2/models//infer", "/v2/models/a/b/infer", "//", "", "/TASKS"):
        with pytest.raises(NotFound):
            routes.match("POST", path + ("x" if not path else ""))
    with pytest.raises(MethodNotAllowed, match="takes GET"):
        routes.match("POST", "/tasks")
    assert sorted(routes.methods("/tasks/lang")) == ["GET", "POST"]
    with pytest.raises(InvalidRequest, match="UTF-8"):
        routes.match("POST", "/tasks/%FF")


def test_only_inference_and_health_are_open():
    """Everything that shows the selector's inside is guarded."""
    open_actions = {route.action for route in routes.ROUTES if not route.guarded}
    assert open_actions == {Action.EVENT, Action.INFER, Action.LIVE, Action.READY}


def test_settings_come_from_the_environment():
    """Each field has its variable; platform is guessed from what a pod is given; absent is the default."""
    environ = {"PORT": "9000", "K_SERVICE": "sel", "WARMFRONT_MAX_IN_FLIGHT": "7", "WARMFRONT_RECORDS": "/tmp/r"}
    settings = Settings.from_environment(environ | {"WARMFRONT_SEED": "3", "WARMFRONT_ACCESS_LOG": "0.5"})
    assert (settings.port, settings.source, settings.max_in_flight) == (9000, "/warmfront/sel", 7)
    assert (settings.records, settings.seed, settings.access_log) == (Path("/tmp/r"), 3, 0.5)
    assert settings.platform == "laptop"
    assert Settings.from_environment({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).platform == "cluster"
    assert Settings.from_environment({"WARMFRONT_PLATFORM": "cluster"}).platform == "cluster"


def test_every_broken_setting_is_named():
    """One error for the operator, with variable, value and rule of each."""
    environ = {"PORT": "x", "WARMFRONT_TIMEOUT_S": "-1", "WARMFRONT_LOG_LEVEL": "LOUD", "WARMFRONT_ACCESS_LOG": "2"}
    with pytest.raises(SetupError) as raised:
        Settings.from_environment(environ)
    for part in ("PORT is 'x'; it must be a port", "TIMEOUT_S is '-1'", "LEVEL is 'LOUD'", "ACCESS_LOG is '2'"):
        assert part in str(raised.value)


def variant(protocols: str) -> Variant:
    return Variant(name="v", task="t", revision="v-1", url="http://v", protocols=tuple(protocols.split(",")))


def test_the_clients_protocol_is_kept_where_the_variant_speaks_it():
    """Else raw and event stand in for each other; nothing stands in for tensors."""
    assert spoken(("raw",), variant("cloudevents,raw")) == "raw"
    assert spoken(("raw",), variant("cloudevents")) == "cloudevents"
    assert spoken(("cloudevents",), variant("raw,open-inference")) == "raw"
    assert spoken(("open-inference",), variant("raw,cloudevents")) is None
    assert spoken(("tensorflow-serving", "kserve-v1"), variant("kserve-v1")) == "kserve-v1"


def test_raw_to_a_variant_of_events_and_back():
    """The body is the event's data both ways; the objective and hop-by-hop fields stay here."""
    headers = [(b"host", b"s"), (b"content-type", b"text/plain"), (b"warmfront-deadline-ms", b"5"), (b"te", b"x")]
    kept, stated = sorted_out(headers)
    assert stated == [(b"warmfront-deadline-ms", b"5")]
    request = Request(id="r-1", task="t", size_bytes=4, arrival_at=0.0)
    protocol, path = way(("raw",), variant("cloudevents"))
    message = Message(protocols=("raw",), headers=kept, body=b"data")
    sent, body = to_variant(message, protocol, request, "/warmfront/s")
    assert (path, body) == ("/", b"data")
    assert dict(sent) == {
        b"content-type": b"text/plain",
        b"ce-specversion": b"1.0",
        b"ce-id": b"r-1",
        b"ce-source": b"/warmfront/s",
        b"ce-type": b"dev.warmfront.inference.request",
        b"ce-subject": b"t",
    }
    event = CloudEvent(id="1", source="/s", type="t", datacontenttype="text/x", data=b"data")
    fields = [(b"ce-id", b"1"), (b"content-type", b"text/x"), (b"traceparent", b"00-1")]
    message = Message(protocols=("cloudevents",), headers=fields, body=b"data", event=event)
    protocol, path = way(("cloudevents",), variant("raw"))
    assert path == "/"
    sent, body = to_variant(message, protocol, request, "/s")
    assert (sent, body) == ([(b"traceparent", b"00-1"), (b"content-type", b"text/x")], b"data")
    protocol, path = way(("cloudevents",), variant("cloudevents"))
    assert (path, to_variant(message, protocol, request, "/s")) == ("/", (fields, b"data"))


def test_defaults_of_tasks_from_service_and_triggers():
    """The Service's hold for all tasks; a Trigger's for the subject it filters for; others' Triggers do not count."""

    def trigger(name: str, subscriber: str, deadline_ms: str, spec: dict) -> dict:
        reference = {"ref": {"kind": "Service", "name": subscriber}}
        metadata = {"name": name, "annotations": {"warmfront.dev/default-deadline-ms": deadline_ms}}
        return {"kind": "Trigger", "metadata": metadata, "spec": {"subscriber": reference} | spec}

    service = {"metadata": {"name": "sel", "annotations": {"warmfront.dev/default-min-accuracy": "0.5"}}}
    triggers = [
        trigger("a", "sel", "1000", {"filter": {"attributes": {"subject": "lang"}}}),
        trigger("b", "sel", "2000", {"filters": [{"exact": {"subject": "image"}}]}),
        trigger("c", "other", "3000", {"filter": {"attributes": {"subject": "lang"}}}),
        trigger("d", "sel", "many", {"filter": {"attributes": {"subject": "sound"}}}),
    ]
    general, by_task = defaults.from_objects(service, triggers, "sel")
    assert general == Objective(min_accuracy=0.5)
    assert by_task == {
        "lang": Objective(min_accuracy=0.5, deadline_s=1.0),
        "image": Objective(min_accuracy=0.5, deadline_s=2.0),
        "sound": Objective(min_accuracy=0.5),
    }
    assert defaults.from_objects(None, [trigger("e", "sel", "1", {})], "sel") == (Objective(deadline_s=0.001), {})


def test_the_memory_of_labels_is_bounded():
    """The oldest goes first."""
    memory = Memory(2)
    for key in "abc":
        memory.remember(key, key.upper())
    assert [memory.recall(key) for key in "abc"] == [None, "B", "C"]
