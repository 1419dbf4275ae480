"""The main job on one machine: the same events under several policies, each from a cold start.

Per policy: apply the manifests, wait until the selector is there and every variant sleeps, post the events to the
Broker at their times, collect the reply events from the Broker, delete everything. The producer and the consumer are
here; all else is what a user runs. What must not live here: anything that prints.
"""

import asyncio
import contextlib
import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from warmfront.cloudevents import CloudEvent, Mode, decode, encode
from warmfront.errors import SetupError, WarmfrontError
from warmfront.experiments.workload import Arrival
from warmfront.kube.files import load_manifests
from warmfront.kube.manifests import TASK_LABEL
from warmfront.kube.resources import BROKERS, SERVICES, TRIGGERS, labels_of
from warmfront.runtime.readiness import wait_ready
from warmfront.runtime.runtime import Runtime
from warmfront.wire.messages import Exchange
from warmfront.wire.pool import Origin, Pool
from warmfront.wire.server import Server

POLICIES = ("effective", "fastest", "most-accurate", "round-robin")
NAMESPACE = "default"
SOURCE = "/warmfront/demo"
_REQUEST, _RESPONSES = "dev.warmfront.inference.request", "dev.warmfront.inference."
_READY_S = 60.0
_LAST_ANSWER_S = 20.0
_CONSUMER = "demo-answers"

Object = dict[str, Any]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one policy achieved. Shares are of all requests; `replica_seconds` counts variants, starting and ready.

    `on_time_from_1s` is the share on time among deadlines of one second and more; `answered_by` counts per variant.
    """

    policy: str
    requests: int
    on_time: float
    correct: float
    correct_on_time: float
    on_time_from_1s: float
    cold_waits: int
    replica_seconds: float
    unanswered: int
    answered_by: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply event, as the consumer reads it. `latency_s` is the selector's, from receipt to the reply's last byte.

    `probability` is what it promised of an answer within the deadline.
    """

    variant: str
    label: str
    latency_s: float
    cold: bool
    probability: float


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a run is, for whoever shows it."""

    policy: str
    stage: str = "preparing"
    total: int = 0
    sent: int = 0
    answered: int = 0
    variants: Counter[str] = field(default_factory=Counter)


class Demo:
    """Runs the workload under one policy after the other on one embedded Knative.

    `manifests` are the objects to apply, `arrivals` what is asked of the variants of `task`, as `content_type`;
    `changed` is called on every step with the run's progress.
    """

    def __init__(
        self,
        runtime: Runtime,
        manifests: Sequence[Object],
        arrivals: Sequence[Arrival],
        changed: Callable[[Progress], None],
        *,
        task: str,
        content_type: str,
    ) -> None:
        self._runtime = runtime
        self._manifests = manifests
        self._arrivals = arrivals
        self._changed = changed
        self._task = task
        self._content_type = content_type
        self._answers: dict[str, Answer | None] = {}
        self._progress = Progress(policy="")
        self._run_id = ""
        self._complete = asyncio.Event()

    async def run(self, policy: str) -> Row:
        """One policy, from all variants asleep to all deleted."""
        self._progress = Progress(policy=policy, total=len(self._arrivals))
        self._answers = {}
        self._complete.clear()
        self._run_id = policy
        pool = Pool()
        consumer = Server(self._receive)
        try:
            port = await consumer.listen("127.0.0.1", 0)
            await self._prepare(policy, port)
            await self._send_all(pool)
            await self._last_answers()
        finally:
            self._stage("clearing")
            replica_seconds = await self._clear()
            await pool.close()
            await consumer.close(0.0)
        answers = {a.id: self._answers.get(f"{self._run_id}-{a.id}") for a in self._arrivals}
        return judge(policy, self._arrivals, answers, replica_seconds)

    async def _prepare(self, policy: str, consumer_port: int) -> None:
        self._stage("starting the selector")
        objects = [with_policy(obj, policy) for obj in self._manifests]
        self._runtime.apply([*objects, consumer_trigger(self._manifests, consumer_port)])
        if waiting := await wait_ready(self._runtime.store, _READY_S):
            raise SetupError(f"not ready after {_READY_S:.0f} s: {'; '.join(waiting)}")

    async def _send_all(self, pool: Pool) -> None:
        self._stage("sending")
        broker = Origin.parse(self._runtime.addresses.broker(NAMESPACE, "default"))
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with asyncio.TaskGroup() as group:
            for arrival in self._arrivals:
                await asyncio.sleep(max(started + arrival.at_s - loop.time(), 0.0))
                group.create_task(self._send(pool, broker, arrival))
                self._progress.sent += 1
                self._changed(self._progress)

    async def _send(self, pool: Pool, broker: Origin, arrival: Arrival) -> None:
        headers, body = encode(event_of(arrival, self._run_id, self._task, self._content_type), Mode.BINARY)
        response = await pool.fetch(broker, "POST", f"/{NAMESPACE}/default", headers, body, timeout_s=10.0)
        if response.status != 202:
            raise WarmfrontError(f"the Broker answered {response.status} to request {arrival.id}; wanted 202")

    async def _last_answers(self) -> None:
        self._stage("waiting for the last answers")
        with contextlib.suppress(TimeoutError):  # what is missing shows as unanswered
            async with asyncio.timeout(_LAST_ANSWER_S):
                await self._complete.wait()

    def _receive(self, exchange: Exchange) -> None:
        event = decode(exchange.headers, exchange.body)
        exchange.respond(202, [])
        cause = event.extensions.get("causationid", "")
        if not cause.startswith(f"{self._run_id}-") or cause in self._answers:
            return
        if event.type.endswith(".rejected"):
            self._answers[cause] = None
        else:
            answer = answer_of(event)
            self._answers[cause] = answer
            self._progress.variants[answer.variant] += 1
        self._progress.answered += 1
        if self._progress.answered == len(self._arrivals):
            self._complete.set()
        self._changed(self._progress)

    async def _clear(self) -> float:
        for resource in (TRIGGERS, SERVICES, BROKERS):
            for obj in self._runtime.store.list(resource, NAMESPACE)[0]:
                self._runtime.store.delete(resource, NAMESPACE, obj["metadata"]["name"])
        replicas = await self._runtime.emptied()
        return sum(r.stopped_s - r.requested_s for r in replicas if r.variant != "selector")

    def _stage(self, stage: str) -> None:
        self._progress.stage = stage
        self._changed(self._progress)


def judge(
    policy: str, arrivals: Sequence[Arrival], answers: Mapping[str, Answer | None], replica_seconds: float
) -> Row:
    """What the answers are worth, each under its arrival's id; a rejection and no answer at all are None."""
    total = len(arrivals)
    on_time = correct = both = slow = slow_on_time = 0
    found = [answers.get(arrival.id) for arrival in arrivals]
    for arrival, answer in zip(arrivals, found, strict=True):
        timely = answer is not None and answer.latency_s <= arrival.deadline_s
        right = answer is not None and answer.label == arrival.sample.label
        on_time += timely
        correct += right
        both += timely and right
        slow += arrival.deadline_s >= 1.0
        slow_on_time += timely and arrival.deadline_s >= 1.0
    return Row(
        policy=policy,
        requests=total,
        on_time=on_time / total,
        correct=correct / total,
        correct_on_time=both / total,
        on_time_from_1s=slow_on_time / slow if slow else 1.0,
        cold_waits=sum(a.cold for a in found if a),
        replica_seconds=round(replica_seconds, 1),
        unanswered=sum(a is None for a in found),
        answered_by=dict(sorted(Counter(a.variant for a in found if a).items())),
    )


