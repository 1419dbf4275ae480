"""Where a `Destination` of the API (`ref`, `uri` or both) leads. Pure, given what a ref can name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

from warmfront.errors import InvalidRequest
from warmfront.wire.pool import Origin

Lookup = Callable[[str, str, str], "Target"]
"""(kind, namespace, name) of a ref to its target; asked only for the kinds in `KINDS`."""

KINDS = {"Service": "serving.knative.dev", "Broker": "eventing.knative.dev"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL, or why there is none yet."""

    url: str = ""
    fault: str = ""


def resolve(destination: object, namespace: str, lookup: Lookup) -> Target:
    """The URL that the destination means now. An absolute `uri` stands alone, a relative one is joined to the ref's."""
    if not isinstance(destination, Mapping) or not (destination.get("ref") or destination.get("uri")):
        return Target(fault=f"found {destination!r}; wanted a ref or a uri")
    uri = str(destination.get("uri") or "")
    if not destination.get("ref"):
        return _checked(uri)
    base = _referred(destination["ref"], namespace, lookup)
    return _checked(urljoin(base.url, uri)) if base.url and uri else base


def _referred(ref: Mapping[str, Any], namespace: str, lookup: Lookup) -> Target:
    kind, group = str(ref.get("kind")), str(ref.get("apiVersion", "")).partition("/")[0]
    if KINDS.get(kind) != group:
        wanted = " or ".join(f"{kind} of {group}" for kind, group in KINDS.items())
        return Target(fault=f"ref names {kind} of {group or '(no apiVersion)'}; wanted {wanted}, or give a uri")
    return lookup(kind, str(ref.get("namespace") or namespace), str(ref.get("name")))


@lru_cache(maxsize=1024)
def route(url: str) -> tuple[Origin, str]:
    """Where to connect and what to ask for; InvalidRequest unless it is an http:// URL in printable ASCII."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequest(f"{url!r} is not usable; percent-encode what is not printable ASCII")
    parts = urlsplit(url)
    target = parts.path or "/"
    return Origin.parse(url), f"{target}?{parts.query}" if parts.query else target


def _checked(url: str) -> Target:
    try:
        route(url)
    except InvalidRequest as error:
        return Target(fault=f"{error}; or give a path together with a ref")
    return Target(url=url)
