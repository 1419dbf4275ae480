"""Leases and ConfigMaps in the embedded API: served as Kubernetes serves them, to those who coordinate by them."""

import asyncio
import json

import pytest

from warmfront.errors import Conflict, InvalidRequest
from warmfront.kube.client import KubeClient
from warmfront.kube.connection import Connection
from warmfront.kube.resources import CONFIGMAPS, LEASES, Json
from warmfront.runtime.admission import admit
from warmfront.runtime.apiserver import ApiServer
from warmfront.runtime.store import Store
from warmfront.wire.pool import Origin, Pool
from warmfront.wire.server import Server

TOKEN = "0f" * 16
RENEWED = "2030-01-31T12:00:00.000000Z"


def lease(**spec: object) -> Json:
    """A Lease with this spec."""
    return {"metadata": {"name": "warmfront-selector", "namespace": "default"}, "spec": spec}


def config_map(**fields: object) -> Json:
    """A ConfigMap with these fields."""
    return {"metadata": {"name": "warmfront-learned", "namespace": "default"}, **fields}


def test_both_are_served_under_the_paths_of_kubernetes():
    """Create, list, watch and merge patch with an optimistic lock; the ConfigMap in the core group, without a name."""

    async def story():
        server = Server(ApiServer(Store(None), TOKEN).handle)
        pool = Pool()
        origin = Origin(host="127.0.0.1", port=await server.listen("127.0.0.1", 0))
        client = KubeClient(Connection(origin=origin, token=TOKEN), pool)
        try:
            made = await client.create(CONFIGMAPS, config_map(data={"a": "1", "b": "2"}))
            _, since = await client.list(CONFIGMAPS, "default")
            patched = await client.merge(CONFIGMAPS, "default", "warmfront-learned", {"data": {"a": "3", "b": None}})
            change, seen = await anext(client.watch(CONFIGMAPS, "default", since=since))
            held = await client.create(LEASES, lease(holderIdentity="a"))
            stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "spec": {}}
            with pytest.raises(Conflict, match="modified"):
                await client.merge(LEASES, "default", "warmfront-selector", stale)
            bearer = [(b"authorization", b"Bearer " + TOKEN.encode())]
            core = await pool.fetch(origin, "GET", "/api/v1", bearer, b"", timeout_s=5)
            return patched, (change, seen), held, json.loads(core.body)
        finally:
            await pool.close()
            await server.close(0)

    patched, event, held, core = asyncio.run(story())
    assert patched["data"] == {"a": "3"}
    assert (patched["apiVersion"], patched["kind"]) == ("v1", "ConfigMap")
    assert event == ("MODIFIED", patched)
    assert held["apiVersion"] == "coordination.k8s.io/v1"
    assert [entry["name"] for entry in core["resources"]] == ["namespaces", "configmaps"]


@pytest.mark.parametrize(
    ("resource", "obj", "fault"),
    [
        (LEASES, lease(renewTime="2030-01-31T12:00:00Z"), "spec.renewTime"),
        (LEASES, lease(leaseDurationSeconds=0), "spec.leaseDurationSeconds is 0"),
        (CONFIGMAPS, config_map(data={"a": 1}), r"data\[a\] is 1; it must be a string"),
        (CONFIGMAPS, config_map(data={"a/b": ""}), "data has the key 'a/b'"),
        (CONFIGMAPS, config_map(data={"a": "x" * 2**20 + "y"}), "holds 1048577 bytes"),
    ],
)
def test_what_kubernetes_refuses_is_refused(resource, obj, fault):
    """The same rules, so that what works on a laptop works on a cluster."""
    with pytest.raises(InvalidRequest, match=fault):
        admit(resource, obj, None)


def test_a_whole_lease_is_admitted_as_it_is():
    """No default is filled in and nothing is warned of; an unknown field is."""
    full = lease(
        holderIdentity="a", leaseDurationSeconds=15, renewTime=RENEWED, acquireTime=RENEWED, leaseTransitions=0
    )
    admission = admit(LEASES, full, None)
    assert (admission.obj, admission.warnings_for(strict=True)) == (full, ())
    assert admit(LEASES, lease(holder="a"), None).unknown == ("spec.holder",)


def test_an_immutable_config_map_stays():
    """Its labels may change, its data and its immutability may not."""
    old = config_map(data={"a": "1"}, immutable=True)
    labelled = {**old, "metadata": {**old["metadata"], "labels": {"x": "y"}}}
    assert admit(CONFIGMAPS, labelled, old).obj == labelled
    for changed in (config_map(data={"a": "2"}, immutable=True), config_map(data={"a": "1"})):
        with pytest.raises(InvalidRequest, match="immutable"):
            admit(CONFIGMAPS, changed, old)
