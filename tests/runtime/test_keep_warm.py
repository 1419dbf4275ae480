"""Keeping warm on the embedded Knative: real selectors, Revisions and replicas, the command line of every day."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvloop
from click.testing import CliRunner

from warmfront.cli.app import cli
from warmfront.domain import Keep, Release
from warmfront.gateway.app import App, fault
from warmfront.gateway.settings import Settings
from warmfront.kube.connection import Connection
from warmfront.kube.kept import BEFORE, BY, MIN_SCALE, UNTIL
from warmfront.kube.resources import LEASES, PODAUTOSCALERS, REVISIONS, annotations_of, condition_of
from warmfront.runtime.apiserver import ApiServer
from warmfront.wire.pool import Origin, Pool
from warmfront.wire.server import Server

TOKEN = "0f" * 16


@dataclass
class Selector:
    """A selector with its own front, and the command line pointed at it."""

    app: App
    url: str

    async def run(self, *arguments: str) -> str:
        """What `warmfront ARGUMENTS` prints."""
        result = await asyncio.to_thread(CliRunner().invoke, cli, [*arguments, "--selector", self.url])
        return result.output if result.exception is None else str(result.exception)

    @property
    def leads(self) -> bool:
        keeper = self.app.gateway.keeping.keeper
        return keeper is not None and keeper.leads

    def sees(self, revision: str) -> bool:
        """Whether its catalogue has come to this revision."""
        seen = self.app.gateway.plane.selector.catalogue.get("echo")
        return seen is not None and seen.variant.revision == revision


@asynccontextmanager
async def selector(
    world, eventually, *, keep_warm: bool = True, origin: Origin | None = None
) -> AsyncIterator[Selector]:
    """A running selector over the world's API, or over the one at `origin`; closed in good order."""
    connection = Connection.load({"KUBECONFIG": str(world.runtime.kubeconfig)})
    if origin is not None:
        connection = Connection(origin=origin, token=TOKEN)
    app = App(Settings(keep_warm=keep_warm), connection)
    server = Server(app.gateway.handle, fault=fault)
    await app.start()
    made = Selector(app, f"http://127.0.0.1:{await server.listen('127.0.0.1', 0)}")
    try:
        await eventually(lambda: made.sees("echo-00001"))
        yield made
    finally:
        await server.close(0)
        await app.close()


def variant(service, **annotations):
    """The Service `echo`, a variant of task `t`."""
    manifest = service(annotations={"target-burst-capacity": "-1", **annotations})
    manifest["metadata"]["labels"] = {"warmfront.dev/task": "t"}
    return manifest


def written(world, revision="echo-00001"):
    """The annotations of the revision that keeping has to do with."""
    found = annotations_of(world.runtime.store.get(REVISIONS, "default", revision))
    return {name: found[name] for name in (MIN_SCALE, UNTIL, BY, BEFORE) if name in found}


def test_a_kept_variant_stays_beyond_its_window_and_goes_when_its_time_is_over(world, service, eventually):
    """One replica comes and stays active for longer than the window of 6 s; 2 s after the end nothing is left of it."""

    async def story():
        async with world:
            world.runtime.apply([variant(service)])
            loop, activity = asyncio.get_running_loop(), []
            async with selector(world, eventually) as one:
                await eventually(lambda: one.leads)
                asked_at = loop.time()
                said = await one.run("warm", "echo", "--for", "9s")
                await eventually(lambda: world.condition(PODAUTOSCALERS, "echo-00001", "Active")["status"] == "True")

                def look(_, autoscaler):
                    if written(world):
                        activity.append((condition_of(autoscaler, "Active") or {}).get("status"))

                stop = world.runtime.store.subscribe(PODAUTOSCALERS, look)
                shown = await one.run("tasks", "t"), await one.run("warm-set", "t")
                await eventually(lambda: not written(world))
                ended_s = loop.time() - asked_at
                stop()
                ready = len(world.revision().fleet.ready)
                await eventually(lambda: world.condition(PODAUTOSCALERS, "echo-00001", "Active")["status"] == "False")
            names = [revision["metadata"]["name"] for revision in world.runtime.store.list(REVISIONS, None)[0]]
            return said, shown, ended_s, set(activity), ready, names

    said, shown, ended_s, activity, ready, names = uvloop.run(story())
    assert said.startswith("echo (echo-00001) is kept warm until 20")
    assert "echo: kept warm until 20" in shown[0]
    assert shown[1].startswith("t  (no request yet; the plan starts and keeps)")
    assert "nothing is planned" in shown[1]
    assert 9.0 <= ended_s <= 9.0 + 1.0 + 2.0  # ends are whole seconds
    assert (activity, ready) == ({"True"}, 1)
    assert names == ["echo-00001"]


def test_release_gives_back_the_min_scale_that_was_there(world, service, eventually):
    """Two while kept, one before and after; a second release says that there was nothing to do."""

    async def story():
        async with world:
            world.runtime.apply([variant(service, **{"min-scale": "1"})])
            async with selector(world, eventually) as one:
                await one.run("warm", "echo", "--for", "10m", "--replicas", "2")
                await eventually(lambda: len(world.revision().fleet.ready) == 2)
                kept = written(world)
                return kept, await one.run("release", "echo"), written(world), await one.run("release", "echo")

    kept, released, after, again = uvloop.run(story())
    assert (kept[MIN_SCALE], kept[BEFORE], kept[BY]) == ("2", "1", "person")
    assert (released, after) == ("echo is released\n", {MIN_SCALE: "1"})
    assert again == "echo was not kept warm; nothing changed\n"


