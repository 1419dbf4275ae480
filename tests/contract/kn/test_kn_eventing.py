"""Brokers and Triggers by the stock kn, unchanged."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.kn

Kn = Callable[..., Any]

IMAGE = "dev.local/dummy-model-fn:v1"


def test_a_broker_is_created_listed_described_and_deleted(kn: Kn) -> None:
    """The whole life of a Broker, with its address."""
    assert "successfully created" in kn("broker", "create", "default").out
    row = kn("broker", "list").out.splitlines()[1].split()
    assert row[0] == "default"
    assert row[1].endswith("/default/default")
    described = kn("broker", "describe", "default").out
    assert "http://broker-ingress.knative-eventing.localhost" in described
    assert "++ Ready" in described
    assert "successfully deleted" in kn("broker", "delete", "default").out
    assert "No brokers found" in kn("broker", "list").out
    assert kn("broker", "delete", "default", ok=False).code == 1


def test_a_broker_takes_its_delivery(kn: Kn) -> None:
    """The delivery flags arrive; a wrong one is refused with the rule."""
    kn("broker", "create", "slow", "--retry", "3", "--backoff-policy", "linear", "--backoff-delay", "PT1S",
       "--dl-sink", "http://dead.example/")  # fmt: skip
    delivery = kn("broker", "describe", "slow", "-o", "json").json["spec"]["delivery"]
    assert (delivery["retry"], delivery["backoffPolicy"], delivery["backoffDelay"]) == (3, "linear", "PT1S")
    assert delivery["deadLetterSink"]["uri"] == "http://dead.example/"
    result = kn("broker", "create", "wrong", "--backoff-delay", "5s", ok=False)
    assert (result.code, "ISO 8601" in result.err) == (1, True)


def test_a_trigger_to_a_service_is_created_listed_described_updated_and_deleted(kn: Kn) -> None:
    """The sink by name of a Service, a filter, and the whole life of the Trigger."""
    kn("broker", "create", "default")
    kn("service", "create", "selector", "--image", IMAGE)
    kn("trigger", "create", "requests", "--broker", "default", "--filter", "type=dev.warmfront.inference.request",
       "--sink", "ksvc:selector")  # fmt: skip
    row = kn("trigger", "list").out.splitlines()[1].split()
    assert row[:3] == ["requests", "default", "ksvc:selector"]
    described = kn("trigger", "describe", "requests").out
    for part in ("dev.warmfront.inference.request", "Service (serving.knative.dev/v1)", "selector", "++ Ready"):
        assert part in described
    kn("trigger", "update", "requests", "--filter", "type=other")
    spec = kn("trigger", "describe", "requests", "-o", "json").json["spec"]
    assert spec["filter"]["attributes"] == {"type": "other"}
    assert spec["subscriber"]["ref"]["namespace"] == "default"
    assert "deleted" in kn("trigger", "delete", "requests").out
    assert "No triggers found" in kn("trigger", "list").out


def test_a_trigger_to_a_url_and_to_another_broker(kn: Kn) -> None:
    """A sink may be a URL or a Broker."""
    kn("broker", "create", "default")
    kn("broker", "create", "other")
    kn("trigger", "create", "out", "--sink", "http://sink.example/path")
    kn("trigger", "create", "over", "--sink", "broker:other")
    sinks = {line.split()[0]: line.split()[2] for line in kn("trigger", "list").out.splitlines()[1:]}
    assert sinks == {"out": "http://sink.example/path", "over": "broker:other"}


def test_a_trigger_to_a_service_that_is_not_there_is_refused(kn: Kn) -> None:
    """kn looks the Service up and reports that there is none."""
    result = kn("trigger", "create", "lost", "--sink", "ksvc:nope", ok=False)
    assert (result.code, '"nope" not found' in result.err) == (1, True)
