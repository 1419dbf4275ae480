"""How far a simulation is from the same run live: the twin of a run, and the gaps between them. Pure but for the twin.

The twin plays the very inputs that were sent, with start times as they were measured live, so that what is compared is
the queueing, the autoscaling and the choosing.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import msgspec

from warmfront.domain import Spread
from warmfront.experiments.live.dummies import Planned
from warmfront.experiments.metrics import quantile, summarise
from warmfront.experiments.simulation.simulator import Run, simulate
from warmfront.experiments.simulation.world import Case, Truth, World
from warmfront.telemetry.records import ReplicaRow, RequestRow

_NO_TIME = Spread(p50=1e-9, p95=1e-9)
_LEAST_SPREAD = 1.02  # of few starts: p95 over p50, so that the law is one


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """One figure live and simulated; `gap` is simulated minus live, `relative` the same over live."""

    figure: str
    live: float
    simulated: float
    gap: float
    relative: float | None


def twin(planned: Planned, live: Run, platform_start_s: Spread) -> Run:
    """Simulate what was played live. `platform_start_s` is what the live selector believed of the platform."""
    scenario, contender = planned.scenario, planned.contender
    told = replace(scenario.settings, platform_start_s=platform_start_s)
    cases = [case for case, _ in planned.inputs()]
    return simulate(
        _measured(contender.world(scenario), cases, live), cases,
        contender.selector(replace(scenario, settings=told), planned.seed), seed=planned.seed,
        run_id=planned.run_id("simulated"), until_s=live.end_s,
    )  # fmt: skip


def starts(replicas: Sequence[ReplicaRow]) -> dict[str, list[float]]:
    """Per variant, how long its starts took from asked for to ready; those that were there at first are left out."""
    found: dict[str, list[float]] = {}
    for one in replicas:
        if one.requested_s > 0 and one.ready_s < one.stopped_s:
            found.setdefault(one.variant, []).append(one.ready_s - one.requested_s)
    return found


def gaps(live: Run, simulated: Run) -> list[Gap]:
    """What the issue of fidelity is judged by."""
    one, other = (summarise(run.requests, run.replicas) for run in (live, simulated))
    pairs = {
        "right and on time": (one.effective_accuracy, other.effective_accuracy),
        "right, of those answered": (one.accuracy or 0.0, other.accuracy or 0.0),
        "on time": (one.on_time, other.on_time),
        "waited for a start": (one.cold_wait_share or 0.0, other.cold_wait_share or 0.0),
        "replica-seconds": (_replica_seconds(live), _replica_seconds(simulated)),
        "GB-seconds per request": (one.gb_s_per_request, other.gb_s_per_request),
    }
    return [
        Gap(figure=figure, live=a, simulated=b, gap=b - a, relative=(b - a) / a if a else None)
        for figure, (a, b) in pairs.items()
    ]


def _replica_seconds(run: Run) -> float:
    return sum(one.stopped_s - one.requested_s for one in run.replicas)


def _measured(world: World, cases: Sequence[Case], live: Run) -> World:
    """The world with starts and hop as they were: the start of one that never started live stays as declared."""
    took = starts(live.replicas)
    beyond_s = left(world, cases, live.requests)
    hop_s = max(median(beyond_s), 0.0) if beyond_s else world.hop_s
    return replace(
        world, truths=tuple(_with_start(truth, world, took.get(truth.variant.name, [])) for truth in world.truths),
        platform_start_s=_NO_TIME, hop_s=hop_s,
    )  # fmt: skip


def left(world: World, cases: Sequence[Case], rows: Sequence[RequestRow]) -> list[float]:
    """What warm answers took beyond all that the world knows of: execution, network, and others on the variant.

    In seconds, in the order of the arrivals; those that waited for a start are left out.
    """
    requests = {case.request.id: case.request for case in cases}
    truths = {truth.variant.name: truth for truth in world.truths}
    ends: dict[str, list[float]] = {}
    beyond_s = []
    for row in sorted(rows, key=lambda row: row.arrival_s):
        truth = truths.get(row.variant or "")
        if truth is None:
            continue
        there = ends[truth.variant.name] = [at for at in ends.get(truth.variant.name, ()) if at > row.arrival_s]
        if not row.cold:
            request = requests[row.request_id]
            known_s = truth.execution_s.p50 + truth.execution_per_kib_s * request.size_bytes / 1024
            known_s += truth.network_s.get(request.region, 0.0) + truth.slowdown_s * len(there)
            beyond_s.append(row.latency_s - known_s)
        there.append(row.arrival_s + row.latency_s)
    return beyond_s


def _with_start(truth: Truth, world: World, took: Sequence[float]) -> Truth:
    if not took:
        p50 = truth.load_s.p50 + world.platform_start_s.p50
        return replace(truth, load_s=Spread(p50=p50, p95=p50 * _LEAST_SPREAD))
    p50, p95 = median(took), quantile(sorted(took), 0.95) or 0.0
    return replace(truth, load_s=Spread(p50=p50, p95=max(p95, p50 * _LEAST_SPREAD)))
