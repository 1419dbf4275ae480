"""Events on a real Knative: through Broker and Triggers to an answer, or to the dead-letter sink with the reason."""

import base64
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent

from .conftest import Cluster, ask, project, until
from .scenery import REQUEST, RESPONSE, about, by_name, dummy, fresh, measured, renamed, send, trigger

pytestmark = pytest.mark.cluster

VARIANTS = ("langid-cld2", "langid-fasttext")
BUSY = 2
"""How many requests the small selector takes at once."""


@pytest.fixture(scope="module")
def events(cluster: Cluster) -> Cluster:
    """The project as shipped, a consumer of answers, slow and failing variants, and a selector that is soon full."""
    objects = project(*VARIANTS)
    named = by_name(objects)
    broker = named["Broker", "default"]
    broker["spec"]["delivery"] |= {"retry": 2, "backoffDelay": "PT0.1S"}  # a minute of retries is not what is tested
    small = renamed(named["Service", "selector"], "small-selector")
    small["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "WARMFRONT_MAX_IN_FLIGHT", "value": str(BUSY)},
    ]
    small_broker = renamed(broker, "small")
    small_broker["spec"]["delivery"] |= {"retry": 8, "backoffDelay": "PT0.2S"}
    consumer = renamed(named["Service", "event-log"], "consumer")
    others = [
        consumer,
        small,
        small_broker,
        trigger("answers", "default", f"type = '{RESPONSE}'", "consumer"),
        trigger("small-requests", "small", f"type = '{REQUEST}'", "small-selector"),
        trigger("small-answers", "small", f"type = '{RESPONSE}'", "consumer"),
        dummy("slow", DUMMY_LATENCY_MS="700"),
        dummy("broken", DUMMY_FAILURE_RATE="1"),
    ]
    cluster.apply([*objects, *others])
    services = ["selector", "small-selector", "event-log", "consumer", "slow", "broken", *VARIANTS]
    triggers = ["inference-requests", "inference-without-task", "answers", "small-requests", "small-answers"]
    cluster.wait_ready(
        *(f"ksvc/{name}" for name in services), *(f"triggers.eventing.knative.dev/{name}" for name in triggers)
    )
    return cluster


def _answer(events: Cluster, id_: str) -> dict[str, str]:
    """The answer that came back through the Broker to the consumer."""
    (answer,) = until(f"answer to {id_}", lambda: about(events.logged("consumer"), causationid=id_))
    return answer


def _letter(events: Cluster, id_: str) -> dict[str, str]:
    """The dead letter, which is there once."""
    (letter,) = until(f"dead letter {id_}", lambda: about(events.logged("event-log"), id=id_))
    return letter


def test_curl_is_enough_as_a_producer(events: Cluster) -> None:
    """From curl through Broker, selector, sleeping variant and the Broker again to a second Trigger's consumer."""
    id_ = fresh()
    attributes = {"specversion": "1.0", "id": id_, "source": "/curl", "type": REQUEST, "subject": "langid"}
    headers = [word for name, value in attributes.items() for word in ("-H", f"Ce-{name}: {value}")]
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: text/plain", *headers]
    sent = subprocess.run(
        [*command, "-d", "Guten Morgen, wo ist der Bahnhof?", events.broker()], capture_output=True, check=True
    )
    assert sent.stdout == b"202"
    answer = _answer(events, id_)
    assert (answer["type"], answer["subject"], answer["correlationid"]) == (RESPONSE, "langid", id_)
    assert json.loads(answer["data"])["label"] == "de"
    assert answer["variant"] in VARIANTS
    assert answer["revision"].startswith(answer["variant"])


@pytest.mark.parametrize("write", [to_binary, to_structured], ids=["binary", "structured"])
def test_cloudevents_sdk_as_a_producer(events: Cluster, write: Any) -> None:
    """The published SDK's events are answered in both modes; its JSON data is the text."""
    event = CloudEvent({"type": REQUEST, "source": "/sdk", "subject": "langid"}, "Où est la gare, s'il vous plaît ?")
    event["datacontenttype"] = "application/json"
    headers, body = write(event)
    assert ask(events.broker(), body, dict(headers)).status == 202
    assert json.loads(_answer(events, event["id"])["data"])["label"] == "fr"


def test_what_cannot_succeed_is_a_dead_letter_at_once(events: Cluster) -> None:
    """Unknown task (422) and malformed deadline (400) are not retried; the letter says who answered what, and why."""
    unknown, malformed = fresh(), fresh()
    assert send(events.broker(), unknown, "no-such-task").status == 202
    assert send(events.broker(), malformed, "langid", deadlinems="soon").status == 202
    for id_, code, word in ((unknown, "422", "no-such-task"), (malformed, "400", "soon")):
        letter = _letter(events, id_)
        assert letter["knativeerrorcode"] == code
        assert "selector" in letter["knativeerrordest"]
        assert word in base64.b64decode(letter["knativeerrordata"]).decode()
        assert letter["data"] == "Wo ist der Bahnhof, bitte?"


def test_request_without_a_task_is_not_lost(events: Cluster) -> None:
    """No selector is asked about a request that names no task: it goes to the log by a filter of its own."""
    id_ = fresh()
    assert send(events.broker(), id_, None).status == 202
    assert "knativeerrorcode" not in _letter(events, id_)


def test_failing_variant_ends_in_a_dead_letter_after_the_retries(events: Cluster) -> None:
    """A failing variant makes the selector answer 502; the Broker tries again, then gives up with that code."""
    id_ = fresh()
    before = measured(events, "warmfront_requests_total", variant="broken")
    assert send(events.broker(), id_, "broken").status == 202
    assert _letter(events, id_)["knativeerrorcode"] == "502"
    assert measured(events, "warmfront_requests_total", variant="broken") >= before + 3


def test_overload_is_told_with_a_time_to_come_back(events: Cluster) -> None:
    """Beyond its bound the selector answers 429 or 503 with Retry-After, at once, and goes on with what it took."""
    ask(f"{events.inside('small-selector')}/tasks/slow", b"wake up")
    with ThreadPoolExecutor(12) as clients:
        url = f"{events.inside('small-selector')}/tasks/slow"
        replies = list(clients.map(lambda n: ask(url, str(n).encode()), range(12)))
    taken = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status in (429, 503)]
    assert len(taken) + len(refused) == 12
    assert len(taken) >= BUSY
    assert refused
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert all(reply.headers["content-type"] == "application/problem+json" for reply in refused)


def test_overload_loses_no_event(events: Cluster) -> None:
    """Twelve events at once for a selector that takes two: the Broker retries until all are answered."""
    ids = [fresh() for _ in range(12)]
    broker = events.broker("small")
    with ThreadPoolExecutor(12) as producers:
        statuses = list(producers.map(lambda id_: send(broker, id_, "slow").status, ids))
    assert statuses == [202] * 12
    answered = until("twelve answers", lambda: (found := _causes(events)) >= set(ids) and found, timeout_s=90)
    assert set(ids) <= answered
    assert about(events.logged("event-log"), subject="slow") == []


def _causes(events: Cluster) -> set[str]:
    return {line.get("causationid", "") for line in events.logged("consumer")}
