"""One handler, three fronts: the same cases over the native server, ASGI, and functions-framework with Flask and aio.

Every front is a process as it is deployed; the variants and the API server are real servers on loopback.
"""

import json
import threading
from http.client import HTTPException

import pytest

from warmfront.wire.messages import Exchange

FRONTS = ("native", "asgi", "flask", "aio")


@pytest.fixture(scope="module", params=FRONTS)
def front(request, start):
    """A selector behind each front in turn, which wants a token for its inside."""
    return start(request.param, WARMFRONT_TOKEN="secret", WARMFRONT_MAX_BODY_BYTES="4000000")


@pytest.fixture(autouse=True)
def fresh(platform):
    """Variants answer as usual and have seen nothing."""
    for variant in platform.variants.values():
        variant.reset()


INSIDE = {"Authorization": "Bearer secret"}


def test_a_raw_body_goes_to_the_best_variant_and_its_reply_comes_back(front, platform):
    """Bytes, content type and trace context pass untouched; the choice is explained in headers."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {
        "content-type": "text/plain; charset=koi8-r",
        "traceparent": trace,
        "tracestate": "a=1",
        "baggage": "k=v",
    }
    body = bytes(range(256))
    reply = front.ask("POST", "/tasks/lang", body, headers | {"Warmfront-Deadline-Ms": "5000"})
    assert (reply.status, reply.body) == (200, b'{"label":"de"}')
    (seen,) = platform.variants["good"].seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/", body)
    for name, text in headers.items():
        assert seen.header(name.encode()) == text.encode()
    assert 4000 < int(seen.header(b"warmfront-deadline-ms")) <= 5000
    assert reply.headers["warmfront-variant"] == "good"
    assert reply.headers["warmfront-cold-start"] == "false"
    assert float(reply.headers["warmfront-predicted-ms"]) > 0
    assert float(reply.headers["warmfront-probability"]) > 0.9
    assert reply.headers["warmfront-label"] == "de"
    assert reply.headers["warmfront-decision-id"]
    assert reply.headers["server-timing"].startswith("decide;dur=")


def test_the_status_of_a_variant_passes_too(front, platform):
    """A 4xx is between client and variant: it is neither hidden nor tried elsewhere."""
    platform.variants["good"].answer = lambda e: e.respond(415, [(b"content-type", b"text/plain")], b"no text")
    reply = front.ask("POST", "/tasks/lang", b"x")
    assert (reply.status, reply.body) == (415, b"no text")
    assert not platform.variants["fair"].seen


def test_a_failing_variant_is_replaced_by_another_once(front, platform):
    """A 500 of the best variant is never seen: the next best one answers."""
    shaky, steady = platform.variants["shaky"], platform.variants["steady"]
    shaky.answer = lambda e: e.respond(500, [], b"broken")
    reply = front.ask("POST", "/tasks/faults", b"x")
    assert (reply.status, reply.headers["warmfront-variant"]) == (200, "steady")
    steady.answer = lambda e: e.abort()
    reply = front.ask("POST", "/tasks/faults", b"x")
    assert (reply.status, len(shaky.seen), len(steady.seen)) == (502, 2, 2)
    assert reply.headers["content-type"] == "application/problem+json"
    assert "shaky answered 500" in reply.json["detail"]
    assert "steady" in reply.json["detail"]


def test_a_streamed_reply_passes_on_as_it_comes(front, platform):
    """The first piece arrives before the variant has written the second."""
    started: list[Exchange] = []
    begun = threading.Event()

    def first_half(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-type", b"text/event-stream")])
        exchange.write(b"data: 1\n\n")
        started.append(exchange)
        begun.set()

    platform.variants["good"].answer = first_half
    connection = front.open()
    connection.request("POST", "/tasks/lang", b"x")
    assert begun.wait(10)
    response = connection.getresponse()
    assert response.read1(100) == b"data: 1\n\n"

    def second_half() -> None:
        started[0].write(b"data: 2\n\n")
        started[0].finish()

    platform.call(second_half)
    assert response.read() == b"data: 2\n\n"
    connection.close()


def test_a_large_reply_arrives_whole(front, platform):
    """Three megabytes, in order."""
    large = b"".join(b"%07d\n" % i for i in range(400_000))
    platform.variants["good"].answer = lambda e: e.respond(200, [(b"content-type", b"text/plain")], large)
    assert front.ask("POST", "/tasks/lang", b"x").body == large


def test_a_body_above_the_limit_is_refused(front):
    """413, and the next request works."""
    reply = front.ask("POST", "/tasks/lang", b"x" * 4_000_001)
    assert reply.status == 413
    assert "4000000" in reply.json["detail"]
    assert front.ask("POST", "/tasks/lang", b"x").status == 200


def test_open_inference_keeps_its_path_and_reads_its_parameters(front, platform):
    """The variant is asked under its own name; `parameters` carry the objective, which headers overrule."""
    body = json.dumps({"parameters": {"minaccuracy": 0.99, "onmiss": "reject"}, "inputs": []}).encode()
    path = "/v2/models/tensor/infer"
    assert front.ask("POST", path, body).status == 422
    reply = front.ask("POST", path, body, {"Warmfront-Min-Accuracy": "0.5"})
    assert reply.status == 200
    (seen,) = platform.variants["tensors"].seen
    assert (seen.path, seen.body) == ("/v2/models/tensors/infer", body)
    bad = json.dumps({"parameters": {"deadlinems": "soon"}}).encode()
    reply = front.ask("POST", path, bad)
    assert reply.status == 400
    assert "parameters.deadlinems is 'soon'; it must be a number" in reply.json["error"]


def test_a_variant_that_does_not_speak_the_protocol_is_left_out(front):
    """Open Inference for a task whose variants speak none of it is 415 with what they speak, told as `error`."""
    reply = front.ask("POST", "/v2/models/lang/infer", b"{}")
    assert (reply.status, reply.headers["content-type"]) == (415, "application/json")
    assert list(reply.json) == ["error"]
    for name in ("good", "fair"):
        assert f"{name} speaks cloudevents, raw;" in reply.json["error"]


def test_an_event_gets_a_reply_event_once(front, platform):
    """Binary in, binary out with the extensions of the design; a redelivery gets the same event, executed once."""
    reply = front.event("b-1", deadlinems="5000", correlationid="c-7")
    assert (reply.status, reply.body) == (200, b'{"label":"de"}')
    said = {name[3:]: text for name, text in reply.headers.items() if name.startswith("ce-")}
    assert said["type"] == "dev.warmfront.inference.response"
    assert said["specversion"] == "1.0"
    assert said["subject"] == "lang"
    assert (said["correlationid"], said["causationid"]) == ("c-7", "b-1")
    assert (said["variant"], said["revision"], said["coldstart"]) == ("good", "good-00001", "false")
    assert 0 < float(said["accuracy"]) <= 1
    assert float(said["predictedms"]) > 0
    assert 0 < float(said["probability"]) <= 1
    assert float(said["latencyms"]) > 0
    assert said["decisionid"]
    assert front.event("b-1", deadlinems="5000", correlationid="c-7").headers["ce-latencyms"] == said["latencyms"]
    assert len(platform.variants["good"].seen) == 1
    assert platform.variants["good"].seen[0].header(b"ce-id") == b"b-1"


def test_a_structured_event_gets_a_structured_reply(front, platform):
    """The sender's mode is the reply's; the variant gets the event in binary mode, its JSON data verbatim."""
    event = {"specversion": "1.0", "id": "s-1", "source": "/tests", "type": "dev.warmfront.inference.request"}
    body = json.dumps(event | {"subject": "lang", "data": {"text": "hallo"}}).encode()
    reply = front.ask("POST", "/", body, {"content-type": "application/cloudevents+json"})
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("application/cloudevents+json")
    assert reply.json["data"] == {"label": "de"}
    assert reply.json["causationid"] == "s-1"
    (seen,) = platform.variants["good"].seen
    assert seen.header(b"ce-id") == b"s-1"
    assert seen.header(b"content-type") == b"application/json"
    assert json.loads(seen.body) == {"text": "hallo"}


def test_an_unmet_objective_is_a_rejected_event_when_asked_for(front):
    """200 with problem details as data: the Broker must not retry what nobody can meet."""
    reply = front.event("r-1", minaccuracy="0.99", onmiss="reject")
    assert (reply.status, reply.headers["ce-type"]) == (200, "dev.warmfront.inference.rejected")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["type"].endswith("/objective-unmet")
    assert reply.headers["ce-causationid"] == "r-1"


def test_an_unknown_task_is_404_and_422_in_event_mode(front):
    """A Broker would retry 404 for ever."""
    assert front.ask("POST", "/tasks/nosuch", b"x").status == 404
    reply = front.event("u-1", subject="nosuch")
    assert reply.status == 422
    assert "nosuch" in reply.json["detail"]


def test_feedback_is_compared_with_the_remembered_label(front):
    """202 without a body for a usable verdict; 422 with the reason for any other."""
    decision = front.event("f-1").headers["ce-decisionid"]

    def feedback(id_: str, document: object) -> object:
        return front.event(id_, json.dumps(document).encode(), type="dev.warmfront.feedback")

    for id_, verdict in (("f-2", {"label": "de"}), ("f-3", {"correct": False}), ("f-4", {"score": 0.5})):
        reply = feedback(id_, {"decision_id": decision} | verdict)
        assert (reply.status, reply.body) == (202, b"")
    assert feedback("f-5", {"decision_id": "none", "label": "de"}).status == 422
    assert feedback("f-6", {"decision_id": "none", "correct": True}).status == 422
    assert feedback("f-7", {"decision_id": decision, "score": 2}).status == 422
    assert feedback("f-8", {"decision_id": decision}).status == 422
    metrics = front.ask("GET", "/metrics", headers=INSIDE).body.decode()
    assert 'warmfront_feedback_total{kind="label"} ' in metrics


def test_the_inside_wants_the_token_and_inference_does_not(front):
    """Decisions, tasks and metrics need the bearer token; health and inference are open."""
    for method, path in (("GET", "/tasks"), ("GET", "/tasks/lang"), ("GET", "/metrics"), ("POST", "/decide/lang")):
        body = b"x" if method == "POST" else None
        refused = front.ask(method, path, body, {"Authorization": "Bearer wrong"})
        assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="warmfront"')
        assert front.ask(method, path, body, INSIDE).status == 200
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
        assert front.ask("GET", path).status == 200


def test_a_decision_can_be_asked_for_without_acting(front, platform):
    """POST /decide tells the choice and every candidate's numbers and calls nobody."""
    reply = front.ask("POST", "/decide/lang", b"hallo", INSIDE | {"Warmfront-Deadline-Ms": "1000"})
    assert (reply.json["chosen"], reply.json["reason"], reply.json["deadline_ms"]) == ("good", "chosen", 1000.0)
    assert {c["variant"] for c in reply.json["candidates"]} == {"good", "fair"}
    assert not platform.variants["good"].seen
    tasks = front.ask("GET", "/tasks", headers=INSIDE).json["tasks"]
    assert [task["task"] for task in tasks] == ["faults", "lang", "tensor"]
    assert tasks[1]["variants"][0]["ready"] == 1


