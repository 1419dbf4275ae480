"""The small rules of delivery: specs, durations, answers, destinations, hops, conditions."""

from datetime import UTC, datetime

import pytest

from warmfront.cloudevents import CloudEvent, Mode, encode, encode_batch
from warmfront.errors import InvalidEvent, InvalidRequest
from warmfront.runtime.eventing.answers import Refused, Taken, judge
from warmfront.runtime.eventing.attempt import with_error
from warmfront.runtime.eventing.delivery_spec import DEFAULT, DeliverySpec, parse_duration, read_delivery, retry_after_s
from warmfront.runtime.eventing.destinations import Target, resolve, route
from warmfront.runtime.eventing.journal import Failure
from warmfront.runtime.eventing.status import Fact, conditions
from warmfront.runtime.eventing.ttl import entering, reply_of

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
EVENT = CloudEvent(id="1", source="/s", type="t")


def test_the_default_is_ten_retries_in_205_seconds():
    """0.2 s doubling ten times, as config-br-defaults has it."""
    waits = [DEFAULT.wait_s(retry) for retry in range(DEFAULT.retries)]
    assert waits[:3] == [0.2, 0.4, 0.8]
    assert sum(waits) == pytest.approx(204.6)


@pytest.mark.parametrize(
    ("delivery", "waits"),
    [
        ({"backoffPolicy": "exponential", "backoffDelay": "PT1S"}, [1, 2, 4]),
        ({"backoffPolicy": "linear", "backoffDelay": "PT1S"}, [0, 1, 2]),
        ({"backoffDelay": "PT1S"}, [0, 0, 0]),
        ({"backoffPolicy": "exponential"}, [0, 0, 0]),
    ],
)
def test_waits_are_knatives(delivery, waits):
    """Retries count from 0; without policy or delay they follow at once."""
    spec = read_delivery({"delivery": delivery}, {})
    assert [spec.wait_s(retry) for retry in range(3)] == waits


def test_retry_after_wins_when_longer_up_to_its_bound():
    """The longer of back-off and header; `retry_after_max_s` cuts the header, 0 ignores it; never above a day."""
    spec = DeliverySpec(retries=1, exponential=True, delay_s=2)
    assert spec.wait_s(0, 5) == 5
    assert spec.wait_s(0, 1) == 2
    assert DeliverySpec(retry_after_max_s=3.0).wait_s(0, 5) == 3
    assert DeliverySpec(retry_after_max_s=0.0).wait_s(0, 5) == 0
    assert spec.wait_s(1000, 0) == 86_400


def test_a_delivery_replaces_the_brokers_as_a_whole_but_for_the_dead_letter_sink():
    """Trigger's, else Broker's, else default; the sink alone is looked up in both."""
    sink, other = {"uri": "http://a/"}, {"uri": "http://b/"}
    broker = {"delivery": {"retry": 5, "timeout": "PT1S", "deadLetterSink": sink}}
    assert read_delivery({}, {}) == DEFAULT
    assert read_delivery({}, broker) == DeliverySpec(retries=5, timeout_s=1.0, dead_letter_sink=sink)
    assert read_delivery({"delivery": {"retry": 1}}, broker) == DeliverySpec(retries=1, dead_letter_sink=sink)
    assert read_delivery({"delivery": {"deadLetterSink": other}}, broker).dead_letter_sink == other
    assert read_delivery({"delivery": {"format": "json"}}, {}).mode is Mode.STRUCTURED


@pytest.mark.parametrize(
    "delivery",
    [
        {"retry": -1},
        {"retry": True},
        {"retry": "3"},
        {"backoffPolicy": "sometimes"},
        {"backoffDelay": "1s"},
        {"backoffDelay": 1},
        {"timeout": "PT0S"},
        {"retryAfterMax": "P1Y"},
        {"format": "avro"},
        {"ordering": "strict"},
        ["retry"],
    ],
)
def test_a_wrong_delivery_names_the_field(delivery):
    """Unknown fields too: what would be ignored is an error."""
    with pytest.raises(InvalidRequest, match=f"delivery.*{next(iter(delivery))}"):
        read_delivery({"delivery": delivery}, {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT0.2S", 0.2), ("PT1M30S", 90), ("P1DT2H", 93600), ("PT0S", 0), ("PT1,5H", 5400), ("P2D", 172800)],
)
def test_durations(text, seconds):
    """ISO 8601 with days, hours, minutes and seconds."""
    assert parse_duration(text, "x") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "P", "PT", "1S", "PT-1S", "P1M", "PT1S1M", "P1DT", None])
def test_no_durations(text):
    """Months and years have no length; a T wants something after it."""
    with pytest.raises(InvalidRequest, match="x is"):
        parse_duration(text, "x")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        (b"", 0),
        (b"7", 7),
        (b"-7", 0),
        (b"soon", 0),
        (b"Tue, 24 Nov 2026 06:00:30 GMT", 30),
        (b"Tue, 24 Nov 2026 05:00:00 GMT", 0),
        (b"99999999999999999999", 999999999),
    ],
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    """What is neither, or past, asks for nothing."""
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "retry"),
    [
        *((status, False) for status in (300, 302, 400, 401, 410, 413, 422)),
        *((status, True) for status in (404, 408, 409, 429, 500, 502, 503, 504, 599)),
    ],
)
def test_what_is_tried_again(status, retry):
    """404, 408, 409, 429 and 5xx; nothing else."""
    verdict = judge(status, [], b"why", NOW)
    assert isinstance(verdict, Refused)
    assert (verdict.code, verdict.data, verdict.retry) == (status, b"why", retry)


