"""Revisions on a running embedded Knative: to zero and back in Knative's times, and through every kind of crash."""

import asyncio
import dataclasses
import json
import os
import signal

import pytest
import uvloop

from warmfront.autoscaling import TICK_S
from warmfront.errors import SetupError
from warmfront.kube.resources import ENDPOINTSLICES, PODAUTOSCALERS, REVISIONS, SERVICES
from warmfront.runtime.runtime import Runtime, RuntimeSettings

WINDOW_S, GRACE_S, LAG_S = 6.0, 30.0, 3.0


async def slept(world, service: str) -> float:
    """Wait until the Service's first revision has no ready replica any more; the instant."""
    gone = asyncio.get_running_loop().create_future()

    def look(_, piece):
        if piece["metadata"]["name"] == f"{service}-00001-private" and not piece["endpoints"] and not gone.done():
            gone.set_result(asyncio.get_running_loop().time())

    stop = world.runtime.store.subscribe(ENDPOINTSLICES, look)
    try:
        return await asyncio.wait_for(gone, 60)
    finally:
        stop()


def test_zero_one_zero_in_knatives_times(world, service):
    """Idle to zero: the window when the activator has been in the path for the grace period, else that period more.

    With target-burst-capacity -1 it is in the path from the beginning, so that only the first sleep waits for the rest
    of the grace period; with 0 it joins when the window is over, every time.
    """

    async def story():
        async with world:
            loop = asyncio.get_running_loop()
            world.runtime.apply([service("held", annotations={"target-burst-capacity": "-1"}), service("direct")])
            created_at = loop.time()

            async def idle_to_zero(name):
                assert world.revision(f"{name}-00001").fleet.ready == []
                assert (await world.get(host=f"{name}.default")).status == 200
                idle_at = loop.time()
                return await slept(world, name) - idle_at

            async def twice():
                await idle_to_zero("held")
                first_s = loop.time() - created_at
                return first_s, await idle_to_zero("held")

            return await asyncio.gather(idle_to_zero("direct"), twice())

    direct_s, (first_s, second_s) = uvloop.run(story())
    assert WINDOW_S + GRACE_S - TICK_S <= direct_s <= WINDOW_S + GRACE_S + LAG_S + TICK_S
    assert GRACE_S - TICK_S <= first_s <= GRACE_S + LAG_S + TICK_S
    assert WINDOW_S - TICK_S <= second_s <= WINDOW_S + LAG_S + TICK_S


def test_the_world_is_told_of_every_step_up(world, service):
    """PodAutoscaler: NoTraffic at zero, Queued while starting, active when ready; the slice names the replica."""

    async def story():
        async with world:
            seen = []

            def look(_, autoscaler):
                status = autoscaler.get("status") or {}
                active = next((c for c in status.get("conditions", []) if c["type"] == "Active"), None)
                if active:
                    step = active["status"], active.get("reason"), status["desiredScale"], status["actualScale"]
                    seen.extend([step] if step not in seen else [])

            world.runtime.apply([service()])
            world.runtime.store.subscribe(PODAUTOSCALERS, look)
            await world.get()
            piece = world.runtime.store.get(ENDPOINTSLICES, "default", "echo-00001-private")
            status = world.runtime.store.get(REVISIONS, "default", "echo-00001")["status"]
            return seen, piece, world.revision().fleet.ready[0].port, status

    seen, piece, port, status = uvloop.run(story())
    assert seen == [("False", "NoTraffic", 0, 0), ("Unknown", "Queued", 1, 0), ("True", None, 1, 1)]
    assert piece["metadata"]["labels"]["kubernetes.io/service-name"] == "echo-00001-private"
    assert piece["metadata"]["labels"]["serving.knative.dev/revision"] == "echo-00001"
    assert [endpoint["addresses"] for endpoint in piece["endpoints"]] == [["127.0.0.1"]]
    assert [entry["port"] for entry in piece["ports"]] == [port]
    assert (status["actualReplicas"], status["desiredReplicas"]) == (1, 1)


def test_with_initial_scale_one_a_revision_is_ready_after_its_first_replica(world, service, echo_fn, eventually):
    """Ready is Unknown while the gate is shut, True once the replica answered its probe."""
    (echo_fn / "gate").touch()

    async def story():
        async with world:
            world.runtime.apply([service(annotations={"initial-scale": "1"})])
            await eventually(lambda: world.revision().fleet.starting)
            before = world.condition(SERVICES, "echo", "Ready")["status"]
            (echo_fn / "gate").unlink()
            await eventually(lambda: world.condition(SERVICES, "echo", "Ready")["status"] == "True")
            return before, len(world.revision().fleet.ready)

    assert uvloop.run(story()) == ("Unknown", 1)


