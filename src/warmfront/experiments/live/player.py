"""Sends a scenario's requests to a selector at their times, and writes down what became of each.

A request's latency counts from when it was due, so a late sender does not hide waiting. What must not live here:
where the selector runs.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from warmfront.domain import OnMiss, Status
from warmfront.errors import ServiceError
from warmfront.experiments.live.dummies import SEED, Planned, service_name
from warmfront.experiments.simulation.world import Case, Truth
from warmfront.function.dummy import expected_label
from warmfront.telemetry.records import RequestRow
from warmfront.wire.messages import Response
from warmfront.wire.pool import Origin, Pool

_TIMEOUT_S = 120.0
_WAIT_S = 0.05  # so much later than nearly all warm answers, one has waited

Progress = Callable[[int, int], None]
"""Called with how many were sent and how many of them have ended."""


class Player:
    """Plays once; `rows` are in the order of their ends, `began_at` is second 0 on the loop's clock."""

    def __init__(self, planned: Planned, url: str, target: str, changed: Progress) -> None:
        self.rows: list[RequestRow] = []
        self.began_at = 0.0
        self._planned, self._target, self._changed = planned, target, changed
        self._inputs = planned.inputs()
        self._origin = Origin.parse(url)
        self._truths = {service_name(truth.variant.name): truth for truth in planned.scenario.world.truths}
        self._sent = 0

    async def play(self) -> None:
        """All requests, to the last answer."""
        pool, loop = Pool(), asyncio.get_running_loop()
        self.began_at = loop.time()
        world = self._planned.scenario.world
        try:
            async with asyncio.TaskGroup() as group:
                if world.streams:
                    waiting = iter(self._inputs)
                    for _ in range(world.streams):
                        group.create_task(self._caller(pool, waiting, world.pause_s))
                    return
                for case, body in self._inputs:
                    due = self.began_at + case.request.arrival_at
                    await asyncio.sleep(max(due - loop.time(), 0.0))
                    group.create_task(self._ask(pool, case, body, due))
        finally:
            await pool.close()

    async def _caller(self, pool: Pool, waiting: Iterator[tuple[Case, bytes]], pause_s: float) -> None:
        for case, body in waiting:
            await self._ask(pool, case, body, asyncio.get_running_loop().time())
            await asyncio.sleep(pause_s)

    async def _ask(self, pool: Pool, case: Case, body: bytes, due: float) -> None:
        self._sent += 1
        self._changed(self._sent, len(self.rows))
        response: Response | None = None
        with contextlib.suppress(ServiceError):  # then the row says failed
            response = await pool.fetch(
                self._origin, "POST", f"/tasks/{case.request.task}", _headers(case), body, timeout_s=_TIMEOUT_S
            )
        latency_s = asyncio.get_running_loop().time() - due
        self.rows.append(self._row(case, body, due - self.began_at, latency_s, response))
        self._changed(self._sent, len(self.rows))

    def _row(
        self, case: Case, body: bytes, arrival_s: float, latency_s: float, response: Response | None
    ) -> RequestRow:
        request, planned = case.request, self._planned
        said = {} if response is None else {name: value.decode() for name, value in response.headers}
        good = response is not None and response.status == 200
        rejected = response is not None and response.status == 422
        budget = None if request.deadline_at is None else request.deadline_at - request.arrival_at
        on_time = good and (budget is None or latency_s <= budget)
        status = Status.REJECTED if rejected else Status.FAILED
        if good:
            status = Status.OK if on_time else Status.LATE
        truth = self._truths.get(said.get(b"warmfront-variant", ""))
        cold = said.get(b"warmfront-cold-start") == "true" and _waited(truth, request.region, latency_s)
        predicted, probability = said.get(b"warmfront-predicted-ms"), said.get(b"warmfront-probability")
        return RequestRow(
            run_id=planned.run_id(self._target), policy=planned.contender.name, seed=planned.seed,
            request_id=request.id, task=request.task,
            arrival_s=arrival_s, deadline_s=budget, min_accuracy=request.min_accuracy,
            variant=None if truth is None else truth.variant.name, revision=None,
            reason="unmet" if rejected else "chosen",
            predicted_s=None if predicted is None else float(predicted) / 1000,
            probability=None if probability is None else float(probability),
            cold=cold, queued_s=0.0, latency_s=latency_s, on_time=on_time,
            correct=said.get(b"warmfront-label") == expected_label(body, SEED) if good else None,
            status=status.value, hedged=said.get(b"warmfront-hedged") == "true",
            latency_weight=None if request.weights is None else request.weights.latency_share,
        )  # fmt: skip


def _waited(truth: Truth | None, region: str, latency_s: float) -> bool:
    """Whether an answer called cold came later than a warm one would: the first of a new process is called so too."""
    if truth is None:
        return False
    warm_s = truth.execution_s.p95 + truth.network_s.get(region, truth.network_s.get("", 0.0))
    return latency_s > warm_s + _WAIT_S


def _headers(case: Case) -> list[tuple[bytes, bytes]]:
    request = case.request
    headers = [(b"content-type", b"text/plain")]
    if request.deadline_at is not None:
        headers.append((b"warmfront-deadline-ms", f"{(request.deadline_at - request.arrival_at) * 1000:.3f}".encode()))
    if request.min_accuracy is not None:
        headers.append((b"warmfront-min-accuracy", f"{request.min_accuracy:g}".encode()))
    if request.on_miss is OnMiss.REJECT:
        headers.append((b"warmfront-on-miss", b"reject"))
    if request.weights is not None:
        weights = request.weights
        headers.append((b"warmfront-weights", f"latency={weights.latency:g},accuracy={weights.accuracy:g}".encode()))
    if request.region:
        headers.append((b"warmfront-region", request.region.encode()))
    return headers