def test_only_overload_may_ask_for_a_wait():
    """Retry-After counts with 429 and 503."""
    header = [(b"retry-after", b"9")]
    assert [judge(status, header, b"", NOW).retry_after_s for status in (429, 503, 500, 404)] == [9, 9, 0, 0]


def test_a_2xx_is_a_reply_empty_or_a_502():
    """A CloudEvent in either mode is a reply; anything else that is not empty is a failure, and tried again."""
    assert judge(202, [], b"", NOW) == Taken()
    assert judge(200, *encode(EVENT), NOW) == Taken(reply=EVENT)
    assert judge(200, *encode(EVENT, Mode.STRUCTURED), NOW) == Taken(reply=EVENT)
    for headers, body in (
        ([(b"content-type", b"text/plain")], b"OK"),
        ([(b"ce-id", b"1"), (b"ce-specversion", b"1.0")], b""),
        encode_batch([EVENT]),
    ):
        verdict = judge(200, headers, body, NOW)
        assert (verdict.code, verdict.retry) == (502, True)


def test_error_extensions_are_knatives():
    """Destination, code, and the answer's body as base64, at most 1,024 characters; else the reason."""
    event = with_error(EVENT, Failure(destination="http://x/", code=502, reason="no", data=b"a" * 5000))
    assert event.extensions["knativeerrordest"] == "http://x/"
    assert event.extensions["knativeerrorcode"] == "502"
    assert event.extensions["knativeerrordata"] == ("YWFh" * 256)
    assert with_error(EVENT, Failure(destination="", code=500, reason="no")).extensions["knativeerrordata"] == "bm8="


def lookup(kind: str, namespace: str, name: str) -> Target:
    """A world with one Service in it."""
    if (kind, namespace, name) == ("Service", "ns", "known"):
        return Target(url="http://known.ns.localhost:1/base")
    return Target(fault=f"no {kind} {name} in {namespace}")


KNOWN = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "known"}


@pytest.mark.parametrize(
    ("destination", "url"),
    [
        ({"ref": KNOWN}, "http://known.ns.localhost:1/base"),
        ({"ref": KNOWN, "uri": "/x?y=1"}, "http://known.ns.localhost:1/x?y=1"),
        ({"ref": {**KNOWN, "namespace": "ns"}, "uri": "sub"}, "http://known.ns.localhost:1/sub"),
        ({"uri": "http://a.example/b"}, "http://a.example/b"),
    ],
)
def test_destinations_that_lead_somewhere(destination, url):
    """A ref, a uri, or a path below a ref."""
    assert resolve(destination, "ns", lookup) == Target(url=url)


@pytest.mark.parametrize(
    ("destination", "fault"),
    [
        (None, "wanted a ref or a uri"),
        ({}, "wanted a ref or a uri"),
        ({"uri": "/path"}, "path together with a ref"),
        ({"uri": "https://a/"}, "https://a/"),
        ({"uri": "http://a:port/"}, "http://a:port/"),
        ({"uri": "http://a/ b"}, "percent-encode"),
        ({"ref": {**KNOWN, "name": "other"}}, "no Service other in ns"),
        ({"ref": {**KNOWN, "namespace": "far"}}, "no Service known in far"),
        ({"ref": {"apiVersion": "v1", "kind": "Service", "name": "x"}}, "ref names Service of v1"),
    ],
)
def test_destinations_that_lead_nowhere(destination, fault):
    """The fault says what was found and what to do."""
    target = resolve(destination, "ns", lookup)
    assert target.url == ""
    assert fault in target.fault


def test_a_route_is_origin_and_target():
    """The root is `/`, the query goes along, port 80 is understood."""
    origin, target = route("http://a.example")
    assert (origin.host, origin.port, target) == ("a.example", 80, "/")
    assert route("http://a.example:8080/b?c=d")[1] == "/b?c=d"


@pytest.mark.parametrize(
    ("given", "kept"),
    [(None, "255"), ("never", "255"), ("", "255"), ("9", "8"), ("2", "1"), ("1000000", "255")],
)
def test_hops_count_down(given, kept):
    """At first 255; one less at each entry; what is no integer counts as none."""
    extensions = {} if given is None else {"knativebrokerttl": given}
    event = CloudEvent(id="1", source="/s", type="t", extensions=extensions)
    assert entering(event).extensions["knativebrokerttl"] == kept


@pytest.mark.parametrize("given", ["1", "0", "-3"])
def test_the_last_hop_is_refused(given):
    """An event without hops left does not enter."""
    with pytest.raises(InvalidEvent, match="loop"):
        entering(CloudEvent(id="1", source="/s", type="t", extensions={"knativebrokerttl": given}))


def test_a_reply_has_one_hop_less_than_its_cause():
    """Whatever the subscriber says about it."""
    cause = CloudEvent(id="1", source="/s", type="t", extensions={"knativebrokerttl": "9"})
    boast = CloudEvent(id="2", source="/s", type="t", extensions={"knativebrokerttl": "200", "x": "y"})
    assert reply_of(cause, boast).extensions == {"knativebrokerttl": "8", "x": "y"}


def test_conditions_sum_up_and_keep_their_time():
    """Ready is the first fact that is false; a condition's time changes with its status only."""
    facts = {"B": Fact(), "A": Fact(true=False, reason="Gone", message="create it")}
    first = conditions(facts, {}, "t1")
    assert [c["type"] for c in first] == ["A", "B", "Ready"]
    assert first[2] == {
        "type": "Ready",
        "status": "False",
        "lastTransitionTime": "t1",
        "reason": "Gone",
        "message": "create it",
    }
    second = conditions({"B": Fact(), "A": Fact()}, {"conditions": first}, "t2")
    assert [(c["status"], c["lastTransitionTime"]) for c in second] == [("True", "t2"), ("True", "t1"), ("True", "t2")]
