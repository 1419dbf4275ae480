"""Asks the cluster for facts. Whatever may not be read or is not there becomes a fact too, never an error.

What must not: judging what is found (checks.py).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import yaml

from warmfront.errors import InvalidRequest, Unauthorized, WarmfrontError
from warmfront.kube.client import KubeClient
from warmfront.kube.deployment import KINDS
from warmfront.kube.manifests import TASK_LABEL, name_of, variant_of
from warmfront.kube.preflight import network
from warmfront.kube.preflight.facts import Access, Api, Component, Facts, Ingress, Program, Standing
from warmfront.kube.resources import (
    BROKERS,
    CONFIGMAPS,
    ENDPOINTSLICES,
    LEASES,
    PODAUTOSCALERS,
    REVISIONS,
    SERVICES,
    TRIGGERS,
    Json,
    Resource,
    labels_of,
)
from warmfront.kube.troubles import of_pods, standing
from warmfront.wire.messages import Response
from warmfront.wire.pool import Pool

_SELECTOR = "selector"
_SERVING, _EVENTING = "knative-serving", "knative-eventing"
_DEPLOYMENTS = Resource(group="apps", version="v1", plural="deployments", kind="Deployment")
_PODS = Resource(group="", version="v1", plural="pods", kind="Pod")
_NAMESPACES = Resource(group="", version="v1", plural="namespaces", kind="Namespace", has_status=False)
_CORE_SERVICES = Resource(group="", version="v1", plural="services", kind="Service")
_REVIEWS = "/apis/authorization.k8s.io/v1"
_VERSION_LABEL = "app.kubernetes.io/version"

# ingress class, without .ingress.networking.knative.dev -> where its Service is when installed by the book
_INGRESSES = {
    "kourier": "kourier-system/kourier",
    "istio": "istio-system/istio-ingressgateway",
    "contour": "contour-external/envoy",
}
# what the selector's ServiceAccount needs (knative/base/rbac.yaml): kind, name, verbs
_NEEDED: tuple[tuple[Resource, str, tuple[str, ...]], ...] = (
    (SERVICES, "", ("get", "list", "watch")),
    (REVISIONS, "", ("get", "list", "watch")),
    (PODAUTOSCALERS, "", ("list", "watch")),
    (ENDPOINTSLICES, "", ("list", "watch")),
    (LEASES, "warmfront-selector", ("get", "patch")),
    (CONFIGMAPS, "warmfront-learned", ("get", "patch")),
)


async def gather(client: KubeClient, pool: Pool, namespace: str, programs: Sequence[Program]) -> Facts:
    """All facts of a cluster and a namespace, as seen from this machine and with these credentials."""
    try:
        api = await _api(client)
    except WarmfrontError as error:
        where = client.connection.origin.authority
        return Facts(namespace=namespace, programs=tuple(programs), error=f"{where} does not answer: {error}")
    asker = _Asker(client, namespace)
    serving, eventing = await asyncio.gather(
        asker.component(SERVICES, _SERVING, api), asker.component(BROKERS, _EVENTING, api)
    )
    services = await asker.list(SERVICES)
    ingress = Ingress() if api.embedded else await asker.ingress()
    reach, told = await network.try_services(pool, services or [], ingress)
    account = _account_name(services or [])
    return Facts(
        namespace=namespace,
        programs=tuple(programs),
        api=api,
        serving=serving,
        eventing=eventing,
        zero_scale=None if api.embedded else await asker.zero_scale(),
        broker_class=None if api.embedded else await asker.broker_class(),
        ingress=ingress,
        reach=reach,
        user=() if api.embedded else await asker.user(),
        account_name="" if api.embedded else account,
        account=() if api.embedded or not account else await asker.account(account),
        objects=None if services is None else await asker.objects(services),
        selector=told,
    )


async def _api(client: KubeClient) -> Api:
    before = time.time()
    response = await client.ask("GET", "/version")
    here = (before + time.time()) / 2
    if response.status >= 400:
        raise Unauthorized(f"it answered {response.status}: renew the credentials of the kubeconfig")
    said = msgspec.json.decode(response.body)
    url = f"{'https' if client.connection.origin.tls else 'http'}://{client.connection.origin.authority}"
    return Api(
        url=url,
        version=str(said.get("gitVersion", "of unknown version")),
        embedded=said.get("platform") == "embedded",
        skew_s=_skew(response, here),
    )


def _skew(response: Response, here: float) -> float | None:
    date = response.header(b"date")
    if date is None:
        return None
    try:
        there = parsedate_to_datetime(date.decode("latin-1")).timestamp()
    except ValueError:
        return None
    return there + 0.5 - here  # a Date is cut to whole seconds


def _account_name(services: Sequence[Json]) -> str:
    for service in services:
        if service["metadata"]["name"] == _SELECTOR:
            return str(service["spec"].get("template", {}).get("spec", {}).get("serviceAccountName", ""))
    return ""


class _Asker:
    """Questions to one API server about one namespace; None where the answer is no permission or no such thing."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def list(self, resource: Resource, namespace: str | None = None, labels: str = "") -> list[Json] | None:
        try:
            return (await self._client.list(resource, namespace or self._namespace, labels=labels))[0]
        except WarmfrontError:
            return None

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        try:
            return await self._client.get(resource, namespace, name)
        except WarmfrontError:
            return None

    async def component(self, resource: Resource, namespace: str, api: Api) -> Component:
        served = await self._client.ask("GET", f"/apis/{resource.api_version}")
        names = {one["name"] for one in msgspec.json.decode(served.body)["resources"]} if served.status < 400 else set()
        if resource.plural not in names or api.embedded:
            return Component(present=resource.plural in names)
        place = await self.get(_NAMESPACES, None, namespace)
        deployments = await self.list(_DEPLOYMENTS, namespace)
        labelled = [*([place] if place else []), *(deployments or [])]
        version = next((labels_of(o)[_VERSION_LABEL] for o in labelled if _VERSION_LABEL in labels_of(o)), "")
        up = None if deployments is None else {o["metadata"]["name"]: _is_up(o) for o in deployments}
        return Component(present=True, version=version, deployments=up)

    async def _setting(self, namespace: str, name: str) -> Mapping[str, str] | None:
        found = await self.get(CONFIGMAPS, namespace, name)
        return None if found is None else found.get("data") or {}

    async def zero_scale(self) -> str | None:
        data = await self._setting(_SERVING, "config-autoscaler")
        return None if data is None else data.get("allow-zero-initial-scale", "false")

    async def broker_class(self) -> str | None:
        data = await self._setting(_EVENTING, "config-br-defaults")
        try:
            defaults = yaml.safe_load((data or {}).get("default-br-config", "")) or {}
            found = defaults.get("clusterDefault", {}).get("brokerClass")
        except (yaml.YAMLError, AttributeError):
            return None
        return None if found is None else str(found)

    async def ingress(self) -> Ingress:
        data = await self._setting(_SERVING, "config-network")
        kind = (data or {}).get("ingress-class", "istio.ingress.networking.knative.dev") if data is not None else ""
        place = _INGRESSES.get(kind.partition(".")[0], "")
        service = await self.get(_CORE_SERVICES, *place.split("/")) if place else None
        external, internal = network.addresses_of(service)
        return Ingress(
            kind=kind.partition(".")[0],
            service=place,
            external=external,
            internal=internal,
        )

    async def user(self) -> tuple[Access, ...] | None:
        wanted = [(kind, "", verb) for kind in KINDS for verb in ("list", "create", "patch", "delete")]
        return await self._review("selfsubjectaccessreviews", {}, wanted)

    async def account(self, name: str) -> tuple[Access, ...] | None:
        wanted = [(kind, named, verb) for kind, named, verbs in _NEEDED for verb in verbs]
        return await self._review(
            "subjectaccessreviews", {"user": f"system:serviceaccount:{self._namespace}:{name}"}, wanted
        )

    async def _review(
        self, plural: str, who: Mapping[str, str], wanted: Sequence[tuple[Resource, str, str]]
    ) -> tuple[Access, ...] | None:
        kind = {"selfsubjectaccessreviews": "SelfSubjectAccessReview", "subjectaccessreviews": "SubjectAccessReview"}

        async def one(resource: Resource, name: str, verb: str) -> Access | None:
            asked = {"namespace": self._namespace, "group": resource.group, "resource": resource.plural, "verb": verb}
            spec: dict[str, Any] = {**who, "resourceAttributes": {**asked, **({"name": name} if name else {})}}
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind[plural], "spec": spec}
            response = await self._client.ask("POST", f"{_REVIEWS}/{plural}", body)
            if response.status >= 400:
                return None
            allowed = bool(msgspec.json.decode(response.body)["status"].get("allowed"))
            return Access(verb=verb, resource=resource.id, allowed=allowed)

        try:
            found = await asyncio.gather(*(one(*each) for each in wanted))
        except WarmfrontError:
            return None
        answered = tuple(one for one in found if one is not None)
        return answered if len(answered) == len(found) else None

    async def objects(self, services: Sequence[Json]) -> tuple[Standing, ...]:
        brokers, triggers, pods = await asyncio.gather(self.list(BROKERS), self.list(TRIGGERS), self.list(_PODS))
        found = []
        for obj in [*services, *(brokers or []), *(triggers or [])]:
            name = obj["metadata"]["name"]
            ready, said = standing(obj)
            own = [pod for pod in pods or () if labels_of(pod).get("serving.knative.dev/service") == name]
            is_service = obj["kind"] == SERVICES.kind
            found.append(
                Standing(
                    kind=obj["kind"],
                    name=name,
                    ready=ready,
                    message=said,
                    pods=of_pods(own) if is_service else "",
                    **(_of_variant(obj) if is_service and TASK_LABEL in labels_of(obj) else {}),
                )
            )
        return tuple(found)


def _of_variant(service: Json) -> dict[str, Any]:
    """What is known of a Service that is a variant; an annotation that breaks its rule is the catalogue's business."""
    containers = service["spec"]["template"]["spec"].get("containers") or [{}]
    probe = containers[0].get("readinessProbe") or {}
    try:
        protocol = variant_of(service).protocols[0]
    except InvalidRequest:
        protocol = ""
    probed = bool(probe.keys() & {"httpGet", "grpc", "exec"})
    return {"variant": True, "model": name_of(service), "protocol": protocol, "probed": probed}


def _is_up(deployment: Json) -> bool:
    wanted = deployment["spec"].get("replicas", 1)
    return bool((deployment.get("status") or {}).get("availableReplicas", 0) >= wanted)
