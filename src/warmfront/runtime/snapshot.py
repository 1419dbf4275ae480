"""How the Services of the embedded Knative are doing, in records fit for a table.

What must not live here: anything that changes something.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from warmfront.domain import Warmth
from warmfront.kube.resources import SERVICES, Json, condition_of
from warmfront.runtime.dataplane import DataPlane
from warmfront.runtime.revision import LiveRevision
from warmfront.runtime.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One Service, all of its revisions together. `message` says why it is not ready, empty when it is.

    `requests` counts since the start, `failures` those that got no reply; `p50_s` and `p95_s` are of the latest 512
    replies of a revision, receipt to last byte, None before the first.
    """

    namespace: str
    name: str
    url: str
    revision: str
    warmth: Warmth
    message: str
    ready: int
    starting: int
    in_flight: int
    queued: int
    requests: int
    failures: int
    p50_s: float | None
    p95_s: float | None


def snapshot(store: Store, data_plane: DataPlane) -> list[ServiceStatus]:
    """Every Service, by namespace and name."""
    revisions: dict[tuple[str, str], list[LiveRevision]] = {}
    for live in data_plane:
        revisions.setdefault((live.workload.namespace, live.workload.service), []).append(live)
    services, _ = store.list(SERVICES, None)
    return [
        _status(service, revisions.get((service["metadata"]["namespace"], service["metadata"]["name"]), []))
        for service in services
    ]


def _status(service: Json, revisions: Sequence[LiveRevision]) -> ServiceStatus:
    status = service.get("status") or {}
    condition = condition_of(service, "Ready") or {}
    ready = sum(len(live.fleet.ready) for live in revisions)
    starting = sum(live.fleet.starting for live in revisions)
    traffic = [live.traffic for live in revisions]
    latencies = sorted(latency for one in traffic for latency in one.latencies_s)
    trouble = condition.get("message") or condition.get("reason") or "not reconciled yet"
    return ServiceStatus(
        namespace=service["metadata"]["namespace"],
        name=service["metadata"]["name"],
        url=status.get("url", ""),
        revision=status.get("latestReadyRevisionName", ""),
        warmth=Warmth.WARM if ready else Warmth.STARTING if starting else Warmth.COLD,
        message="" if condition.get("status") == "True" else trouble,
        ready=ready,
        starting=starting,
        in_flight=sum(one.in_flight for one in traffic),
        queued=sum(one.queued for one in traffic),
        requests=sum(one.requests for one in traffic),
        failures=sum(one.failures for one in traffic),
        p50_s=_quantile(latencies, 0.5),
        p95_s=_quantile(latencies, 0.95),
    )


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of them does not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else None
