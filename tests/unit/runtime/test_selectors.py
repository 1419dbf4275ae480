"""Label and field selectors against objects."""

import pytest

from warmfront.errors import InvalidRequest
from warmfront.runtime.addresses import Addresses, parse_host
from warmfront.runtime.selectors import field_selector, label_selector

OBJECT = {"metadata": {"name": "a", "namespace": "n", "labels": {"app": "web", "tier": "front", "example.com/x": ""}}}
BARE = {"metadata": {"name": "b", "namespace": "n"}}


@pytest.mark.parametrize(
    ("selector", "labelled", "bare"),
    [
        ("app=web", True, False),
        ("app==web", True, False),
        ("app = web", True, False),
        ("app=db", False, False),
        ("app!=web", False, True),
        ("app!=db", True, True),
        ("app", True, False),
        ("!app", False, True),
        ("app in (db, web)", True, False),
        ("app notin (db,web)", False, True),
        ("app in (db)", False, False),
        ("app=web,tier=front", True, False),
        ("app in (db,web),tier!=back,!other", True, False),
        ("app=web,tier=back", False, False),
        ("example.com/x=", True, False),
    ],
)
def test_label_selectors(selector: str, labelled: bool, bare: bool) -> None:
    """Each form selects as in Kubernetes; negative forms also select objects without the label."""
    selects = label_selector(selector)
    assert selects is not None
    assert (selects(OBJECT), selects(BARE)) == (labelled, bare)


def test_an_empty_selector_selects_everything() -> None:
    """No requirement means no predicate."""
    assert label_selector("") is None
    assert field_selector(" ") is None


@pytest.mark.parametrize("selector", ["a>1", "a in b", "=x", "a=b,", "a in (b", "a=b c"])
def test_a_label_selector_that_cannot_be_read_is_named(selector: str) -> None:
    """Half a requirement is an error that shows the forms there are."""
    with pytest.raises(InvalidRequest, match="KEY notin"):
        label_selector(selector)


def test_field_selectors_know_name_and_namespace_only() -> None:
    """Those two with = and !=, as for custom resources; anything else is refused."""
    by_name = field_selector("metadata.name=a,metadata.namespace!=m")
    assert by_name is not None
    assert (by_name(OBJECT), by_name(BARE)) == (True, False)
    with pytest.raises(InvalidRequest, match=r"spec\.x"):
        field_selector("spec.x=1")


def test_addresses_and_hosts_are_inverse() -> None:
    """The host of a Service's URL leads back to its namespace and name; other hosts lead nowhere."""
    addresses = Addresses(port=8080)
    assert addresses.service("default", "hello") == "http://hello.default.localhost:8080"
    assert addresses.tagged("default", "hello", "old") == "http://old-hello.default.localhost:8080"
    broker = addresses.broker("default", "events")
    assert broker == "http://broker-ingress.knative-eventing.localhost:8080/default/events"
    assert parse_host("hello.default.localhost:8080") == ("default", "hello")
    assert parse_host("Hello.Default.localhost.") == ("default", "hello")
    assert [parse_host(host) for host in ("localhost:1", "a.b.c.localhost", "a.b.example")] == [None, None, None]