def test_two_selectors_do_not_fight_and_the_second_goes_on_where_the_first_stopped(world, service, eventually):
    """One leads. The same keep by both is written once; when the leader ends, the other ends what is over."""

    async def story():
        async with world:
            world.runtime.apply([variant(service)])
            writes = []
            async with selector(world, eventually) as second:
                await eventually(lambda: second.leads)
                async with selector(world, eventually) as first:
                    await asyncio.gather(*(one.run("warm", "echo", "--for", "20m") for one in (first, second)))
                    stop = world.runtime.store.subscribe(REVISIONS, lambda _, __: writes.append(written(world)))
                    now = first.app.gateway.plane.clock()
                    keep = Keep(variant="echo", revision="echo-00001", until_at=now + 600, reason="of their own accord")
                    for one in (first, second, first):
                        await one.app.gateway.keeping.keeper.keep(keep, by=one.app.gateway.keeping.keeper.own)
                    stop()
                    leaders = [one.leads for one in (first, second)]
                    holder = world.runtime.store.get(LEASES, "default", "warmfront-selector")["spec"]["holderIdentity"]
                    await second.app.close()  # the leader goes, in good order
                    await eventually(lambda: first.leads)
                    await first.run("warm", "echo", "--for", "1s")
                    await eventually(lambda: not written(world))
                    own = second.app.gateway.keeping.keeper.own
            return writes, leaders, holder, own

    writes, leaders, holder, own = uvloop.run(story())
    assert len({tuple(sorted(kept.items())) for kept in writes}) == 1  # a person's word stands: nothing was written
    assert leaders == [False, True]
    assert own == f"selector/{holder}"


def test_a_selector_takes_back_its_own_keeps_when_it_ends_and_no_persons(world, service, eventually):
    """The plan's Keep and Release are carried out by the one that leads; what people asked for stays."""

    async def story():
        async with world:
            world.runtime.apply([variant(service)])
            async with selector(world, eventually) as one:
                await eventually(lambda: one.leads)
                keeping = one.app.gateway.keeping
                until_at = one.app.gateway.plane.clock() + 600
                keep = Keep(variant="echo", revision="echo-00001", until_at=until_at, reason="worth it", replicas=1)
                keeping.act(keep)
                await eventually(lambda: written(world).get(BY) == keeping.keeper.own)
                keeping.act(Release(variant="echo", revision="echo-00001", reason="worth it no more"))
                await eventually(lambda: not written(world))
                keeping.act(keep)
                await eventually(lambda: written(world))
            own = written(world)
            lease = world.runtime.store.get(LEASES, "default", "warmfront-selector")["spec"]
            async with selector(world, eventually) as one:
                await one.run("warm", "echo", "--for", "10m")
                await eventually(lambda: one.leads)
                one.app.gateway.keeping.act(Release(variant="echo", revision="echo-00001", reason="not worth it"))
                await eventually(lambda: not one.app.gateway.keeping._under_way)
            return own, lease.get("holderIdentity"), written(world).get(BY)

    assert uvloop.run(story()) == ({}, None, "person")


def test_what_is_kept_is_the_variant_so_a_new_revision_takes_over(world, service, eventually):
    """The keep moves to the revision that serves now, with its end and author, and the old one is let go."""

    async def story():
        async with world:
            world.runtime.apply([variant(service)])
            async with selector(world, eventually) as one:
                await one.run("warm", "echo", "--for", "10m")
                before = written(world)
                world.runtime.apply([variant(service, **{"max-scale": "2"})])
                await eventually(lambda: not written(world))
                return before, written(world, "echo-00002")

    before, after = uvloop.run(story())
    assert after == before


def test_where_it_is_off_it_is_refused_with_what_to_do(world, service, eventually):
    """Nobody would end it, so nobody begins it. Unknown variants and impossible durations are named."""

    async def story():
        async with world:
            world.runtime.apply([variant(service)])
            async with selector(world, eventually, keep_warm=False) as off:
                refused = await off.run("warm", "echo", "--for", "10m"), await off.run("release", "echo")
            async with selector(world, eventually) as one:
                unknown = await one.run("warm", "nobody", "--for", "1m")
                pool = Pool()
                too_long = await pool.fetch(
                    Origin.parse(one.url), "POST", "/warm/echo?for=3596400", [], b"", timeout_s=9
                )
                await pool.close()
            return refused, unknown, too_long.body.decode(), written(world)

    refused, unknown, too_long, kept = uvloop.run(story())
    assert all("WARMFRONT_KEEP_WARM=on" in said for said in refused)
    assert "no variant 'nobody'; known are echo" in unknown
    assert "for is '3596400'; it must be a number of seconds above 0, at most 604800" in too_long
    assert kept == {}


def test_without_the_permission_it_says_so_and_does_nothing(world, service, eventually):
    """An API server that forbids the patch: /readyz tells what to apply, `warm` is refused with the same words."""

    async def story():
        async with world:
            world.runtime.apply([variant(service)])
            api = ApiServer(world.runtime.store, TOKEN)

            def guard(exchange):
                if exchange.method == "PATCH" and "/revisions/" in exchange.path:
                    exchange.respond(
                        403, [(b"content-type", b"application/json")], b'{"message": "patch is forbidden"}'
                    )
                else:
                    api.handle(exchange)

            server = Server(guard)
            origin = Origin(host="127.0.0.1", port=await server.listen("127.0.0.1", 0))
            try:
                async with selector(world, eventually, origin=origin) as one:
                    await eventually(lambda: one.leads)
                    await eventually(lambda: "no permission" in one.app.gateway.describe()["keep-warm"])
                    said = one.app.gateway.describe()["keep-warm"]
                    return said, await one.run("warm", "echo", "--for", "10m"), written(world)
            finally:
                api.close()
                await server.close(0)

    said, refused, kept = uvloop.run(story())
    assert "patch is forbidden" in said
    assert "knative/components/keep-warm" in said
    assert said in refused
    assert kept == {}
