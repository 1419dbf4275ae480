"""A scenario on the embedded Knative: everything applied to a runtime of its own, played, and taken away."""

import asyncio
import tempfile
from pathlib import Path

from warmfront.errors import SetupError
from warmfront.experiments.live.dummies import Planned, service_name
from warmfront.experiments.live.player import Player, Progress
from warmfront.experiments.simulation.simulator import Run
from warmfront.kube.resources import SERVICES
from warmfront.runtime.fleet import ReplicaRecord
from warmfront.runtime.readiness import wait_ready
from warmfront.runtime.runtime import Runtime, RuntimeSettings
from warmfront.telemetry.records import ReplicaRow

IMAGE = "dev.local/dummy-model-fn:v1"
_NAMESPACE = "default"
_READY_S = 60.0


async def run(planned: Planned, changed: Progress) -> Run:
    """Rows as a simulation's; times are seconds since the first request could have come.

    Raises SetupError when something is missing.
    """
    with tempfile.TemporaryDirectory(prefix="warmfront-experiment-") as state:
        runtime = Runtime(RuntimeSettings(root=planned.root, state=Path(state), port=0, api_port=0))
        await runtime.start()
        try:
            runtime.apply([*planned.variants(IMAGE), planned.selector()])
            if waiting := await wait_ready(runtime.store, _READY_S):
                raise SetupError(f"not ready after {_READY_S:.0f} s: {'; '.join(waiting)}")
            return await _play(runtime, planned, changed)
        finally:
            await runtime.stop()


async def _play(runtime: Runtime, planned: Planned, changed: Progress) -> Run:
    loop = asyncio.get_running_loop()
    player = Player(planned, runtime.addresses.service(_NAMESPACE, "selector"), "embedded", changed)
    await player.play()
    await asyncio.sleep(max(player.began_at + planned.scenario.duration_s - loop.time(), 0.0))
    ended_at = loop.time()
    for obj in runtime.store.list(SERVICES, _NAMESPACE)[0]:
        runtime.store.delete(SERVICES, _NAMESPACE, obj["metadata"]["name"])
    records = await runtime.emptied()
    rows = [_row(record, planned, player.began_at, ended_at) for record in records]
    replicas = [row for row in rows if row is not None and row.stopped_s > 0]
    return Run(requests=player.rows, replicas=replicas, end_s=ended_at - player.began_at)


def _row(record: ReplicaRecord, planned: Planned, began_at: float, ended_at: float) -> ReplicaRow | None:
    """A variant's replica within the run; why it was started is not known here."""
    truths = {service_name(truth.variant.name): truth for truth in planned.scenario.world.truths}
    truth = truths.get(record.variant)
    if truth is None:
        return None
    stopped_at = min(record.stopped_s, ended_at)
    ready_at = stopped_at if record.ready_s is None else min(record.ready_s, stopped_at)
    return ReplicaRow(
        run_id=planned.run_id("embedded"), variant=truth.variant.name, revision=record.revision,
        requested_s=max(record.requested_s - began_at, 0.0), ready_s=max(ready_at - began_at, 0.0),
        stopped_s=stopped_at - began_at, cause="scale", memory_mb=truth.memory_mb,
    )  # fmt: skip
