"""From a Revision object to what the data plane runs."""

import copy

import pytest

from warmfront.errors import SetupError
from warmfront.runtime.workload import Probe, workload_of

REVISION = {
    "metadata": {
        "name": "echo-00001",
        "namespace": "default",
        "labels": {"serving.knative.dev/service": "echo", "serving.knative.dev/configuration": "echo"},
    },
    "spec": {
        "containerConcurrency": 4,
        "timeoutSeconds": 60,
        "serviceAccountName": "selector",
        "containers": [
            {
                "image": "dev.local/echo:v1",
                "env": [{"name": "A", "value": "1"}, {"name": "B"}],
                "readinessProbe": {"httpGet": {"path": "/readyz", "httpHeaders": [{"name": "X-A", "value": "b"}]}},
            }
        ],
    },
}


def revision(**container) -> dict:
    """A revision whose container has other fields."""
    made = copy.deepcopy(REVISION)
    made["spec"]["containers"][0] |= container
    return made


def test_every_field_arrives():
    """Names, limits, variables in order, the probe."""
    workload = workload_of(REVISION)
    assert (workload.namespace, workload.revision, workload.service) == ("default", "echo-00001", "echo")
    assert (workload.image, workload.concurrency, workload.service_account) == ("dev.local/echo:v1", 4, "selector")
    assert workload.env == (("A", "1"), ("B", ""))
    assert workload.probe == Probe(path="/readyz", headers=((b"x-a", b"b"),))
    assert (workload.timeout_s, workload.response_start_timeout_s) == (60.0, 60.0)


def test_defaults_are_knatives():
    """300 s, no concurrency limit, a TCP probe of one second."""
    bare = {**REVISION, "spec": {"containers": [{"image": "echo"}]}}
    workload = workload_of(bare)
    assert (workload.timeout_s, workload.concurrency, workload.env) == (300.0, 0, ())
    assert workload.probe == Probe(path="", initial_delay_s=0.0, timeout_s=1.0)


@pytest.mark.parametrize(
    ("probe", "service"), [({"grpc": {"port": 8080}}, ""), ({"grpc": {"service": "digits"}}, "digits"), ({}, None)]
)
def test_a_grpc_probe_asks_for_a_service(probe, service):
    """Of the server as a whole, of one service of it, or not at all: then a connection is enough."""
    assert workload_of(revision(readinessProbe=probe)).probe == Probe(service=service)


def test_a_port_named_h2c_is_spoken_to_by_http2():
    """Knative's rule; any other name is HTTP/1.1."""
    assert workload_of(revision(ports=[{"name": "h2c", "containerPort": 8080}])).h2c
    assert not workload_of(revision(ports=[{"name": "http1"}])).h2c
    assert not workload_of(REVISION).h2c


def test_the_first_byte_may_have_a_timeout_of_its_own_but_no_longer_one():
    """responseStartTimeoutSeconds is bounded by timeoutSeconds."""
    short = {**REVISION, "spec": {**REVISION["spec"], "responseStartTimeoutSeconds": 5}}
    long = {**REVISION, "spec": {**REVISION["spec"], "responseStartTimeoutSeconds": 500}}
    assert workload_of(short).response_start_timeout_s == 5.0
    assert workload_of(long).response_start_timeout_s == 60.0


@pytest.mark.parametrize(
    ("container", "what"),
    [
        ({"env": [{"name": "A", "valueFrom": {}}]}, "env A uses valueFrom"),
        ({"readinessProbe": {"exec": {"command": ["x"]}}}, r"readinessProbe\.exec"),
    ],
)
def test_what_a_local_process_cannot_have_is_named(container, what):
    """An error, never silence."""
    with pytest.raises(SetupError, match=what):
        workload_of(revision(**container))
