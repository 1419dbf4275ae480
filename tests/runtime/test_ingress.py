"""The ingress of a running embedded Knative: hosts, probes, headers, limits, timeouts, streams, latency."""

import asyncio
import json

import pytest
import uvloop

from warmfront.kube.resources import SERVICES

PROXY = "k-proxy-request"


def seen(reply) -> dict:
    """What the function says it was sent; header names in lower case."""
    told = json.loads(reply.body)
    told["headers"] = {name.lower(): value for name, value in told["headers"].items()}
    return told


def test_an_unknown_host_is_told_what_is_known(world, service):
    """404 with the host that came and the hosts there are, the Broker's among them."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            return await world.get(host="nobody.default")

    reply = uvloop.run(story())
    assert reply.status == 404
    for part in (b"nobody.default.localhost", b"echo.default.localhost", b"broker-ingress.knative-eventing.localhost"):
        assert part in reply.body


def test_method_path_query_and_body_arrive_as_sent(world, service):
    """Nothing is decoded on the way; the Host header stays, the forwarding headers tell where it came from."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            return await world.get("/a%20b?x=%C3%A4&y", method="POST", headers=[(b"x-own", b"1")], body="grüß".encode())

    told = seen(uvloop.run(story()))
    assert (told["path"], told["body"]) == ("/a%20b?x=%C3%A4&y", "grüß")
    assert told["headers"]["host"].startswith("echo.default.localhost:")
    assert told["headers"]["x-own"] == "1"
    assert (told["headers"]["x-forwarded-for"], told["headers"]["x-forwarded-proto"]) == ("127.0.0.1", "http")


def test_only_the_activator_marks_requests_and_only_what_it_held(world, service):
    """Burst capacity 0: the request that woke the revision carries the mark, the next does not; forged ones go."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            return [seen(await world.get(headers=[(b"k-proxy-request", b"forged")])) for _ in range(2)]

    cold, warm = uvloop.run(story())
    assert cold["headers"][PROXY] == "activator"
    assert PROXY not in warm["headers"]


def test_burst_capacity_minus_one_keeps_the_activator_in_the_path(world, service):
    """Then a warm request is marked, too."""

    async def story():
        async with world:
            world.runtime.apply([service(annotations={"target-burst-capacity": "-1"})])
            return [seen(await world.get()) for _ in range(2)]

    assert [told["headers"].get(PROXY) for told in uvloop.run(story())] == ["activator", "activator"]


def test_network_probes_tell_the_mode_and_wake_nothing(world, service):
    """At zero the activator answers; once warm queue-proxy does, and only to Knative's own components."""
    activator, queue = (b"k-network-probe", b"activator"), (b"k-network-probe", b"queue")
    knative = (b"user-agent", b"Knative-Autoscaling-Probe")

    async def story():
        async with world:
            world.runtime.apply([service()])
            cold = [await world.get(headers=[activator]), await world.get(headers=[queue])]
            woken = len(world.revision().fleet.replicas)
            await world.get()
            warm = [await world.get(headers=[kind, knative]) for kind in (activator, queue)]
            return cold, woken, warm, await world.get(headers=[activator])

    cold, woken, warm, passed_on = uvloop.run(story())
    assert [(reply.status, reply.body) for reply in cold] == [
        (200, b"activator"),
        (400, b'unexpected probe header value: "queue"'),
    ]
    assert woken == 0
    assert [reply.status for reply in warm] == [400, 200]
    assert warm[1].body == b"queue"
    assert seen(passed_on)["headers"]["k-network-probe"] == "activator"


def test_container_concurrency_bounds_what_is_in_flight_and_what_waits(world, service, echo_fn, eventually):
    """Concurrency 1 on one replica: 1 in flight, 10 waiting, the next is 503; all held ones are answered in the end."""

    async def story():
        async with world:
            world.runtime.apply([service(containerConcurrency=1, annotations={"max-scale": "1"})])
            await world.get()
            held = [asyncio.create_task(world.get("/hold")) for _ in range(11)]
            await eventually(lambda: world.revision().traffic.queued == 10)
            in_flight = world.revision().traffic.in_flight
            refused = await world.get()
            (echo_fn / "hold").touch()
            return in_flight, refused, [reply.status for reply in await asyncio.gather(*held)]

    in_flight, refused, statuses = uvloop.run(story())
    assert in_flight == 1
    assert refused.status == 503
    assert b"pending request queue full" in refused.body
    assert refused.header(b"retry-after") == b"1"
    assert statuses == [200] * 11


