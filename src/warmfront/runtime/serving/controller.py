"""Keeps what belongs to each Service as it should be, and reports how it is.

What may live here: reading and writing the store. What must not: processes, requests (the data plane's), rules on what
a user may ask for (admission's).
"""

from collections.abc import Callable

from warmfront.kube.resources import (
    CONFIGURATIONS,
    PODAUTOSCALERS,
    REVISIONS,
    ROUTES,
    SERVICES,
    Json,
    Resource,
    labels_of,
)
from warmfront.runtime.addresses import Addresses
from warmfront.runtime.serving import objects, status
from warmfront.runtime.serving.patience import Later, Patience, on_the_loop
from warmfront.runtime.store import Store, now_rfc3339

RETAINED_REVISIONS = 10
"""How many Revisions that no traffic refers to a Service keeps, the newest ones, to go back to."""


class ServingController:
    """Reconciles a Service at once, within the write that made it necessary, whatever object was written.

    It looks only at what is in the store, so it may be called any number of times and after any crash.
    """

    def __init__(self, store: Store, addresses: Addresses, *, later: Later = on_the_loop) -> None:
        self._store = store
        self._addresses = addresses
        self._patience = Patience(self._reconcile, later)
        self._stops: list[Callable[[], None]] = []

    def start(self) -> None:
        """Bring every Service up to date and keep it so."""
        self._stops.append(self._store.subscribe(SERVICES, self._on_service))
        for resource in (CONFIGURATIONS, ROUTES, REVISIONS, PODAUTOSCALERS):
            self._stops.append(self._store.subscribe(resource, self._on_owned))

    def stop(self) -> None:
        """Follow changes no more."""
        self._patience.stop()
        while self._stops:
            self._stops.pop()()

    def _on_service(self, kind: str, service: Json) -> None:
        if kind != "DELETED":
            self._reconcile(service["metadata"]["namespace"], service["metadata"]["name"])

    def _on_owned(self, kind: str, obj: Json) -> None:
        if kind == "DELETED":
            self._patience.forget(obj["metadata"]["uid"])
        # of what this controller writes itself only a deletion is news; a Revision's status is the data plane's
        if kind == "DELETED" or obj["kind"] == REVISIONS.kind:
            service = labels_of(obj).get(objects.SERVICE)
            if service:
                self._reconcile(obj["metadata"]["namespace"], service)

    def _reconcile(self, namespace: str, name: str) -> None:
        service = self._store.find(SERVICES, namespace, name)
        if service is None:
            return
        now = now_rfc3339()
        configuration = self._ensure(CONFIGURATIONS, objects.configuration_for(service))
        route = self._ensure(ROUTES, objects.route_for(service))
        latest_created = self._latest_created(configuration, now)
        revisions = self._revisions_of(configuration)
        latest_ready = _latest_ready(configuration, revisions)

        verdict = self._verdict(configuration, latest_created)
        configuration = self._report(
            CONFIGURATIONS,
            configuration,
            status.configuration_status(configuration, verdict, latest_created, latest_ready, now),
        )
        resolved = status.targets(route, revisions, latest_ready, failed=verdict.status == status.FALSE)
        route = self._report(ROUTES, route, status.route_status(route, resolved, self._addresses, now))
        self._set_routing_states(route, revisions, latest_created, now)
        self._report(SERVICES, service, status.service_status(service, configuration, route, now))
        self._collect_garbage(namespace, revisions, keep=(latest_created, latest_ready))

    def _ensure(self, resource: Resource, wanted: Json) -> Json:
        meta = wanted["metadata"]
        if self._store.find(resource, meta["namespace"], meta["name"]) is None:
            return self._store.create(resource, wanted)
        return self._store.replace(resource, wanted)

    def _report(self, resource: Resource, obj: Json, new: Json) -> Json:
        return self._store.set_status(resource, obj["metadata"]["namespace"], obj["metadata"]["name"], new)

    def _latest_created(self, configuration: Json, now: str) -> Json | None:
        """The Revision of the Configuration's current generation, made now if need be; None: its name is taken."""
        meta, name = configuration["metadata"], objects.revision_name(configuration)
        found = self._store.find(REVISIONS, meta["namespace"], name)
        if found is None:
            return self._store.create(REVISIONS, objects.revision_for(configuration, now))
        wanted = objects.revision_for(configuration, now)
        ours = labels_of(found).get(objects.CONFIGURATION_UID) == meta["uid"]
        if not ours or found["spec"] != wanted["spec"]:
            return None
        # going back to a name and specification of before: that Revision stands for this generation now
        generation = {"metadata": {"labels": {objects.GENERATION: str(meta["generation"])}}}
        return self._store.merge(REVISIONS, meta["namespace"], name, generation)

    def _verdict(self, configuration: Json, latest_created: Json | None) -> status.Verdict:
        """Whether the Configuration is ready; a failure that is neither reported yet nor lasting is not one yet."""
        verdict = status.configuration_verdict(latest_created, objects.revision_name(configuration))
        if latest_created is None:
            return verdict
        if verdict.status != status.FALSE:
            self._patience.forget(latest_created["metadata"]["uid"])
            return verdict
        known = status.verdict_of(configuration) == verdict
        if known or self._patience.believes(latest_created, configuration["metadata"]["name"]):
            return verdict
        return status.waiting_for(latest_created)

    def _revisions_of(self, configuration: Json) -> dict[str, Json]:
        meta = configuration["metadata"]
        selector = f"{objects.CONFIGURATION_UID}={meta['uid']}"
        found, _ = self._store.list(REVISIONS, meta["namespace"], labels=selector)
        return {revision["metadata"]["name"]: revision for revision in found}

    def _set_routing_states(
        self, route: Json, revisions: dict[str, Json], latest_created: Json | None, now: str
    ) -> None:
        namespace, name = route["metadata"]["namespace"], route["metadata"]["name"]
        targets = [*route["spec"]["traffic"], *route["status"]["traffic"]]
        referenced = {entry.get("revisionName") for entry in targets}
        for revision_name, revision in revisions.items():
            state = objects.RESERVE
            if revision_name in referenced:
                state = objects.ACTIVE
            elif latest_created is not None and revision_name == latest_created["metadata"]["name"]:
                state = objects.PENDING
            if labels_of(revision)[objects.ROUTING_STATE] != state:
                patch = objects.routing_state_patch(state, name, now)
                revisions[revision_name] = self._store.merge(REVISIONS, namespace, revision_name, patch)
            self._ensure(PODAUTOSCALERS, objects.autoscaler_for(revisions[revision_name]))

    def _collect_garbage(
        self, namespace: str, revisions: dict[str, Json], keep: tuple[Json | None, Json | None]
    ) -> None:
        kept = {revision["metadata"]["name"] for revision in keep if revision is not None}
        idle = [
            revision
            for name, revision in revisions.items()
            if name not in kept and labels_of(revision)[objects.ROUTING_STATE] == objects.RESERVE
        ]
        idle.sort(key=objects.generation_of)
        for revision in idle[:-RETAINED_REVISIONS]:
            self._store.delete(REVISIONS, namespace, revision["metadata"]["name"])


def _latest_ready(configuration: Json, revisions: dict[str, Json]) -> Json | None:
    """The newest Revision that is ready, never an older one than before: a lapse of readiness changes nothing."""
    before = revisions.get((configuration.get("status") or {}).get("latestReadyRevisionName", ""))
    ready = [revision for revision in revisions.values() if status.verdict_of(revision).status == status.TRUE]
    candidates = ready if before is None else [before, *ready]
    return max(candidates, key=objects.generation_of, default=None)
