"""Two variants as processes on the embedded Knative, one of which hangs: a second request saves the deadline."""

import asyncio
import json
from pathlib import Path

import pytest
import uvloop

ROOT = Path(__file__).parents[2]
VARIANT = """
NAME = os.environ["K_SERVICE"]


class Handler(Answers):
    def do_GET(self):
        self.reply(b"ready")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        while (FOLDER / f"{NAME}.hangs").exists():
            time.sleep(0.005)
        self.reply(NAME.encode(), content_type="text/plain")
"""
#: `steady` is said to take 0.5 s at most, 19 times of 20; it takes milliseconds. So there is time enough to be saved.
PROFILES = {
    "exact": {"accuracy": 0.9, "latency_s": {"p50": 0.1, "p95": 0.2}},
    "steady": {"accuracy": 0.7, "latency_s": {"p50": 0.3, "p95": 0.5}},
}


def service(name, image, *, profile=None, env=None):
    marks = {"labels": {"warmfront.dev/task": "t"}, "annotations": {"warmfront.dev/profile": json.dumps(profile)}}
    container = {"image": image, "readinessProbe": {"httpGet": {"path": "/readyz"}}}
    container["env"] = [{"name": key, "value": text} for key, text in (env or {}).items()]
    spec = {"containers": [container], **({} if profile else {"serviceAccountName": "selector"})}
    template = {"metadata": {"annotations": {"autoscaling.knative.dev/min-scale": "1"}}, "spec": spec}
    return {
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": {"name": name, **(marks if profile else {})}, "spec": {"template": template},
    }  # fmt: skip


@pytest.fixture
def play(world, eventually, tmp_path, folder_of):
    """Run `story(ask, hang)` beside a selector with this environment; its metrics then."""
    folder = folder_of("either_fn", VARIANT)
    (tmp_path / "selector_fn").symlink_to(ROOT / "selector_fn")

    def ready(revision):
        found = world.runtime.data_plane.find("default", revision)
        return found is not None and found.fleet.ready

    async def ask(path="/tasks/t", headers=(), method="POST"):
        fields = [(name.encode(), text.encode()) for name, text in dict(headers).items()]
        return await world.get(path, host="selector.default", method=method, headers=fields, body=b"x")

    def run(story, env):
        async def go():
            async with world:
                world.runtime.apply([
                    *(service(name, "dev.local/either-fn:v1", profile=told) for name, told in PROFILES.items()),
                    service("selector", "dev.local/selector-fn:v1", env=env),
                ])  # fmt: skip
                for revision in ("exact-00001", "steady-00001", "selector-00001"):
                    await eventually(lambda revision=revision: ready(revision))
                try:
                    await story(ask, (folder / "exact.hangs").touch)
                    return (await ask("/metrics", method="GET")).body.decode()
                finally:
                    (folder / "exact.hangs").unlink(missing_ok=True)

        return uvloop.run(go())

    return run


async def warm(ask):
    """Both are seen ready by the selector."""
    async with asyncio.timeout(20):
        while True:
            seen = json.loads((await ask("/tasks/t", method="GET")).body).get("variants", [])
            if sorted(one["variant"] for one in seen if one["ready"]) == ["exact", "steady"]:
                return
            await asyncio.sleep(0.02)


def test_the_deadline_is_saved_by_the_second(play):
    """3 s in all: the exact one hangs, the steady one is asked half a second before the end and answers in time; the
    same for an event.
    """
    told = {}

    async def story(ask, hang):
        await warm(ask)
        told["before"] = await ask(headers={"warmfront-deadline-ms": "3000"})
        hang()
        told["hung"] = await ask(headers={"warmfront-deadline-ms": "3000"})
        event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "dev.warmfront.inference.request"}
        told["event"] = await ask("/", headers=event | {"ce-subject": "t", "ce-deadlinems": "3000"})

    metrics = play(story, {"WARMFRONT_HEDGE": "on", "WARMFRONT_HEDGE_SHARE": "1"})
    assert (told["before"].body, told["before"].header(b"warmfront-hedged")) == (b"exact", None)
    assert (told["hung"].body, told["hung"].header(b"warmfront-hedged")) == (b"steady", b"true")
    assert (told["event"].body, told["event"].header(b"ce-hedged")) == (b"steady", b"true")
    assert 'warmfront_requests_total{task="t",variant="steady",status="ok"} 2\n' in metrics
    assert 'warmfront_hedges_total{task="t",variant="steady",result="won"} 2\n' in metrics
    assert "warmfront_in_flight 0" in metrics


def test_without_it_the_deadline_is_missed(play):
    """Off, as by default: the hanging one is waited for until the transport's timeout."""

    async def story(ask, hang):
        await warm(ask)
        hang()
        reply = await ask(headers={"warmfront-deadline-ms": "300"})
        assert reply.status == 504

    metrics = play(story, {"WARMFRONT_TIMEOUT_S": "2"})
    assert 'warmfront_requests_total{task="t",variant="exact",status="failed"} 1\n' in metrics
    assert "warmfront_hedges_total{" not in metrics
