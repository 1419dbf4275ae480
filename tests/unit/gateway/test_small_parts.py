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
    Unprocessable,
)
from warmfront.gateway import defaults, problems, routes
from warmfront.gateway.admission import Admission
from warmfront.gateway.dialects import Message, sorted_out, to_variant
from warmfront.gateway.objective import Objective
from warmfront.gateway.plane import Memory
from warmfront.gateway.routes import Action
from warmfront.gateway.settings import Settings
from warmfront.protocols import Errors
from warmfront.protocols.reach import way


def test_a_problem_says_what_rfc_9457_wants():
    """Type, title, status, detail; clients of model servers get theirs instead: the detail as `error`."""
    status, headers, body = problems.render(UnknownTask("no variant serves task 'x'"))
    assert (status, dict(headers)[b"content-type"]) == (404, b"application/problem+json")
    assert msgspec.json.decode(body) == {
        "type": "https://warmfront.dev/problems/unknown-task",
        "title": "Unknown task",
        "status": 404,
        "detail": "no variant serves task 'x'",
    }
    status, headers, body = problems.render(UnknownTask("no variant serves task 'x'"), shape=Errors.ERROR)
    assert (status, dict(headers)[b"content-type"]) == (404, b"application/json")
    assert msgspec.json.decode(body) == {"error": "no variant serves task 'x'"}
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
        ("POST", "/v1/models/lang:classify", Action.INFER, "lang"),
        ("POST", "/v1/models/lang:regress", Action.INFER, "lang"),
        ("POST", "/endpoints/lang/invocations", Action.INFER, "lang"),
        ("GET", "/v1/models/lang", Action.MODEL_STATUS, "lang"),
        ("GET", "/v1/models/lang/metadata", Action.METADATA, "lang"),
        ("GET", "/v2/models/lang", Action.METADATA, "lang"),
        ("GET", "/v2/models/lang/ready", Action.MODEL_READY, "lang"),
        ("GET", "/v1/models", Action.MODELS, ""),
        ("GET", "/v2", Action.SERVER, ""),
        ("GET", "/ping", Action.READY, ""),
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
    found = routes.match(method, path)
    assert (found.route.action, found.name, found.version) == (action, task, "")


@pytest.mark.parametrize(
    ("method", "path", "action", "version"),
    [
        ("POST", "/v1/models/lang/versions/3:predict", Action.INFER, "/versions/3"),
        ("POST", "/v1/models/lang/labels/stable:classify", Action.INFER, "/labels/stable"),
        ("GET", "/v1/models/lang/versions/3", Action.MODEL_STATUS, "/versions/3"),
        ("GET", "/v1/models/lang/labels/stable/metadata", Action.METADATA, "/labels/stable"),
        ("POST", "/v2/models/lang/versions/3/infer", Action.INFER, "/versions/3"),
        ("GET", "/v2/models/lang/versions/3/ready", Action.MODEL_READY, "/versions/3"),
        ("GET", "/v2/models/lang/versions/3", Action.METADATA, "/versions/3"),
    ],
)
def test_a_path_may_say_which_version(method, path, action, version):
    """Between the model and the verb, kept as the client wrote it."""
    found = routes.match(method, path)
    assert (found.route.action, found.name, found.version) == (action, "lang", version)


def test_paths_that_lead_nowhere():
    """Unknown paths are 404, wrong methods 405 with what the path takes, a broken escape 400."""
    for path in ("/tasks/", "/tasks/a/b", "/v2/models//infer", "/v2/models/a/b/infer", "//", "", "/TASKS",
                 "/v1/models/a:explain", "/v1/models/a/sizes/3:predict", "/v1/models/a/versions/:predict",
                 "/v2/models/a/labels/x/infer", "/v1/models/a/versions/3/4:predict"):  # fmt: skip
        with pytest.raises(NotFound):
            routes.match("POST", path + ("x" if not path else ""))
    with pytest.raises(MethodNotAllowed, match="takes GET"):
        routes.match("POST", "/tasks")
    with pytest.raises(MethodNotAllowed, match="takes POST"):
        routes.match("GET", "/v1/models/a:predict")
    assert sorted(routes.methods("/tasks/lang")) == ["GET", "POST"]
    with pytest.raises(InvalidRequest, match="UTF-8"):
        routes.match("POST", "/tasks/%FF")


