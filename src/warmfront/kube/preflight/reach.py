"""Whether a Service's URL can be used from here, and what to do when it cannot. Pure.

A URL fails for one of few reasons, and each has its own way out: no domain was ever configured, the name resolves
nowhere, it resolves to something else, or the ingress cannot be reached.
"""

from urllib.parse import urlsplit

from warmfront.kube.preflight.facts import Facts, Finding, Ingress, Reach, Status

_DNS, _URL, _INSIDE = "DNS of Services", "URL of Services", "cluster-local DNS"
_CLUSTER_LOCAL = ".svc.cluster.local"
_PLACEHOLDER = ".example.com"
_MAGIC = ("sslip.io", "nip.io", "xip.io")
_DEFAULT_DOMAIN = "https://github.com/knative/serving/releases/latest/download/serving-default-domain.yaml"


def findings(facts: Facts) -> list[Finding]:
    """DNS and reachability, by the one Service that was tried."""
    reach = facts.reach
    if reach is None:
        return [
            Finding(check=_DNS, status=Status.NA, found="no Service in the namespace has a URL yet; deploy one first")
        ]
    if facts.api is not None and facts.api.embedded:
        return [
            _embedded_dns(reach),
            _url(reach, facts.ingress),
            _na_inside("Services call each other at the same URLs"),
        ]
    return [_dns(reach, facts.ingress), _url(reach, facts.ingress), _inside(reach)]


def _dns(reach: Reach, ingress: Ingress) -> Finding:
    host = _host(reach)
    if reach.private:
        return Finding(
            check=_DNS, status=Status.NA, found=f"{reach.service} is cluster-local by its label: no name outside"
        )
    if host.endswith(_CLUSTER_LOCAL):
        return Finding(
            check=_DNS,
            status=Status.WARN,
            found=f"no domain is configured, so {host} exists only inside the cluster",
            remedy=three_ways(reach, ingress),
        )
    if reach.addresses:
        return _resolved(reach, ingress, host)
    hint = ""
    if host.endswith(_MAGIC):
        hint = (
            "Magic DNS is set up, but your resolver does not answer with it. Many refuse names that stand for private "
            "addresses (DNS rebinding protection) or have no way out; try `dig @1.1.1.1 " + host + "`.\n"
        )
    return Finding(
        check=_DNS,
        status=Status.WARN if reach.through else Status.FAIL,
        found=f"{host} does not resolve here ({reach.unresolved})"
        + (f", though the ingress at {reach.through} answers for it" if reach.through else ""),
        remedy=hint + three_ways(reach, ingress),
    )


def _resolved(reach: Reach, ingress: Ingress, host: str) -> Finding:
    known = {*ingress.external, *ingress.internal}
    listed = ", ".join(reach.addresses)
    if host.endswith(_PLACEHOLDER) and not reach.genuine:
        return Finding(
            check=_DNS,
            status=Status.FAIL,
            found=f"{host} resolves to {listed}, which is nobody's cluster: the domain is still Knative's placeholder",
            remedy=three_ways(reach, ingress),
        )
    if known.isdisjoint(reach.addresses) and not reach.genuine and reach.status is not None and known:
        return Finding(
            check=_DNS,
            status=Status.FAIL,
            found=f"{host} resolves to {listed}, but the ingress {ingress.service} is at {', '.join(sorted(known))}, "
            "and what answers there is not Knative",
            remedy="a wildcard record or a resolver that answers for every name is in the way.\n"
            + three_ways(reach, ingress),
        )
    return Finding(check=_DNS, status=Status.OK, found=f"{host} resolves to {listed}")


def _embedded_dns(reach: Reach) -> Finding:
    host = _host(reach)
    if reach.addresses:
        return Finding(check=_DNS, status=Status.OK, found=f"{host} resolves to {', '.join(reach.addresses)}")
    port = urlsplit(reach.url).port
    return Finding(
        check=_DNS,
        status=Status.WARN,
        found=f"{host} does not resolve here ({reach.unresolved}); curl and warmfront know *.localhost themselves",
        remedy=f"other programs reach it at http://127.0.0.1:{port} with the header Host: {host}",
    )


