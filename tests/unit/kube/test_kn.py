"""What kn is called with: as much as it can express, and nothing that would be lost on the way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from warmfront.errors import SetupError
from warmfront.kube import kn
from warmfront.kube.kn import Command, Kn
from warmfront.kube.resources import BROKERS, CONFIGMAPS, SERVICES, TRIGGERS

SINK = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "log"}}


def broker(**spec: Any) -> dict[str, Any]:
    """A Broker named default."""
    return {"metadata": {"name": "default"}, "spec": spec}


def trigger(**spec: Any) -> dict[str, Any]:
    """A Trigger of the Broker `default` to the Service `log`."""
    return {"metadata": {"name": "t"}, "spec": {"broker": "default", "subscriber": SINK, **spec}}


def test_service_from_its_file_or_from_standard_input() -> None:
    """A file that holds the very object is named; another object is handed over, in words that can be typed."""
    service = {"metadata": {"name": "a"}, "spec": {"template": {}}}
    named = kn.apply_service(service, "ns", source=Path("knative/a.yaml"), label="x=true")
    assert named.shell == "kn service apply a -n ns -f knative/a.yaml --no-wait --label-service x=true"
    given = kn.apply_service(service, "ns", source=None, label="")
    assert given.shell.startswith("kn service apply a -n ns -f /dev/stdin --no-wait <<'END'\nmetadata:\n  name: a\n")
    assert given.shell.endswith("\nEND")


def test_broker_with_delivery_and_dead_letters() -> None:
    """Everything of a delivery policy has an option, the class too."""
    delivery = {"retry": 8, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S", "timeout": "PT60S"}
    made = broker(delivery={**delivery, "deadLetterSink": SINK})
    made["metadata"]["annotations"] = {"eventing.knative.dev/broker.class": "Kafka"}
    command = kn.create_broker(made, "ns")
    assert command is not None
    assert command.shell == (
        "kn broker create default -n ns --class Kafka --dl-sink ksvc:log --retry 8 --backoff-policy exponential "
        "--backoff-delay PT0.2S --timeout PT60S"
    )


@pytest.mark.parametrize(
    "made",
    [
        broker(config={"kind": "ConfigMap"}),
        broker(delivery={"deadLetterSink": {"ref": {"apiVersion": "v1", "kind": "Pod", "name": "x"}}}),
        broker(delivery={"format": "json"}),
        {"metadata": {"name": "default", "labels": {"a": "b"}}, "spec": {}},
    ],
)
def test_broker_that_kn_cannot_say(made: dict[str, Any]) -> None:
    """None, so that it goes to the API whole, rather than a Broker with something missing."""
    assert kn.create_broker(made, "ns") is None


def test_trigger_with_exact_filters() -> None:
    """Attributes become filters, the subscriber a sink."""
    command = kn.create_trigger(trigger(filter={"attributes": {"type": "a.b", "subject": "c"}}), "ns")
    assert command is not None
    assert command.shell == (
        "kn trigger create t -n ns --broker default --sink ksvc:log --filter type=a.b --filter subject=c"
    )


@pytest.mark.parametrize(
    "made",
    [
        trigger(filters=[{"cesql": "EXISTS subject"}]),
        trigger(filter={"attributes": {"type": "a,b"}}),
        trigger(delivery={"retry": 1}),
        trigger(subscriber={"ref": SINK["ref"], "uri": "/path"}),
        {
            "metadata": {"name": "t", "annotations": {"warmfront.dev/default-deadline-ms": "5"}},
            "spec": trigger()["spec"],
        },
    ],
)
def test_trigger_that_kn_cannot_say(made: dict[str, Any]) -> None:
    """CESQL, a comma (kn would split it), delivery, paths, annotations: all by the API."""
    assert kn.create_trigger(made, "ns") is None


def test_sinks() -> None:
    """A URI, a Kubernetes Service, a Broker and another namespace all have their word."""
    for subscriber, word in (
        ({"uri": "http://x/"}, "http://x/"),
        ({"ref": {"apiVersion": "v1", "kind": "Service", "name": "s", "namespace": "o"}}, "svc:s:o"),
        ({"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"}}, "broker:b"),
    ):
        command = kn.create_trigger(trigger(subscriber=subscriber), "ns")
        assert command is not None
        assert command.argv[command.argv.index("--sink") + 1] == word


def test_deletion() -> None:
    """Services, Brokers and Triggers; other kinds are not kn's."""
    for resource, words in (
        (SERVICES, "kn service delete a -n ns"),
        (BROKERS, "kn broker delete a -n ns"),
        (TRIGGERS, "kn trigger delete a -n ns"),
    ):
        command = kn.delete(resource, "ns", "a")
        assert command is not None
        assert command.shell == words
    assert kn.delete(CONFIGMAPS, "ns", "a") is None


def program(folder: Path, script: str) -> Path:
    """A program that stands for kn."""
    file = folder / "kn"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_finding_kn(tmp_path: Path) -> None:
    """KN wins over PATH; neither is an error that says where to get it."""
    found = program(tmp_path, "exit 0")
    assert Kn.find({"PATH": str(tmp_path)}).binary == str(found)
    assert Kn.find({"PATH": "/nowhere", "KN": str(found)}).binary == str(found)
    with pytest.raises(SetupError, match="not on PATH; get it from"):
        Kn.find({"PATH": "/nowhere"})
    with pytest.raises(SetupError, match="KN names 'nosuch'"):
        Kn.find({"PATH": str(tmp_path), "KN": "nosuch"})


def test_kn_reads_standard_input_as_a_file_and_its_complaint_is_ours(tmp_path: Path) -> None:
    """/dev/stdin can be opened by the program; a failure carries kn's sentence without its decoration."""
    reads = Kn(str(program(tmp_path, "cat /dev/stdin")), {"PATH": "/usr/bin:/bin"})
    assert asyncio.run(reads.run(Command(argv=("kn",), stdin="hello"))) == "hello"
    fails = Kn(str(program(tmp_path, "echo 'Error: no such thing\nRun '\\''kn --help'\\'' for usage' >&2; exit 1")), {})
    with pytest.raises(SetupError) as raised:
        asyncio.run(fails.run(Command(argv=("kn", "service", "list"))))
    assert str(raised.value) == "no such thing"