def event_of(arrival: Arrival, run_id: str, task: str, content_type: str) -> CloudEvent:
    """The request as an event; its id is that of the run and the arrival's."""
    return CloudEvent(
        id=f"{run_id}-{arrival.id}",
        source=SOURCE,
        type=_REQUEST,
        subject=task,
        datacontenttype=content_type,
        extensions={"deadlinems": str(round(arrival.deadline_s * 1000))},
        data=arrival.sample.body,
    )


def answer_of(event: CloudEvent) -> Answer:
    """What a response event says, by its extensions and its data."""
    said = event.extensions
    return Answer(
        variant=said["variant"],
        label=msgspec.json.decode(event.data)["label"],
        latency_s=float(said["latencyms"]) / 1000,
        cold=said.get("coldstart") == "true",
        probability=float(said["probability"]),
    )


def manifests_for(task: str, root: Path) -> list[Object]:
    """What is in `root`/knative for one task: everything but the variants of others, and those of `task`, which are in
    the base or else in the component of its name.

    Raises:
        SetupError: no variant of the task in either.
    """
    base = load_manifests(root / "knative")
    found = [obj for obj in base if labels_of(obj).get(TASK_LABEL, task) == task]
    component = root / "knative" / "components" / task
    if not variants_of(found) and component.is_dir():
        found += load_manifests(component)
    if not variants_of(found):
        raise SetupError(f"no variant of task {task!r} in {root / 'knative'} nor in {component}; label one with it")
    return found


def variants_of(manifests: Sequence[Object]) -> list[Object]:
    """The Services among them that are variants."""
    return [obj for obj in manifests if obj["kind"] == "Service" and TASK_LABEL in labels_of(obj)]


def image_of(service: Object) -> str:
    """The image of a Service's container."""
    return str(service["spec"]["template"]["spec"]["containers"][0]["image"])


def with_policy(obj: Object, policy: str) -> Object:
    """The selector's Service with its policy set; every other object as it is."""
    if obj["kind"] != "Service" or obj["metadata"]["name"] != "selector":
        return obj
    changed = copy.deepcopy(obj)
    container = changed["spec"]["template"]["spec"]["containers"][0]
    kept = [e for e in container.get("env", []) if e["name"] != "WARMFRONT_POLICY"]
    container["env"] = [*kept, {"name": "WARMFRONT_POLICY", "value": policy}]
    return changed


def consumer_trigger(manifests: Sequence[Object], port: int) -> Object:
    """A Trigger that brings every answer of the selector to the consumer here."""
    version = next((obj["apiVersion"] for obj in manifests if obj["kind"] == "Trigger"), "eventing.knative.dev/v1")
    return {
        "apiVersion": version,
        "kind": "Trigger",
        "metadata": {"name": _CONSUMER, "namespace": NAMESPACE},
        "spec": {
            "broker": "default",
            "filters": [{"any": [{"exact": {"type": _RESPONSES + kind}} for kind in ("response", "rejected")]}],
            "subscriber": {"uri": f"http://127.0.0.1:{port}/"},
        },
    }
