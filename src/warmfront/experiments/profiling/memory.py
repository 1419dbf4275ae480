"""What a replica holds in memory: read from its processes, the metrics API or a kubelet's summary. MB of 10^6 bytes.

A replica may be several processes (workers); what they hold is added up, so pages they share count for each.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

_CONTAINER = "user-container"
_UNITS = {"": 1, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "k": 1000, "M": 1000**2, "G": 1000**3}


def of_processes(revision: str, ports: Collection[int], proc: Path = Path("/proc")) -> float | None:
    """The largest replica of a revision among this machine's processes, which the embedded Knative starts.

    A process tells by its environment which revision it is (`K_REVISION`) and where it listens (`PORT`).
    """
    held: dict[int, int] = {}
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            if f"K_REVISION={revision}".encode() not in environment:
                continue
            port = next((int(one[5:]) for one in environment if re.fullmatch(rb"PORT=\d+", one)), 0)
            resident = re.search(r"^VmRSS:\s+(\d+) kB", (folder / "status").read_text(), re.MULTILINE)
        except OSError:
            continue  # another user's, or gone
        if port in ports and resident is not None:
            held[port] = held.get(port, 0) + int(resident[1]) * 1024
    return max(held.values()) / 1e6 if held else None


def of_metrics(pods: Any) -> float | None:
    """The largest container of a list of `metrics.k8s.io` PodMetrics."""
    found = [
        _bytes(container["usage"]["memory"])
        for pod in pods.get("items") or ()
        for container in pod.get("containers") or ()
        if container.get("name") == _CONTAINER
    ]
    return max(found) / 1e6 if found else None


def of_pod_stats(summary: Any, namespace: str, names: Collection[str]) -> float | None:
    """The largest working set of those pods in a kubelet's `stats/summary`."""
    found = [
        float(container["memory"]["workingSetBytes"])
        for pod in summary.get("pods") or ()
        if pod["podRef"]["namespace"] == namespace and pod["podRef"]["name"] in names
        for container in pod.get("containers") or ()
        if container["name"] == _CONTAINER and "workingSetBytes" in (container.get("memory") or {})
    ]
    return max(found) / 1e6 if found else None


def _bytes(quantity: str) -> float:
    """A Kubernetes quantity such as 61440Ki."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", quantity)
    if match is None or match[2] not in _UNITS:
        return 0.0
    return float(match[1]) * _UNITS[match[2]]
