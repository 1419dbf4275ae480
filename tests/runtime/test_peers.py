"""Selectors on the embedded Knative, as replicas of one Service: what they tell each other and what outlives them."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from warmfront.errors import WarmfrontError
from warmfront.kube.learned import CONFIGMAP, KEY
from warmfront.kube.resources import CONFIGMAPS, SERVICES

ROOT = Path(__file__).parents[2]
VARIANT = """
class Handler(Answers):
    def do_GET(self):
        self.reply(b"ready")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        while body == b"hold" and (FOLDER / "hold").exists():
            time.sleep(0.005)
        self.reply(b"answer", warmfront_execution_ms="3")
"""
#: Declared a hundred times slower than it is.
PROFILE = '{"accuracy": 0.9, "latency_s": {"p50": 1.0, "p95": 1.2}}'


def manifest(name: str, image: str, *, labels=None, annotations=None, scale=None, account=None):
    template = {"autoscaling.knative.dev/min-scale": "1", **(scale or {})}
    container = {"image": image, "readinessProbe": {"httpGet": {"path": "/readyz"}}}
    spec = {"containers": [container], **({"serviceAccountName": account} if account else {})}
    return {
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}},
        "spec": {"template": {"metadata": {"annotations": template}, "spec": spec}},
    }  # fmt: skip


def variant():
    return manifest(
        "held",
        "dev.local/held-fn:v1",
        labels={"warmfront.dev/task": "t"},
        annotations={"warmfront.dev/profile": PROFILE},
    )


def selector(replicas=1):
    scale = {"autoscaling.knative.dev/min-scale": str(replicas), "autoscaling.knative.dev/window": "6s"}
    return manifest("selector", "dev.local/selector-fn:v1", scale=scale, account="selector")


class Scene:
    """A running embedded Knative with the variant `held` and so many selectors, all ready."""

    def __init__(self, world, eventually, hold: Path) -> None:
        self.world, self.eventually, self.hold = world, eventually, hold

    def replicas(self, revision="selector-00001"):
        found = self.world.runtime.data_plane.find("default", revision)
        return [] if found is None else found.fleet.ready

    async def ready(self, replicas: int, revision="selector-00001") -> None:
        await self.eventually(lambda: len(self.replicas(revision)) == replicas)

    async def at(self, port: int, method: str, path: str, body=b""):
        """One request to a replica itself, past the ingress."""
        return await self.world.pool.fetch(f"http://127.0.0.1:{port}", method, path, [], body, timeout_s=60)

    async def estimate(self, port: int):
        """What the selector at this port expects of the variant now."""
        (seen,) = json.loads((await self.at(port, "GET", "/tasks/t")).body)["variants"]
        return seen["estimate"]

    async def until(self, condition: Callable[[], Awaitable[object]], within_s: float = 20.0) -> float:
        """Ask until it is true; after how many seconds it was."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(within_s):
            while not await condition():  # noqa: ASYNC110 - another process has no event to wait for
                await asyncio.sleep(0.01)
        return loop.time() - began

    async def expects(self, port: int, in_flight: int) -> float:
        async def agrees() -> bool:
            return (await self.estimate(port))["in_flight"] == in_flight

        return await self.until(agrees)


@pytest.fixture
def play(world, eventually, tmp_path, folder_of):
    """Run a story in a scene with that many selectors: `play(story, selectors)`."""
    folder = folder_of("held_fn", VARIANT)
    (folder / "hold").touch()
    (tmp_path / "selector_fn").symlink_to(ROOT / "selector_fn")

    def run(story, selectors=1):
        async def go():
            async with world:
                scene = Scene(world, eventually, folder / "hold")
                world.runtime.apply([variant(), selector(selectors)])
                await scene.ready(selectors)
                await scene.ready(1, "held-00001")
                try:
                    return await story(scene)
                finally:
                    scene.hold.unlink(missing_ok=True)

        return uvloop.run(go())

    return run


