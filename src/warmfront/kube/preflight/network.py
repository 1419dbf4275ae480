"""Tries names and addresses from here: DNS, the URL of one Service, the same by the ingress' address and a Host header.

Only the selector is asked for anything, its /readyz: asking a variant would wake it.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec

from warmfront.errors import WarmfrontError
from warmfront.kube.preflight.facts import Ingress, Reach, Told
from warmfront.kube.resources import Json, labels_of
from warmfront.wire.messages import Headers, Response
from warmfront.wire.pool import Origin, Pool

_SELECTOR = "selector"
_VISIBILITY = "networking.knative.dev/visibility"
_RESOLVE_S, _ASK_S = 5.0, 10.0


def addresses_of(service: Json | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The external and the cluster's own addresses of a Kubernetes Service."""
    if service is None:
        return (), ()
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    external = [one.get("ip") or one.get("hostname") for one in balancer.get("ingress") or ()]
    external += service["spec"].get("externalIPs") or []
    internal = [ip for ip in service["spec"].get("clusterIPs") or () if ip != "None"]
    return tuple(filter(None, external)), tuple(internal)


async def try_services(pool: Pool, services: Sequence[Json], ingress: Ingress) -> tuple[Reach | None, Told | None]:
    """How the selector's URL works, else that of the first public Service; and what the selector says of itself."""
    with_url = [service for service in services if (service.get("status") or {}).get("url")]
    chosen = min(with_url, key=_preference, default=None)
    has_selector = any(service["metadata"]["name"] == _SELECTOR for service in services)
    if chosen is None:
        return None, Told(error="it has no URL yet") if has_selector else None
    meta = chosen["metadata"]
    url = chosen["status"]["url"]
    parts = urlsplit(url)
    host = parts.hostname or ""
    (addresses, unresolved), (inside, _) = await asyncio.gather(
        _resolve(host), _resolve(f"{meta['name']}.{meta['namespace']}.svc.cluster.local")
    )
    reach = Reach(
        service=f"{meta['namespace']}/{meta['name']}",
        url=url,
        private=labels_of(chosen).get(_VISIBILITY) == "cluster-local",
        addresses=addresses,
        unresolved=unresolved,
        inside=inside,
    )
    if meta["name"] != _SELECTOR:
        return reach, Told(error="it has no URL yet") if has_selector else None
    return await _ask_selector(pool, reach, ingress)


def _preference(service: Json) -> tuple[bool, bool]:
    private = labels_of(service).get(_VISIBILITY) == "cluster-local"
    return service["metadata"]["name"] != _SELECTOR, private


async def _ask_selector(pool: Pool, reach: Reach, ingress: Ingress) -> tuple[Reach, Told]:
    status: int | None = None
    refused, told = "", None
    if reach.addresses or ".localhost" in reach.url:
        try:
            response = await _ready(pool, _origin(reach.url), [])
            status, told = response.status, _told(response)
        except (WarmfrontError, ssl.SSLError) as error:
            refused = str(error)
    through = ""
    if told is None:
        host = urlsplit(reach.url).hostname or ""
        for place in (*ingress.external, *ingress.internal):
            try:
                answer = await _ready(pool, Origin(host=place, port=80), [(b"host", host.encode())])
            except WarmfrontError:
                continue
            if (told := _told(answer)) is not None:
                through = place
                break
    genuine = told is not None and not through
    reach = replace(reach, status=status, refused=refused, through=through, genuine=genuine)
    return reach, told or Told(error=refused or reach.unresolved or f"{reach.url} answered {status}, not as a selector")


def _origin(url: str) -> Origin:
    return Origin.parse(url, tls=ssl.create_default_context() if url.startswith("https:") else None)


async def _ready(pool: Pool, origin: Origin, headers: Headers) -> Response:
    return await pool.fetch(origin, "GET", "/readyz", headers, b"", timeout_s=_ASK_S)


def _told(response: Response) -> Told | None:
    """What a selector says of itself; None when it was not a selector that answered."""
    try:
        said = msgspec.json.decode(response.body)
        return Told(ready=bool(said["ready"]), words={str(k): str(v) for k, v in said["catalogue"].items()})
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return None


async def _resolve(host: str) -> tuple[tuple[str, ...], str]:
    """The addresses of a name by this machine's resolver, or why there are none."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_S):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        return (), f"no answer in {_RESOLVE_S:.0f} s"
    except OSError as error:
        return (), error.strerror or str(error)
    return tuple(dict.fromkeys(str(address[4][0]) for address in found)), ""
