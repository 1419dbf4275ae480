"""TensorFlow Serving's official stubs against a selector, before functions/digits_tfserving with a real TensorFlow.

Needs TensorFlow, which the development packages are without: skipped until `warmfront build digits_tfserving` has made
its environment in .warmfront of this project. The client runs in that environment, too.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import uvloop
from tests.tensorflow_function import environment, needs_tensorflow

from warmfront.errors import WarmfrontError
from warmfront.kube.files import load_manifests
from warmfront.runtime.runtime import Runtime, RuntimeSettings
from warmfront.wire.pool import Pool

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "tests" / "contract" / "tensorflow_client.py"
IMAGE = bytes(range(256)) * 3 + bytes(16)

pytestmark = needs_tensorflow


async def ask(port: int) -> dict[str, object]:
    """What every call of the client was told."""
    env = os.environ | {"PATH": environment().path}
    client = await asyncio.create_subprocess_exec(
        "python", str(CLIENT), str(port), IMAGE.hex(), env=env, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await client.communicate()
    assert client.returncode == 0
    return json.loads(out)


async def story(tmp_path: Path) -> tuple[dict[str, object], str]:
    """The client's answers, and the selector's metrics."""
    runtime = Runtime(RuntimeSettings(root=ROOT, state=tmp_path, port=0, api_port=0, built=ROOT / ".warmfront"))
    pool = Pool()
    await runtime.start()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = os.environ | {"KUBECONFIG": str(runtime.kubeconfig), "PORT": str(port), "HOST": "127.0.0.1"}
    selector = await asyncio.create_subprocess_exec(sys.executable, "main.py", cwd=ROOT / "selector_fn", env=env)
    url = f"http://127.0.0.1:{port}"
    try:
        runtime.apply(load_manifests(ROOT / "knative/components/digits-grpc/digits-tfserving-grpc.yaml"))
        async with asyncio.timeout(20):
            while True:
                try:
                    tasks = await pool.fetch(url, "GET", "/tasks", [], b"", timeout_s=5)
                    if b'"available":true' in tasks.body:
                        break
                except WarmfrontError:
                    pass
                await asyncio.sleep(0.05)
        told = await ask(port)
        metrics = await pool.fetch(url, "GET", "/metrics", [], b"", timeout_s=5)
        return told, metrics.body.decode()
    finally:
        selector.terminate()
        await selector.wait()
        await pool.close()
        await runtime.stop()


def test_the_official_stubs_through_a_selector(tmp_path):
    """Every method, with the task for a model; the first call waits for TensorFlow to load. Errors pass as they are."""
    told, metrics = uvloop.run(story(tmp_path))
    assert told["predict"]["spec"] == ["digits-tfserving-grpc", 1, "serving_default"]
    assert told["predict"]["shape"] == [1, 10]
    assert told["two images"]["shape"] == [2, 10]
    assert told["classify"][0] == 10
    assert len(told["regress"]) == 2
    assert told["metadata"] == ["classify", "regress", "serving_default"]
    assert told["status"] == [1, 30, 0]
    assert told["another model"][0] == told["no status"][0] == "NOT_FOUND"
    assert "no variant serves task 'other'" in told["another model"][1]
    assert told["another version"][0] == "NOT_FOUND"
    assert told["another signature"][0] == "INVALID_ARGUMENT"
    assert '"other" not found' in told["another signature"][1]
    assert told["multi"][0] == "INVALID_ARGUMENT"  # it names no model
    assert 'warmfront_cold_requests_total{task="digits",variant="digits-tfserving-grpc"} 1' in metrics