def test_replicas_share_counts_and_a_killed_one_leaves_no_ghosts(play):
    """A request held through one selector is counted by the other, and no more soon after the first was killed -9."""

    async def story(scene):
        one, two = scene.replicas()
        asked = asyncio.create_task(scene.at(one.port, "POST", "/tasks/t", b"hold"))
        await scene.expects(two.port, 1)

        async def knows_itself() -> bool:
            return len(json.loads((await scene.at(two.port, "GET", "/peers")).body)["peers"]) == 1

        await scene.until(knows_itself)
        seen = json.loads((await scene.at(two.port, "GET", "/peers")).body)
        says = json.loads((await scene.at(two.port, "GET", "/readyz")).body)["catalogue"]
        os.kill(one.pid, signal.SIGKILL)
        with pytest.raises(WarmfrontError):
            await asked
        took_s = await scene.expects(two.port, 0)
        return one.port, seen, says, took_s

    port, seen, says, took_s = play(story, 2)
    assert [peer["address"] for peer in seen["peers"]] == [f"127.0.0.1:{port}"]
    assert [heard["in_flight"] for heard in seen["heard"]] == [1]
    assert (says["peers"], says["learned"]) == ("1 of 1 reached", "configmap warmfront-learned")
    assert took_s < 4.0, "two seconds, and what a busy machine adds"


def test_a_lesson_of_one_is_known_to_the_other(play):
    """Replies through one selector correct what the other expects, though it never sent a request."""

    async def story(scene):
        one, two = scene.replicas()
        before = await scene.estimate(two.port)
        for _ in range(40):
            await scene.at(one.port, "POST", "/tasks/t", b"x")

        async def learned() -> bool:
            return (await scene.estimate(two.port))["predicted_ms"] < 100

        await scene.until(learned)
        return before["predicted_ms"]

    assert play(story, 2) > 900


def test_what_was_learned_outlives_the_selector(play):
    """Stopped by SIGTERM it leaves a document in the ConfigMap; the next one starts with its numbers."""

    async def story(scene):
        (one,) = scene.replicas()
        for _ in range(40):
            await scene.at(one.port, "POST", "/tasks/t", b"x")
        taught = await scene.estimate(one.port)
        world = scene.world
        world.runtime.store.delete(SERVICES, "default", "selector")
        await world.runtime.emptied()
        kept = world.runtime.store.get(CONFIGMAPS, "default", CONFIGMAP)["data"][KEY]
        world.runtime.apply([selector()])
        await scene.ready(1)
        (heir,) = scene.replicas()
        return taught, json.loads(kept), len(kept), await scene.estimate(heir.port)

    taught, kept, size, inherited = play(story)
    assert taught["predicted_ms"] < 100
    assert inherited["predicted_ms"] == pytest.approx(taught["predicted_ms"], rel=0.1)
    assert (kept["version"], list(kept["learned"]["variants"])) == (1, ["held"])
    assert size < 2048


def test_a_rolling_update_of_the_selector_loses_no_request(play):
    """A steady stream through the ingress while a new revision takes over from the old one: every answer is a 200."""

    async def story(scene):
        world, statuses, loop = scene.world, [], asyncio.get_running_loop()
        over = asyncio.Event()

        async def ask() -> None:
            reply = await world.get("/tasks/t", host="selector.default", method="POST", body=b"x")
            statuses.append(reply.status)

        async def stream() -> None:
            async with asyncio.TaskGroup() as group:
                while not over.is_set():
                    group.create_task(ask())
                    await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            group.create_task(stream())
            patch = selector(2)
            patch["spec"]["template"]["metadata"]["annotations"]["example.com/round"] = "2"
            world.runtime.apply([patch])
            await scene.ready(2, "selector-00002")
            await scene.eventually(lambda: not scene.replicas("selector-00001"), within_s=60)
            until = loop.time() + 0.5
            await scene.eventually(lambda: loop.time() > until)
            over.set()
        return statuses

    statuses = play(story, 2)
    assert len(statuses) > 50
    assert set(statuses) == {200}
