"""Findings from facts. Pure: the same facts give the same findings.

Each check is a function of the facts to one finding or several, in the order in which they are told.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from warmfront.kube.preflight import reach
from warmfront.kube.preflight.facts import Access, Component, Facts, Finding, Status
from warmfront.kube.troubles import remedy

_SKEW_WARN_S, _SKEW_FAIL_S = 2.5, 30.0
_RUNTIME_SCALE = (1, 21)
_ZERO_SCALE = (
    "kubectl patch configmap/config-autoscaler -n knative-serving "
    '--type merge -p \'{"data":{"allow-zero-initial-scale":"true"}}\''
)
_EMBEDDED = "the embedded Knative of `warmfront up`"
_PROGRAMS = {
    "kn": "`warmfront deploy` drives it: get it from https://knative.dev/docs/client/install-kn, or set KN to it",
    "kubectl": "only for commands that remedies name; get it from https://kubernetes.io/docs/tasks/tools/",
}


def findings(facts: Facts) -> list[Finding]:
    """Everything that can be said of a cluster or of the embedded API server."""
    found = [*_programs(facts), _api(facts)]
    if facts.api is not None:
        for check in _CHECKS:
            found.extend(check(facts))
    return found


def _programs(facts: Facts) -> Iterable[Finding]:
    for program in facts.programs:
        if program.path and not program.error:
            yield Finding(check=program.name, status=Status.OK, found=f"{program.version} at {program.path}")
        elif program.path:
            yield Finding(
                check=program.name,
                status=Status.WARN,
                found=f"{program.path} does not tell its version: {program.error}",
                remedy=_PROGRAMS.get(program.name, ""),
            )
        else:
            needed = program.name == "kn" and facts.api is not None and not facts.api.embedded
            yield Finding(
                check=program.name,
                status=Status.FAIL if needed else Status.WARN,
                found="not found on PATH",
                remedy=_PROGRAMS.get(program.name, ""),
            )


def _api(facts: Facts) -> Finding:
    if facts.api is None:
        return Finding(
            check="API server",
            status=Status.FAIL if facts.error else Status.WARN,
            found=facts.error or "none yet: KUBECONFIG is not set and nothing runs here",
            remedy="point KUBECONFIG at a cluster, or run Knative here: warmfront up",
        )
    which = f", {_EMBEDDED}" if facts.api.embedded else ""
    return Finding(check="API server", status=Status.OK, found=f"{facts.api.version} at {facts.api.url}{which}")


def _clock(facts: Facts) -> Iterable[Finding]:
    assert facts.api is not None
    skew_s = facts.api.skew_s
    if facts.api.embedded:
        yield _na("clock", "the API server has this machine's clock")
    elif skew_s is None:
        yield _na("clock", "the API server's replies carry no date")
    else:
        late = abs(skew_s)
        status = Status.OK if late <= _SKEW_WARN_S else Status.WARN if late <= _SKEW_FAIL_S else Status.FAIL
        found = "agrees with the API server's to a second"
        if status is not Status.OK:
            found = f"is {late:.0f} s {'behind' if skew_s > 0 else 'ahead of'} the API server's"
        yield Finding(
            check="clock",
            status=status,
            found=found,
            remedy=""
            if status is Status.OK
            else "set it by NTP (timedatectl set-ntp true): absolute deadlines "
            "(deadlineat), leases and tokens depend on it",
        )


def _knative(facts: Facts) -> Iterable[Finding]:
    yield from _component("Knative Serving", facts, facts.serving, Status.FAIL)
    yield from _component("Knative Eventing", facts, facts.eventing, Status.WARN)


def _component(name: str, facts: Facts, component: Component, absent: Status) -> Iterable[Finding]:
    assert facts.api is not None
    if not component.present:
        without = "" if absent is Status.FAIL else "; HTTP works without it (kubectl apply -k knative/overlays/minimal)"
        yield Finding(
            check=name, status=absent, found="is not installed", remedy=f"https://knative.dev/docs/install/{without}"
        )
    elif facts.api.embedded:
        yield Finding(check=name, status=Status.OK, found="embedded")
    elif down := [name for name, up in (component.deployments or {}).items() if not up]:
        namespace = name.lower().replace(" ", "-")
        yield Finding(
            check=name,
            status=Status.FAIL,
            found=f"{component.version or 'some version'}, but not all of it runs: {', '.join(down)}",
            remedy=f"see kubectl get pods -n {namespace} and kubectl describe pod -n {namespace}",
        )
    else:
        version = re.match(r"v?(\d+)\.(\d+)", component.version)
        old = version is not None and (int(version[1]), int(version[2])) < _RUNTIME_SCALE
        seen = "" if component.deployments is not None else "; whether all of it runs may not be seen"
        yield Finding(
            check=name,
            status=Status.WARN if old and absent is Status.FAIL else Status.OK,
            found=f"{component.version or 'of unknown version'}{seen}",
            remedy="keeping variants warm needs 1.21 or newer" if old and absent is Status.FAIL else "",
        )


def _zero_scale(facts: Facts) -> Iterable[Finding]:
    check = "initial scale zero"
    assert facts.api is not None
    if facts.api.embedded:
        yield _na(check, "always allowed")
    elif facts.zero_scale is None:
        yield Finding(
            check=check,
            status=Status.WARN,
            found="whether it is allowed may not be read (ConfigMap config-autoscaler)",
            remedy=f"if Services with initial-scale 0 are refused: {_ZERO_SCALE}",
        )
    elif facts.zero_scale.lower() == "true":
        yield Finding(check=check, status=Status.OK, found="allowed")
    else:
        yield Finding(
            check=check,
            status=Status.FAIL,
            found="is not allowed, so Knative refuses the variants of knative/base",
            remedy=f"{_ZERO_SCALE} (or take the annotation initial-scale out: then each variant starts once)",
        )


def _ingress(facts: Facts) -> Iterable[Finding]:
    ingress = facts.ingress
    assert facts.api is not None
    if facts.api.embedded:
        yield _na("ingress", "built in")
        return
    if not ingress.kind:
        yield Finding(
            check="ingress",
            status=Status.WARN,
            found="its class may not be read (ConfigMap config-network)",
            remedy="ask who runs the cluster which address Services are reached at",
        )
        return
    place = ", ".join(ingress.external) or ", ".join(ingress.internal)
    if not ingress.service:
        yield Finding(check="ingress", status=Status.OK, found=f"{ingress.kind}; its Service is not known here")
    elif not place:
        yield Finding(
            check="ingress",
            status=Status.FAIL,
            found=f"{ingress.kind}, but its Service {ingress.service} has no address",
            remedy=f"kubectl describe svc -n {ingress.service.replace('/', ' ')}",
        )
    else:
        inside = "" if ingress.external else ", inside the cluster only"
        yield Finding(check="ingress", status=Status.OK, found=f"{ingress.kind}: {ingress.service} at {place}{inside}")


def _user(facts: Facts) -> Iterable[Finding]:
    yield _access(
        "your permissions",
        facts.user,
        "for all that deploy does",
        f"ask for a role in namespace {facts.namespace}, or let somebody who has it deploy the files of "
        "`warmfront deploy --target DIR`",
        facts,
    )


def _account(facts: Facts) -> Iterable[Finding]:
    check = "the selector's permissions"
    if facts.account_name:
        yield _access(
            check,
            facts.account,
            f"for ServiceAccount {facts.account_name}",
            f"kubectl apply -n {facts.namespace} -f knative/base/rbac.yaml (its RoleBinding must name this namespace; "
            "`warmfront deploy` sees to that). Without them the selector infers warmth from its own traffic",
            facts,
        )
    elif facts.api is not None and not facts.api.embedded:
        yield _na(check, f"no selector with a ServiceAccount in namespace {facts.namespace}")


def _access(check: str, access: Sequence[Access] | None, found: str, remedy_: str, facts: Facts) -> Finding:
    if facts.api is not None and facts.api.embedded:
        return _na(check, "whoever reads the kubeconfig may do everything")
    if access is None:
        return Finding(check=check, status=Status.WARN, found="may not be asked", remedy=f"if it fails: {remedy_}")
    missing: dict[str, list[str]] = {}
    for one in access:
        if not one.allowed:
            missing.setdefault(one.resource, []).append(one.verb)
    if not missing:
        return Finding(check=check, status=Status.OK, found=f"complete {found}")
    listed = "; ".join(f"{' '.join(verbs)} {resource}" for resource, verbs in missing.items())
    return Finding(check=check, status=Status.FAIL, found=f"missing {found}: {listed}", remedy=remedy_)


def _broker(facts: Facts) -> Iterable[Finding]:
    if not facts.eventing.present:
        return
    if facts.objects is not None and not any(one.kind == "Broker" for one in facts.objects):
        yield Finding(
            check="Broker",
            status=Status.WARN,
            found=f"none in namespace {facts.namespace}",
            remedy="warmfront deploy, or kn broker create default",
        )
    known, controller = facts.broker_class, _CONTROLLERS.get(facts.broker_class or "", "")
    deployments = facts.eventing.deployments
    if known and controller and deployments is not None and controller not in deployments:
        yield Finding(
            check="Broker class",
            status=Status.FAIL,
            found=f"{known} is the default, but its controller {controller} is not installed: no Broker gets Ready",
            remedy="install it (https://knative.dev/docs/eventing/brokers/broker-types/), or name another class: "
            "kn broker create --class",
        )
    elif known:
        yield Finding(check="Broker class", status=Status.OK, found=f"{known} by default")


def _objects(facts: Facts) -> Iterable[Finding]:
    if facts.objects is None:
        yield Finding(
            check="namespace",
            status=Status.WARN,
            found=f"Services of namespace {facts.namespace} may not be listed, so nothing is known of what is deployed",
            remedy="see your permissions above",
        )
    for one in facts.objects or ():
        label = f"{one.kind.lower()}/{one.name}"
        said = one.pods or one.message
        if one.ready and not one.pods:
            found = "can be reached" if one.kind != "Service" else "variant ready" if one.variant else "ready"
            yield Finding(check=label, status=Status.OK, found=found)
        else:
            yield Finding(
                check=label,
                status=Status.FAIL if one.ready is False or (one.pods and not one.ready) else Status.WARN,
                found=said or "not Ready yet",
                remedy=remedy(one.kind, facts.namespace, one.name, said),
            )


def _probes(facts: Facts) -> Iterable[Finding]:
    """A variant whose port opens before its model is loaded is sent requests too early, and seems to start fast."""
    for one in facts.objects or ():
        path = facts.readiness.get(one.protocol)
        if one.variant and not one.probed and path:
            yield Finding(
                check=f"readiness of {one.name}",
                status=Status.WARN,
                found="counts as ready as soon as its port opens, the model loaded or not",
                remedy=f"give its container readinessProbe: {{httpGet: {{path: {path.format(model=one.model)}}}}}",
            )


def _selector(facts: Facts) -> Iterable[Finding]:
    told = facts.selector
    if facts.objects is None:
        return
    if told is None:
        yield Finding(
            check="selector",
            status=Status.WARN,
            found=f"no Service `selector` in namespace {facts.namespace}",
            remedy="warmfront deploy, or name another namespace with -n",
        )
        return
    if told.error:
        yield Finding(
            check="selector",
            status=Status.WARN,
            found=f"could not be asked: {told.error}",
            remedy="its own report needs its URL to work from here; inside, GET /readyz",
        )
        return
    words = ", ".join(f"{name}: {word}" for name, word in told.words.items())
    watched = {name: word for name, word in told.words.items() if name in _WATCHED}
    trouble = [f"{name}: {word}" for name, word in watched.items() if word != "watching"]
    yield Finding(
        check="selector",
        status=Status.FAIL if not told.ready else Status.WARN if trouble else Status.OK,
        found=words or ("ready" if told.ready else "not ready"),
        remedy=""
        if told.ready and not trouble
        else f"kubectl logs -n {facts.namespace} -l "
        "serving.knative.dev/service=selector -c user-container; see also its permissions above",
    )


# Broker class -> the Deployment in knative-eventing that serves it
_CONTROLLERS = {"MTChannelBasedBroker": "mt-broker-controller", "Kafka": "kafka-controller"}
_WATCHED = frozenset({"services", "podautoscalers", "endpointslices"})
_CHECKS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    _clock,
    _knative,
    _zero_scale,
    _ingress,
    reach.findings,
    _user,
    _account,
    _broker,
    _objects,
    _probes,
    _selector,
)


def _na(check: str, found: str) -> Finding:
    return Finding(check=check, status=Status.NA, found=found)