def test_min_scale_on_the_revision_wakes_it_without_a_new_revision(world, service, eventually):
    """Patched in, a replica comes; patched out, it is wanted no more. There is one revision all the time."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            store = world.runtime.store

            def patch(value):
                annotations = {"autoscaling.knative.dev/min-scale": value}
                store.merge(REVISIONS, "default", "echo-00001", {"metadata": {"annotations": annotations}})

            patch("1")
            await eventually(lambda: world.revision().fleet.ready)
            active = world.condition(PODAUTOSCALERS, "echo-00001", "Active")["status"]
            patch(None)
            await eventually(lambda: world.condition(PODAUTOSCALERS, "echo-00001", "Active")["status"] == "False")
            return active, [revision["metadata"]["name"] for revision in store.list(REVISIONS, None)[0]]

    assert uvloop.run(story()) == ("True", ["echo-00001"])


def test_a_held_request_survives_crashes_during_the_start(world, service, echo_fn):
    """Two starts fail, the third one answers the request that woke the revision."""
    (echo_fn / "crashes").write_text("2")

    async def story():
        async with world:
            world.runtime.apply([service()])
            return await world.get(), world.revision().traffic

    reply, traffic = uvloop.run(story())
    assert reply.status == 200
    assert (traffic.requests, traffic.failures) == (1, 0)


def test_the_third_crash_is_a_crash_loop_and_recovery_ends_it(world, service, echo_fn, eventually):
    """ContainerHealthy False with the last line printed; the request is held all the time and answered in the end."""
    (echo_fn / "crashes").write_text("1000")

    async def story():
        async with world:
            world.runtime.apply([service()])
            request = asyncio.create_task(world.get())
            healthy = lambda: world.condition(REVISIONS, "echo-00001", "ContainerHealthy")
            await eventually(lambda: healthy().get("reason") == "CrashLoopBackOff")
            trouble = healthy()
            (echo_fn / "crashes").unlink()
            return trouble, (await request).status, healthy()["status"]

    trouble, status, healthy = uvloop.run(story())
    assert trouble["status"] == "False"
    assert "cannot load the model" in trouble["message"]
    assert "exit code 1" in trouble["message"]
    assert (status, healthy) == (200, "True")


def test_a_crash_loop_is_forgiven_at_zero(world, service, echo_fn, eventually):
    """When nobody wants a replica any more none is broken: the Service is ready to be tried again."""
    (echo_fn / "crashes").write_text("1000")

    async def story():
        async with world:
            world.runtime.apply([service()])
            request = asyncio.create_task(world.get())
            ready = lambda: world.condition(SERVICES, "echo", "Ready")["status"]
            await eventually(lambda: ready() == "False")
            request.cancel()
            revision = world.revision()
            # what comes 630 s later, when the activation is given up
            revision._apply(dataclasses.replace(revision.scaler.scale, replicas=0))
            return ready()

    assert uvloop.run(story()) == "True"


def test_a_machine_has_room_for_so_many_replicas_and_no_more(world, service, eventually):
    """Five are wanted and said to be, three are started."""

    async def story():
        async with world:
            world.runtime.apply([service(annotations={"min-scale": "5"})])
            await eventually(lambda: len(world.revision().fleet.ready) == world.settings.max_replicas)
            status = world.runtime.store.get(PODAUTOSCALERS, "default", "echo-00001")["status"]
            return len(world.revision().fleet.replicas), status["desiredScale"], status["actualScale"]

    assert uvloop.run(story()) == (3, 5, 3)


def test_a_replica_killed_in_flight_fails_its_request_and_is_replaced(world, service, echo_fn, eventually):
    """502 for what was sent, and another process for the next request."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            pid = json.loads((await world.get()).body)["pid"]
            held = asyncio.create_task(world.get("/hold"))
            await eventually((echo_fn / "hold.seen").exists)
            os.kill(pid, signal.SIGKILL)
            failed = await held
            after = await world.get()
            return failed, pid, after

    failed, pid, after = uvloop.run(story())
    assert failed.status == 502
    assert b"echo-00001" in failed.body
    assert after.status == 200
    assert json.loads(after.body)["pid"] != pid


def test_an_image_without_a_folder_says_what_to_do_and_recovers(world, service, echo_fn, eventually):
    """Ready=False with both places looked at; when the folder appears the Service becomes ready by itself."""
    hidden = echo_fn.with_name("elsewhere")
    echo_fn.rename(hidden)

    async def story():
        async with world:
            world.runtime.apply([service()])
            ready = lambda: world.condition(SERVICES, "echo", "Ready")
            await eventually(lambda: ready()["status"] == "False")
            message = ready()["message"]
            refused = await world.get()
            hidden.rename(echo_fn)
            await eventually(lambda: ready()["status"] == "True")
            return message, refused, (await world.get()).status

    message, refused, status = uvloop.run(story())
    assert str(echo_fn) in message
    assert "warmfront up" in message
    assert (refused.status, status) == (503, 200)
    assert str(echo_fn).encode() in refused.body


def test_a_new_start_serves_what_the_last_one_knew(tmp_path, world, service, eventually):
    """Services outlive the runtime; nothing is started before it is asked for, not even the initial scale again."""

    async def story():
        async with world:
            world.runtime.apply([service(annotations={"initial-scale": "1"})])
            await eventually(lambda: world.condition(SERVICES, "echo", "Ready")["status"] == "True")
        again = type(world)(tmp_path)
        async with again:
            before = again.revision().fleet.replicas
            return list(before), (await again.get()).status

    assert uvloop.run(story()) == ([], 200)


def test_one_runtime_per_state_folder(tmp_path, world):
    """A second one is told so, and the first goes on."""

    async def story():
        async with world:
            second = Runtime(RuntimeSettings(root=tmp_path, state=tmp_path / "state", port=0, api_port=0))
            with pytest.raises(SetupError, match=r"already runs on .*state.*--port of its own"):
                await second.start()

    uvloop.run(story())


def test_deleting_a_service_ends_its_replicas_and_leaves_their_record(world, service):
    """`emptied` waits for the end of them and tells when each was asked for, ready and gone."""

    async def story():
        async with world:
            world.runtime.apply([service()])
            pid = json.loads((await world.get()).body)["pid"]
            world.runtime.store.delete(SERVICES, "default", "echo")
            records = await world.runtime.emptied()
            return pid, records, await world.runtime.emptied()

    pid, (record,), later = uvloop.run(story())
    assert (record.variant, record.revision) == ("echo", "echo-00001")
    assert record.requested_s < record.ready_s < record.stopped_s
    assert later == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
