"""What a Revision object asks of the data plane, read once at the edge into a record.

What must not live here: anything that runs. A field that is asked for and cannot be had is a SetupError that names it.
"""

from dataclasses import dataclass
from typing import Any

from warmfront.errors import SetupError
from warmfront.kube.resources import Json, labels_of

DEFAULT_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How to tell that a replica is ready: GET `path`; gRPC's health check of `service` (empty: of the server) if that
    is not None; else a TCP connection. Times in seconds.
    """

    path: str = ""
    service: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    initial_delay_s: float = 0.0
    timeout_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One revision as the data plane needs it. `concurrency` 0: no limit. `env` is the container's own, in order.

    `h2c`: its port is named so, and its replicas are spoken to by HTTP/2 without TLS (gRPC).
    """

    namespace: str
    revision: str
    service: str
    configuration: str
    image: str
    env: tuple[tuple[str, str], ...] = ()
    concurrency: int = 0
    timeout_s: float = DEFAULT_TIMEOUT_S
    response_start_timeout_s: float = DEFAULT_TIMEOUT_S
    service_account: str = ""
    probe: Probe = Probe()
    h2c: bool = False


def workload_of(revision: Json) -> Workload:
    """Read a serving.knative.dev/v1 Revision; raises SetupError for what a local process cannot be given."""
    meta, spec, labels = revision["metadata"], revision["spec"], labels_of(revision)
    container = spec["containers"][0]
    timeout_s = float(spec.get("timeoutSeconds") or DEFAULT_TIMEOUT_S)
    return Workload(
        namespace=meta["namespace"],
        revision=meta["name"],
        service=labels.get("serving.knative.dev/service", ""),
        configuration=labels.get("serving.knative.dev/configuration", ""),
        image=container["image"],
        env=tuple(_variable(entry) for entry in container.get("env") or ()),
        concurrency=int(spec.get("containerConcurrency") or 0),
        timeout_s=timeout_s,
        response_start_timeout_s=min(float(spec.get("responseStartTimeoutSeconds") or timeout_s), timeout_s),
        service_account=spec.get("serviceAccountName") or "",
        probe=_probe(container.get("readinessProbe") or {}),
        h2c=any(port.get("name") == "h2c" for port in container.get("ports") or ()),
    )


def _variable(entry: dict[str, Any]) -> tuple[str, str]:
    if "valueFrom" in entry:
        raise SetupError(f"env {entry['name']} uses valueFrom, which this runtime has not; give it a plain `value`")
    return entry["name"], str(entry.get("value", ""))


def _probe(probe: dict[str, Any]) -> Probe:
    if "exec" in probe:
        raise SetupError("readinessProbe.exec is not available here; use httpGet, grpc or tcpSocket")
    get, grpc = probe.get("httpGet"), probe.get("grpc")
    return Probe(
        path=(get.get("path") or "/") if get is not None else "",
        service=(grpc.get("service") or "") if grpc is not None else None,
        headers=tuple((h["name"].lower().encode(), h["value"].encode()) for h in (get or {}).get("httpHeaders") or ()),
        initial_delay_s=float(probe.get("initialDelaySeconds") or 0),
        timeout_s=float(probe.get("timeoutSeconds") or 1),
    )
