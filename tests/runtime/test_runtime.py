"""The embedded Knative as a whole, on uvloop as a user runs it: how it ends, and that nothing is left either way."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from warmfront.errors import InvalidRequest
from warmfront.kube import resources as kube
from warmfront.kube.client import KubeClient
from warmfront.kube.connection import Connection
from warmfront.kube.resources import SERVICES

PROGRAM = """
import asyncio, json, sys
from pathlib import Path

import uvloop

from warmfront.runtime.runtime import Runtime, RuntimeSettings


async def main():
    root, manifests = Path(sys.argv[1]), json.loads(sys.argv[2])
    runtime = Runtime(RuntimeSettings(root=root, state=root / "state", port=0, api_port=0))
    await runtime.start()
    runtime.apply(manifests)
    async with asyncio.timeout(30):
        while not all(status.ready for status in runtime.snapshot()):
            await asyncio.sleep(0.01)
    replicas = [replica.pid for live in runtime.data_plane for replica in live.fleet.replicas]
    print(json.dumps(replicas), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await runtime.stop()


uvloop.run(main())
"""


def run(root, *manifests) -> tuple[subprocess.Popen, list[int]]:
    """Start a runtime as a process of its own; the process and its replicas, all ready."""
    command = [sys.executable, "-c", PROGRAM, str(root), json.dumps(manifests)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_stop_leaves_no_process(tmp_path, echo_fn, service, gone):
    """All replicas and the keeper have ended when the runtime has."""
    process, replicas = run(tmp_path, *(service(name, annotations={"min-scale": "2"}) for name in ("one", "two")))
    family = children(process.pid)
    assert set(replicas) < set(family)
    process.communicate("stop\n", timeout=30)
    assert process.returncode == 0
    for pid in family:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_kill_9_of_the_runtime_takes_every_replica_along(tmp_path, echo_fn, service, gone):
    """Even workers that a replica forked and that ask nobody whether their parent lives; then a new start works."""
    forking = SERVER_WITH_WORKER.format(server=str(echo_fn / "server.py"))
    (echo_fn / "forking.py").write_text(forking)
    (echo_fn / "Procfile").write_text("web: python -S -E forking.py\n")
    process, replicas = run(tmp_path, service(annotations={"min-scale": "1"}))
    family = [*children(process.pid), *(worker for replica in replicas for worker in children(replica))]
    assert len(family) == 3
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    for pid in family:
        gone(pid)
    again, replicas = run(tmp_path)
    assert len(replicas) == 1
    again.communicate("stop\n", timeout=30)
    assert again.returncode == 0


SERVER_WITH_WORKER = """
import os, runpy, time
if os.fork() == 0:
    time.sleep(600)
runpy.run_path({server!r}, run_name="__main__")
"""


def test_the_kubeconfig_is_private_and_works(world, service):
    """Mode 0600, and the selector's own client can list with it."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            mode = stat.S_IMODE(world.runtime.kubeconfig.stat().st_mode)
            client = KubeClient(Connection.load({"KUBECONFIG": str(world.runtime.kubeconfig)}), world.pool)
            items, _ = await client.list(kube.SERVICES, "default")
            return mode, [item["metadata"]["name"] for item in items]

    assert uvloop.run(story()) == (0o600, ["echo"])


def test_apply_says_what_it_did(world, service):
    """Created, unchanged, configured; permissions of a cluster are passed over; an unknown kind is an error."""

    async def story():
        async with world:
            role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}}
            first = world.runtime.apply([service(), role])
            second = world.runtime.apply([service()])
            third = world.runtime.apply([service(timeoutSeconds=7)])
            with pytest.raises(InvalidRequest, match="Deployment 'd'"):
                world.runtime.apply([{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}])
            return first, second, third, world.runtime.store.get(SERVICES, "default", "echo")["metadata"]["generation"]

    first, second, third, generation = uvloop.run(story())
    assert first == ["service/echo created"]
    assert second == ["service/echo unchanged"]
    assert third == ["service/echo configured"]
    assert generation == 2