def _url(reach: Reach, ingress: Ingress) -> Finding:
    if reach.status is not None and (reach.genuine or reach.status < 400):
        return Finding(check=_URL, status=Status.OK, found=f"{reach.url} answers from here ({reach.status})")
    if reach.through:
        return Finding(
            check=_URL,
            status=Status.WARN,
            found=f"{reach.service} answers through the ingress at {reach.through}, not by its URL",
            remedy=f"until DNS is right: {_by_host(_host(reach), reach.through)}",
        )
    if reach.status is not None:
        return Finding(
            check=_URL,
            status=Status.FAIL,
            found=f"{reach.url} answered {reach.status}, and not as the selector does",
            remedy=f"see `kn service describe {reach.service}`; if the name leads elsewhere, mend DNS first",
        )
    if not reach.refused:
        return Finding(
            check=_URL, status=Status.NA, found="nothing to ask without waking a variant or resolving a name"
        )
    return Finding(
        check=_URL,
        status=Status.FAIL,
        found=f"{reach.url} resolves, but nothing answers ({reach.refused})",
        remedy=_way_in(ingress) + _by_host(_host(reach), "127.0.0.1:8080"),
    )


def _way_in(ingress: Ingress) -> str:
    if not ingress.service:
        return "see which Service is the ingress and whether this machine can reach it. "
    namespace, _, name = ingress.service.partition("/")
    return (
        f"the ingress {ingress.service} cannot be reached from this network. "
        f"Open it (a load balancer, a NodePort), or: kubectl port-forward -n {namespace} svc/{name} 8080:80, then "
    )


def _inside(reach: Reach) -> Finding:
    name = _local_name(reach)
    if reach.inside:
        return Finding(
            check=_INSIDE, status=Status.OK, found=f"{name} resolves to {', '.join(reach.inside)}: this is inside"
        )
    return _na_inside(
        f"{name} is visible inside the cluster only; the selector's own report below says whether it reaches variants"
    )


def _na_inside(found: str) -> Finding:
    return Finding(check=_INSIDE, status=Status.NA, found=found)


def _local_name(reach: Reach) -> str:
    name, namespace = reach.service.partition("/")[2], reach.service.partition("/")[0]
    return f"{name}.{namespace}{_CLUSTER_LOCAL}"


def three_ways(reach: Reach, ingress: Ingress) -> str:
    """The ways to reach a Service whose name does not resolve, exact enough to be typed."""
    host = _host(reach)
    place = next(iter(ingress.external), "")
    namespace, _, name = (ingress.service or "INGRESS-NAMESPACE/INGRESS-SERVICE").partition("/")
    magic = f"1. Magic DNS, names that contain the ingress' address: kubectl apply -f {_DEFAULT_DOMAIN}"
    if not place:
        magic += f" (needs {namespace}/{name} to have an external address, which it has not)"
    domain = ".".join(host.split(".")[2:])
    if not domain or host.endswith((_CLUSTER_LOCAL, _PLACEHOLDER)):
        domain = "knative.YOUR-DOMAIN"
        real = (
            f"2. Real DNS: kubectl patch configmap/config-domain -n knative-serving --type merge "
            f'-p \'{{"data":{{"{domain}":""}}}}\', and a wildcard record *.{domain}'
        )
    else:
        real = f"2. Real DNS: a wildcard record *.{domain}"
    real += f" that leads to {place or 'the address of the ingress'}"
    if place or reach.through:
        header = f"3. No DNS at all, the Host header: {_by_host(host, reach.through or place)}"
    else:
        header = (
            f"3. No DNS at all, the Host header: kubectl port-forward -n {namespace} svc/{name} 8080:80, "
            f"then {_by_host(host, '127.0.0.1:8080')}"
        )
    return "\n".join((magic, real, header))


def _by_host(host: str, place: str) -> str:
    return f"curl -H 'Host: {host}' http://{place}/readyz"


def _host(reach: Reach) -> str:
    return urlsplit(reach.url).hostname or ""