@pytest.mark.parametrize(("blocker", "path", "body"), [("gate", "/", b"activator"), ("", "/hold", b"")])
def test_the_timeout_spans_the_whole_wait(world, service, echo_fn, blocker, path, body):
    """A cold start that never ends and an execution that never ends: 504 each, in Knative's words."""

    async def story():
        async with world:
            world.runtime.apply([service(timeoutSeconds=1)])
            if blocker:
                (echo_fn / blocker).touch()
            else:
                await world.get()
            reply = await world.get(path)
            traffic = world.revision().traffic
            return reply, traffic.in_flight + traffic.queued

    reply, left = uvloop.run(story())
    assert (reply.status, reply.body.strip()) == (504, (body + b" request timeout").strip())
    assert left == 0


@pytest.mark.parametrize("blocker", ["gate", "hold"])
def test_a_client_that_leaves_frees_its_place(world, service, echo_fn, eventually, blocker):
    """Whether it waited for the start or was in flight."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            if blocker == "gate":
                (echo_fn / "gate").touch()
            request = asyncio.create_task(world.get("/hold"))
            load = lambda: world.revision().traffic.in_flight + world.revision().traffic.queued
            await eventually(load)
            if blocker == "hold":
                await eventually((echo_fn / "hold.seen").exists)
            request.cancel()
            await eventually(lambda: load() == 0)
            (echo_fn / "gate").unlink(missing_ok=True)
            return (await world.get()).status

    assert uvloop.run(story()) == 200


def test_tags_and_percentages_lead_to_their_revisions(world, service):
    """`old-echo` always means the first revision; the main host follows the split; a new template is a new revision."""

    async def story():
        async with world:
            first = service()
            world.runtime.apply([first])
            second = service()
            second["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "EDITION", "value": "2"}]
            second["spec"]["traffic"] = [
                {"revisionName": "echo-00001", "percent": 0, "tag": "old"},
                {"latestRevision": True, "percent": 100},
            ]
            world.runtime.apply([second])
            urls = [
                entry.get("url") for entry in world.runtime.store.get(SERVICES, "default", "echo")["status"]["traffic"]
            ]
            main, old = await world.get(), await world.get(host="old-echo.default")
            return urls, seen(main)["env"]["K_REVISION"], seen(old)["env"]["K_REVISION"]

    urls, main, old = uvloop.run(story())
    assert urls[0].startswith("http://old-echo.default.localhost:")
    assert (main, old) == ("echo-00002", "echo-00001")


def test_latency_by_region_is_added_on_the_way(world, service):
    """The annotation names 200 ms for one region: its request takes at least that, and longer than another one's."""

    async def story():
        async with world:
            far = service()
            far["metadata"]["annotations"] = {"warmfront.dev/network-ms": '{"eu": 200}'}
            world.runtime.apply([far])
            await world.get()
            loop, times = asyncio.get_running_loop(), []
            for region in (b"eu", b"us"):
                began = loop.time()
                await world.get(headers=[(b"warmfront-region", region)])
                times.append(loop.time() - began)
            return times

    eu_s, us_s = uvloop.run(story())
    assert eu_s >= 0.2
    assert us_s < eu_s


def test_a_replica_that_ended_by_itself_costs_the_next_request_nothing(world, service):
    """The request waits for another process instead of failing."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            before = seen(await world.get())["pid"]
            await world.revision().fleet.ready[0].stop(5)
            return before, seen(await world.get())["pid"], world.revision().traffic.failures

    before, after, failures = uvloop.run(story())
    assert before != after
    assert failures == 0


def test_the_status_table_counts_what_happened(world, service):
    """One Service: warm, two requests, no failure, quantiles of their latencies in order."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            cold = world.runtime.snapshot()
            await world.get()
            await world.get()
            return cold, world.runtime.snapshot()

    (before,), (after,) = uvloop.run(story())
    assert (before.warmth.value, before.requests, before.p50_s, before.message) == ("cold", 0, None, "")
    assert (after.warmth.value, after.ready, after.requests, after.failures) == ("warm", 1, 2, 0)
    assert 0 < after.p50_s <= after.p95_s