def test_only_inference_and_health_are_open():
    """Everything that shows the selector's inside is guarded."""
    open_actions = {route.action for route in routes.ROUTES if not route.guarded}
    asking = {Action.MODEL_STATUS, Action.MODEL_READY, Action.METADATA, Action.SERVER, Action.CALL}
    assert open_actions == {Action.EVENT, Action.INFER, Action.LIVE, Action.READY} | asking


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


def test_raw_to_a_variant_of_events_and_back():
    """The body is the event's data both ways; the objective and hop-by-hop fields stay here."""
    headers = [(b"host", b"s"), (b"content-type", b"text/plain"), (b"warmfront-deadline-ms", b"5"), (b"te", b"x")]
    kept, stated = sorted_out(headers)
    assert stated == [(b"warmfront-deadline-ms", b"5")]
    request = Request(id="r-1", task="t", size_bytes=4, arrival_at=0.0)
    message = Message(protocols=("raw",), headers=kept, body=b"data")
    path, sent, body, back = to_variant(message, way(("raw",), variant("cloudevents")), request, "/warmfront/s", "v")
    assert (path, body) == ("/", b"data")
    assert dict(sent) == {
        b"content-type": b"text/plain",
        b"ce-specversion": b"1.0",
        b"ce-id": b"r-1",
        b"ce-source": b"/warmfront/s",
        b"ce-type": b"dev.warmfront.inference.request",
        b"ce-subject": b"t",
    }
    assert back([*sent, (b"x-a", b"1")], b"out") == ([(b"x-a", b"1"), (b"content-type", b"text/plain")], b"out")
    event = CloudEvent(id="1", source="/s", type="t", datacontenttype="text/x", data=b"data")
    fields = [(b"ce-id", b"1"), (b"content-type", b"text/x"), (b"traceparent", b"00-1")]
    message = Message(protocols=("cloudevents",), headers=fields, body=b"data", event=event)
    sent = to_variant(message, way(("cloudevents",), variant("raw")), request, "/s", "v")
    assert sent == ("/", [(b"traceparent", b"00-1"), (b"content-type", b"text/x")], b"data", None)
    sent = to_variant(message, way(("cloudevents",), variant("cloudevents")), request, "/s", "v")
    assert sent == ("/", fields, b"data", None)


def test_a_version_goes_where_versions_are_known():
    """On the path of a variant of the same protocol; no conversion drops it."""
    request = Request(id="r-1", task="t", size_bytes=4, arrival_at=0.0)
    message = Message(("tensorflow-serving",), [], b'{"instances": [1]}', version="/labels/stable")
    spoken = variant("tensorflow-serving")
    sent = to_variant(message, way(message.protocols, spoken), request, "/s", "v")
    assert sent == ("/v1/models/v/labels/stable:predict", [], b'{"instances": [1]}', None)
    with pytest.raises(Unprocessable, match="kserve-v1 knows nothing of /labels/stable"):
        to_variant(message, way(message.protocols, variant("kserve-v1")), request, "/s", "v")


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


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/inference.GRPCInferenceService/Nope", "inference.GRPCInferenceService has ModelInfer, ModelMetadata, "),
        ("/v1/models/t:guess", "there are POST /v1/models/TASK:predict, POST /v1/models/TASK:classify, "),
        ("/v2/models/t/guess", "there are POST /v2/models/TASK/infer, GET /v2/models/TASK/ready, GET /v2/models/TASK"),
        ("/nowhere", "see GET /tasks for tasks, POST /tasks/TASK to ask one, POST / for CloudEvents"),
    ],
)
def test_a_path_that_is_none(path, instead):
    """What there is where it was looked for."""
    with pytest.raises(NotFound) as raised:
        routes.match("POST", path)
    assert str(raised.value).startswith(f"found no route POST {path}; {instead}")


def test_the_settings_of_hedging():
    """Off unless it is switched on; of the requests one in twenty is hedged at most unless another share is named."""
    assert (Settings.from_environment({}).hedge, Settings.from_environment({}).hedge_share) == (False, 0.05)
    told = Settings.from_environment({"WARMFRONT_HEDGE": "on", "WARMFRONT_HEDGE_SHARE": "0.2"})
    assert (told.hedge, told.hedge_share) == (True, 0.2)
    with pytest.raises(SetupError, match="WARMFRONT_HEDGE is 'yes'; it must be on or off"):
        Settings.from_environment({"WARMFRONT_HEDGE": "yes"})
    with pytest.raises(SetupError, match="WARMFRONT_HEDGE_SHARE is '5'; it must be a share from 0 to 1"):
        Settings.from_environment({"WARMFRONT_HEDGE_SHARE": "5"})
