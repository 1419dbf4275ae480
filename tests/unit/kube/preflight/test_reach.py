"""DNS: every way in which a Service's name can fail is told apart, and each remedy can be typed."""

from dataclasses import replace

import pytest

from warmfront.kube.preflight.facts import Api, Facts, Finding, Ingress, Reach, Status
from warmfront.kube.preflight.reach import findings, three_ways

OUTSIDE = Ingress(kind="kourier", service="kourier-system/kourier", external=("203.0.113.7",), internal=("10.96.0.80",))
INSIDE_ONLY = replace(OUTSIDE, external=())
WORKS = Reach(
    service="ns/selector",
    url="http://selector.ns.kn.example.net",
    addresses=("203.0.113.7",),
    status=200,
    genuine=True,
)
API = Api(url="https://10.0.0.2:6443", version="v1.35.4", embedded=False)


def judged(reach: Reach | None, ingress: Ingress = OUTSIDE, api: Api = API) -> dict[str, Finding]:
    """Findings by their check."""
    facts = Facts(namespace="ns", programs=(), api=api, reach=reach, ingress=ingress)
    return {finding.check: finding for finding in findings(facts)}


def failing(**fields: object) -> Reach:
    """A Service whose name does not resolve, with these differences."""
    nothing: dict[str, object] = {"addresses": (), "unresolved": "Name or service not known", "status": None}
    return replace(WORKS, **{**nothing, "genuine": False, **fields})


def test_a_url_that_works() -> None:
    """Resolved and answered by the selector: ok twice, and the cluster's own DNS is said to be out of sight."""
    found = judged(WORKS)
    assert found["DNS of Services"].status is Status.OK
    assert found["URL of Services"].status is Status.OK
    assert found["cluster-local DNS"].status is Status.NA
    assert "inside the cluster only" in found["cluster-local DNS"].found


def test_a_name_that_resolves_nowhere_gets_three_ways() -> None:
    """Magic DNS, real DNS and the Host header through the ingress' address, each as a command or record to make."""
    found = judged(failing())["DNS of Services"]
    assert found.status is Status.FAIL
    magic, real, header = found.remedy.splitlines()
    assert "kubectl apply -f https://github.com/knative/serving/" in magic
    assert real == "2. Real DNS: a wildcard record *.kn.example.net that leads to 203.0.113.7"
    assert header.endswith("curl -H 'Host: selector.ns.kn.example.net' http://203.0.113.7/readyz")


def test_real_dns_names_the_domain_that_is_set() -> None:
    """With a domain of one's own only the wildcard record is missing; without, the command that sets it comes first."""
    own = replace(failing(), url="http://selector.ns.kn.acme.io")
    assert "a wildcard record *.kn.acme.io that leads to 203.0.113.7" in three_ways(own, OUTSIDE)
    assert "config-domain" not in three_ways(own, OUTSIDE)
    assert "configmap/config-domain" in three_ways(replace(own, url="http://selector.ns.example.com"), OUTSIDE)


def test_an_ingress_without_an_external_address_is_forwarded() -> None:
    """Then Magic DNS cannot work either, which is said, and the Host header goes through a forwarded port."""
    text = judged(failing(), INSIDE_ONLY)["DNS of Services"].remedy
    assert "needs kourier-system/kourier to have an external address" in text
    assert "kubectl port-forward -n kourier-system svc/kourier 8080:80" in text
    assert "http://127.0.0.1:8080/readyz" in text


def test_an_answer_through_the_ingress_makes_it_a_warning() -> None:
    """DNS is broken but the cluster is not: the very request that worked is the remedy."""
    found = judged(failing(through="203.0.113.7"))
    assert found["DNS of Services"].status is Status.WARN
    assert found["URL of Services"].status is Status.WARN
    assert "curl -H 'Host: selector.ns.kn.example.net' http://203.0.113.7/readyz" in found["URL of Services"].remedy


def test_magic_dns_that_the_resolver_refuses() -> None:
    """sslip.io names of private addresses are dropped by many resolvers: that reason comes first."""
    found = judged(replace(failing(), url="http://selector.ns.192.168.1.9.sslip.io"))["DNS of Services"]
    assert "rebinding" in found.remedy.splitlines()[0]
    assert len(found.remedy.splitlines()) == 4


def test_no_domain_was_ever_configured() -> None:
    """Knative's default domain exists inside only: not a failure of DNS, but nothing outside will find it."""
    found = judged(replace(failing(), url="http://selector.ns.svc.cluster.local"))["DNS of Services"]
    assert found.status is Status.WARN
    assert "no domain is configured" in found.found
    assert "config-domain" in found.remedy


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://selector.ns.example.com", "placeholder"),
        ("http://selector.ns.kn.acme.io", "what answers there is not Knative"),
    ],
)
def test_a_name_that_leads_elsewhere(url: str, said: str) -> None:
    """Resolving is not enough: the placeholder domain and a catch-all resolver both answer, and not as a selector."""
    found = judged(replace(WORKS, url=url, addresses=("198.51.100.1",), status=404, genuine=False))
    assert found["DNS of Services"].status is Status.FAIL
    assert said in found["DNS of Services"].found


def test_the_right_address_that_cannot_be_reached() -> None:
    """DNS is fine, the network is not: the remedy is about the ingress."""
    found = judged(failing(addresses=("203.0.113.7",), unresolved="", refused="connect timed out"))
    assert found["DNS of Services"].status is Status.OK
    assert found["URL of Services"].status is Status.FAIL
    assert "port-forward" in found["URL of Services"].remedy


def test_a_private_service_and_none_at_all() -> None:
    """What has no name outside by choice, or no URL yet, is no trouble."""
    assert judged(failing(private=True))["DNS of Services"].status is Status.NA
    assert judged(None)["DNS of Services"].status is Status.NA


def test_from_inside_the_cluster() -> None:
    """Where cluster-local names resolve, that is said."""
    assert "this is inside" in judged(replace(WORKS, inside=("10.96.6.129",)))["cluster-local DNS"].found


def test_embedded_names() -> None:
    """*.localhost that this machine's resolver does not know is a hint, with what other programs use."""
    embedded = replace(API, embedded=True)
    found = judged(failing(url="http://selector.ns.localhost:8080", status=200, genuine=True), api=embedded)
    assert found["DNS of Services"].status is Status.WARN
    assert "http://127.0.0.1:8080 with the header Host: selector.ns.localhost" in found["DNS of Services"].remedy
    assert found["URL of Services"].status is Status.OK
