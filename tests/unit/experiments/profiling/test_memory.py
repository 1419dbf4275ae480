"""What a replica holds, by whoever tells it."""

import os
import subprocess
import sys

from warmfront.experiments.profiling.memory import of_metrics, of_pod_stats, of_processes

HOLDS = "import sys; held = bytearray(50_000_000); print('there', flush=True); sys.stdin.read()"


def test_the_process_of_a_revision():
    """A real process that holds 50 MB; by its revision and port, and not by another's."""
    env = {**os.environ, "K_REVISION": "v-00001", "PORT": "4711"}
    command = [sys.executable, "-c", HOLDS]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        held = of_processes("v-00001", {4711})
        others = [of_processes("v-00001", {4712}), of_processes("v-00002", {4711})]
        process.stdin.close()
    assert 50 < held < 100
    assert others == [None, None]


def test_the_metrics_api():
    """The largest user container, in MB of a million bytes; the proxy beside it does not count."""
    pods = {"items": [
        {"containers": [{"name": "user-container", "usage": {"memory": "61440Ki"}},
                        {"name": "queue-proxy", "usage": {"memory": "900Mi"}}]},
        {"containers": [{"name": "user-container", "usage": {"memory": "12M"}}]},
    ]}  # fmt: skip
    assert of_metrics(pods) == 62.91456
    assert of_metrics({}) is None


def test_a_kubelet():
    """The working set of our pods alone."""

    def pod(name: str, namespace: str, held: int):
        containers = [{"name": "user-container", "memory": {"workingSetBytes": held}}, {"name": "queue-proxy"}]
        return {"podRef": {"name": name, "namespace": namespace}, "containers": containers}

    summary = {"pods": [pod("a", "n", 30_000_000), pod("b", "n", 90_000_000), pod("a", "other", 70_000_000)]}
    assert of_pod_stats(summary, "n", {"a"}) == 30.0
    assert of_pod_stats(summary, "n", {"c"}) is None