def test_the_warm_set_can_be_seen(front):
    """GET /tasks/TASK/warm-set shows who is awake, who should be and why, to those with the token; 404 elsewhere."""
    assert front.ask("GET", "/tasks/lang/warm-set").status == 401
    assert front.ask("GET", "/tasks/none/warm-set", headers=INSIDE).status == 404
    front.ask("POST", "/tasks/lang", b"x")
    said = front.ask("GET", "/tasks/lang/warm-set", headers=INSIDE).json
    assert (said["task"], said["acting"]) == ("lang", "starts only: WARMFRONT_KEEP_WARM is off")
    assert said["idle_ms"] >= 0
    assert {one["variant"]: one["warmth"] for one in said["variants"]} == {"good": "warm", "fair": "warm"}
    assert all(one["reason"] and isinstance(one["wanted"], bool) for one in said["variants"])
    assert front.ask("POST", "/tasks/lang/warm-set", b"").headers["allow"] == "GET"


def test_paths_and_methods_that_are_not_there(front):
    """404 tells where to look, 405 what the path takes, OPTIONS too."""
    assert front.ask("POST", "/nope", b"").status == 404
    assert front.ask("POST", "/healthz", b"").headers["allow"] == "GET"
    assert front.ask("DELETE", "/", b"").status == 405
    options = front.ask("OPTIONS", "/")
    assert (options.status, options.headers["allow"]) == (204, "POST")
    assert "a%2Fb" not in front.ask("POST", "/tasks/a%2Fb", b"").json["detail"]


def test_a_client_that_leaves_cancels_the_variants_work(front, platform, request):
    """The call upstream is closed, wherever the front can know: a Flask worker that waits cannot."""
    if "flask" in request.node.name:
        return
    arrived, cancelled = threading.Event(), threading.Event()

    def work(exchange: Exchange) -> None:
        exchange.on_disconnect = cancelled.set
        arrived.set()

    platform.variants["good"].answer = work
    connection = front.open()
    connection.request("POST", "/tasks/lang", b"x")
    assert arrived.wait(10)
    connection.close()
    assert cancelled.wait(10)


def test_a_reply_that_breaks_off_does_not_look_whole(front, platform):
    """The client's connection breaks too."""

    def half(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-type", b"text/plain")])
        exchange.write(b"half")
        platform.call(exchange.abort)

    platform.variants["shaky"].answer = half
    platform.variants["steady"].answer = half
    connection = front.open()
    connection.request("POST", "/tasks/faults", b"x")
    response = connection.getresponse()
    with pytest.raises((HTTPException, OSError)):
        response.read()
    connection.close()
