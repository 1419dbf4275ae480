"""Status of Configuration, Route and Service, rolled up from their Revisions in Knative's words.

What may live here: pure functions from what is to what is reported. What must not: the store, a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from warmfront.kube.resources import Json, condition_of
from warmfront.runtime.addresses import Addresses

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"


class Verdict(NamedTuple):
    """One condition's state: True, False or Unknown, with why and what to do."""

    status: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where a Route's traffic goes now, and whether that is where it should go."""

    traffic: list[Json]
    verdict: Verdict


def verdict_of(obj: Json, condition: str = "Ready") -> Verdict:
    """The state of an object's condition; Unknown while nobody has reported it."""
    found = condition_of(obj, condition)
    if found is None:
        return Verdict(UNKNOWN)
    return Verdict(found["status"], found.get("reason", ""), found.get("message", ""))


def conditions(old: Json, parts: dict[str, Verdict], now: str) -> list[Json]:
    """The parts and `Ready` above them, sorted by name; a condition that stays keeps its transition time.

    Ready is False with the first part that is False, else Unknown with the first that is Unknown, else True.
    """
    verdicts = {**parts, "Ready": _ready(parts.values())}
    return [_condition(old, name, verdict, now) for name, verdict in sorted(verdicts.items())]


def _ready(parts: Iterable[Verdict]) -> Verdict:
    by_status: dict[str, Verdict] = {}
    for verdict in parts:
        by_status.setdefault(verdict.status, verdict)
    return by_status.get(FALSE) or by_status.get(UNKNOWN) or Verdict(TRUE)


def _condition(old: Json, name: str, verdict: Verdict, now: str) -> Json:
    new = {"type": name, "status": verdict.status}
    if verdict.reason:
        new["reason"] = verdict.reason
    if verdict.message:
        new["message"] = verdict.message
    before = condition_of(old, name)
    if before is not None and before["status"] == verdict.status:
        now = before["lastTransitionTime"]
    return {**new, "lastTransitionTime": now}


def configuration_verdict(latest_created: Json | None, taken: str) -> Verdict:
    """Whether the Configuration's latest Revision is ready. `taken`: the name it may not have."""
    if latest_created is None:
        message = f'Revision name "{taken}" is taken by another revision; give the template a new name.'
        return Verdict(FALSE, "RevisionNameTaken", message)
    name, verdict = latest_created["metadata"]["name"], verdict_of(latest_created)
    if verdict.status == UNKNOWN and not verdict.message:
        return waiting_for(latest_created)
    if verdict.status == FALSE:
        message = verdict.message or verdict.reason
        return Verdict(FALSE, "RevisionFailed", f'Revision "{name}" failed with message: {message.rstrip(".")}.')
    return verdict


def waiting_for(revision: Json) -> Verdict:
    """Neither ready nor failed."""
    return Verdict(UNKNOWN, "", f'Waiting for Revision "{revision["metadata"]["name"]}" to become ready.')


def configuration_status(
    configuration: Json, verdict: Verdict, latest_created: Json | None, latest_ready: Json | None, now: str
) -> Json:
    """The whole status of a Configuration."""
    status = {
        "observedGeneration": configuration["metadata"]["generation"],
        "conditions": conditions(configuration, {"LatestRevisionReady": verdict}, now),
    }
    # as Knative reports it: a Configuration has but the one condition
    status["conditions"] = [c for c in status["conditions"] if c["type"] == "Ready"]
    return {**status, **_latest(latest_created, latest_ready)}


def _latest(latest_created: Json | None, latest_ready: Json | None) -> Json:
    named = {"latestCreatedRevisionName": latest_created, "latestReadyRevisionName": latest_ready}
    return {field: revision["metadata"]["name"] for field, revision in named.items() if revision is not None}


def targets(route: Json, revisions: dict[str, Json], latest_ready: Json | None, failed: bool) -> Targets:
    """Resolve the Route's traffic to Revisions. What cannot be resolved leaves the traffic where it was.

    `failed`: the Configuration's latest Revision will not become ready.
    """
    traffic: list[Json] = []
    for entry in route["spec"]["traffic"]:
        if entry.get("latestRevision"):
            name = latest_ready["metadata"]["name"] if latest_ready is not None else ""
            verdict = _latest_target_verdict(entry["configurationName"], latest_ready, failed)
        else:
            name = entry["revisionName"]
            verdict = _named_target_verdict(name, revisions.get(name))
        if verdict.status != TRUE:
            return Targets(traffic=(route.get("status") or {}).get("traffic") or [], verdict=verdict)
        target = {key: value for key, value in entry.items() if key != "configurationName"}
        traffic.append({**target, "revisionName": name, "latestRevision": bool(entry.get("latestRevision"))})
    return Targets(traffic=traffic, verdict=Verdict(TRUE))


def _latest_target_verdict(configuration: str, latest_ready: Json | None, failed: bool) -> Verdict:
    if latest_ready is not None:
        return Verdict(TRUE)
    if failed:
        message = f'Configuration "{configuration}" does not have any ready Revision.'
        return Verdict(FALSE, "RevisionMissing", message)
    message = f'Configuration "{configuration}" is waiting for a Revision to become ready.'
    return Verdict(UNKNOWN, "RevisionMissing", message)


def _named_target_verdict(name: str, revision: Json | None) -> Verdict:
    if revision is None:
        return Verdict(FALSE, "RevisionMissing", f'Revision "{name}" referenced in traffic not found.')
    status, _, why = verdict_of(revision)
    if status == FALSE:
        message = f'Revision "{name}" referenced in traffic failed to become ready: {why}'
        return Verdict(FALSE, "RevisionMissing", message)
    return Verdict(status, "RevisionMissing", f'Revision "{name}" referenced in traffic is not yet ready.')


def route_status(route: Json, resolved: Targets, addresses: Addresses, now: str) -> Json:
    """The whole status of a Route."""
    namespace, name = route["metadata"]["namespace"], route["metadata"]["name"]
    traffic = [
        {**entry, "url": addresses.tagged(namespace, name, entry["tag"])} if entry.get("tag") else entry
        for entry in resolved.traffic
    ]
    # there is nothing to set up for an address: every host name ends at the one ingress
    parts = {
        "AllTrafficAssigned": resolved.verdict,
        "CertificateProvisioned": Verdict(TRUE, "TLSNotEnabled", "certificates are not used on the loopback interface"),
        "IngressReady": Verdict(TRUE if resolved.traffic else UNKNOWN),
    }
    return {
        "observedGeneration": route["metadata"]["generation"],
        "conditions": conditions(route, parts, now),
        "url": addresses.service(namespace, name),
        "address": {"url": addresses.service(namespace, name)},
        "traffic": traffic,
    }


def service_status(service: Json, configuration: Json, route: Json, now: str) -> Json:
    """The whole status of a Service, from those of its Configuration and its Route."""
    parts = {"ConfigurationsReady": verdict_of(configuration), "RoutesReady": verdict_of(route)}
    status = {
        "observedGeneration": service["metadata"]["generation"],
        "conditions": conditions(service, parts, now),
    }
    for field in ("latestCreatedRevisionName", "latestReadyRevisionName"):
        if field in configuration["status"]:
            status[field] = configuration["status"][field]
    return {**status, **{field: route["status"][field] for field in ("url", "address", "traffic")}}
