"""Manifests into the store, with the API server's rules: what `kubectl apply -f` is for a cluster.

What lives here: create or merge, and what to say about it. What must not: reading files (kube/files.py).
"""

from collections.abc import Iterable
from copy import deepcopy

from warmfront.errors import InvalidRequest
from warmfront.kube.resources import BROKERS, CONFIGMAPS, LEASES, SERVICES, TRIGGERS, Json, Resource
from warmfront.runtime.admission import admit
from warmfront.runtime.store import Store, merge_patch

_APPLIED = {(r.api_version, r.kind): r for r in (SERVICES, BROKERS, TRIGGERS, LEASES, CONFIGMAPS)}
# What only a cluster needs. Permissions: here a revision with a serviceAccountName gets the kubeconfig, others nothing.
_NEEDLESS = frozenset(
    {"Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "NetworkPolicy",
     "PodDisruptionBudget"}
)  # fmt: skip


def apply(store: Store, manifests: Iterable[Json]) -> list[str]:
    """Create each object or merge it into the one of its name; a line for each, such as `service/echo created`.

    Fields that a manifest does not name stay as they are. Raises InvalidRequest for a kind that is not known here and
    for an object that breaks a rule; what stood before it in the list is written then, and may be applied again.
    """
    said: list[str] = []
    for manifest in manifests:
        if manifest["kind"] in _NEEDLESS:
            continue
        said.extend(_apply_one(store, _resource(manifest), deepcopy(manifest)))
    return said


def _apply_one(store: Store, resource: Resource, manifest: Json) -> list[str]:
    meta = manifest["metadata"]
    meta.setdefault("namespace", "default")
    manifest.pop("status", None)
    old = store.find(resource, meta["namespace"], meta["name"])
    wanted = manifest if old is None else merge_patch(old, manifest)
    assert isinstance(wanted, dict)
    admission = admit(resource, wanted, old)
    if old is None:
        store.create(resource, admission.obj)
        verb = "created"
    else:
        new = store.replace(resource, admission.obj)
        verb = "unchanged" if new["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"] else "configured"
    name = f"{resource.kind.lower()}/{meta['name']}"
    return [f"{name} {verb}", *(f"{name}: {warning}" for warning in admission.warnings_for(strict=False))]


def _resource(manifest: Json) -> Resource:
    found = _APPLIED.get((manifest.get("apiVersion", ""), manifest["kind"]))
    if found is None:
        known = ", ".join(f"{kind} ({version})" for version, kind in _APPLIED)
        name = (manifest.get("metadata") or {}).get("name")
        raise InvalidRequest(
            f"{manifest['kind']} {name!r} of {manifest.get('apiVersion')!r} cannot be applied here; known are {known}"
        )
    return found
