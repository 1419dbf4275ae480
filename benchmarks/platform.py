"""A stand-in platform for benchmarks: the embedded API server with variants that are always warm and never change.

    python -m benchmarks.platform PORT KUBECONFIG VARIANTS UPSTREAM_URL [PROTOCOLS]

All variants of task `bench` lie at the one upstream, so that the selector's own work is all that is measured.
"""

import asyncio
import signal
import sys
from pathlib import Path

from warmfront.domain import Profile, Spread
from warmfront.kube.manifests import PROFILE, TASK_LABEL, profile_json
from warmfront.kube.resources import ENDPOINTSLICES, SERVICES
from warmfront.runtime.apiserver import ApiServer, write_kubeconfig
from warmfront.runtime.store import Store
from warmfront.wire.server import Server

TOKEN = "benchmark"  # noqa: S105 - guards nothing but a benchmark
NAMESPACE = "default"


def add_variant(store: Store, name: str, url: str, profile: Profile, protocols: str = "cloudevents,raw") -> None:
    """One ready Service of task `bench` with one ready replica."""
    revision = f"{name}-00001"
    service = {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {TASK_LABEL: "bench"},
            "annotations": {PROFILE: profile_json(profile), "warmfront.dev/protocols": protocols},
        },
        "spec": {"template": {"spec": {"containers": [{"image": "dev.local/bench:v1"}]}}},
    }
    store.create(SERVICES, service)
    status = {
        "latestReadyRevisionName": revision,
        "latestCreatedRevisionName": revision,
        "url": url,
        "address": {"url": url},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    store.set_status(SERVICES, NAMESPACE, name, status)
    replica = {
        "metadata": {
            "name": f"{revision}-private",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": f"{revision}-private"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    }
    store.create(ENDPOINTSLICES, replica)


async def serve(port: int, kubeconfig: Path, variants: int, upstream: str, *protocols: str) -> None:
    """Serve the API until SIGTERM."""
    write_kubeconfig(kubeconfig, port=port, token=TOKEN)
    store = Store(None)
    for i in range(variants):
        execution = 0.001 * 2**i
        profile = Profile(
            accuracy=0.6 + 0.3 * i / max(1, variants - 1),
            latency_s=Spread(p50=execution, p95=2 * execution),
            cold_start_s=Spread(p50=0.3, p95=0.6),
            memory_mb=50.0,
        )
        add_variant(store, f"bench-{i}", upstream, profile, *protocols)
    api = ApiServer(store, TOKEN)
    server = Server(api.handle)
    await server.listen("127.0.0.1", port)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    api.close()
    await server.close(1.0)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
