"""The demo's labelled texts as events on the cluster: the texts, times and deadlines of `make demo` with that seed.

From here to the Broker, by its Trigger to the selector, to a variant; the answers come back through the Broker to a
second event-log, which is read while the run goes on.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence

import msgspec
from benchmarks.cluster import replay
from benchmarks.cluster.place import ROOT, Object, Place

from warmfront.cloudevents import CloudEvent, Mode, encode
from warmfront.experiments.demo import Answer, answer_of, event_of, judge
from warmfront.experiments.profiling.labelled import TEXT, shipped
from warmfront.experiments.workload import Arrival, draw
from warmfront.kube.files import load_manifests
from warmfront.wire.pool import Origin, Pool

REQUESTS, SECONDS = 400, 30.0
LAST_ANSWER_S = 60.0
CONSUMER = "answers"
RUN = "cluster"
BINS = 10
_PODS = "serving.knative.dev/service in (langid-cld2, langid-fasttext, langid-py3langid, langid-lingua)"


def measure(place: Place, seed: int) -> dict[str, object]:
    """How the run came out: a row as the demo's, dead letters, and promised against realised in ten bins."""
    _consumer(place)
    arrivals = draw(shipped("langid").samples, requests=REQUESTS, seconds=SECONDS, seed=seed)
    run = _Run(place, arrivals)
    asyncio.run(run.play())
    answers = {arrival.id: run.answers.get(f"{RUN}-{arrival.id}") for arrival in arrivals}
    row = judge("effective", arrivals, answers, run.pod_seconds)
    letters = [line for line in run.lines("event-log") if "knativeerrorcode" in line]
    table = _calibration(arrivals, answers)
    print("  promised   requests  mean promise  came true", file=sys.stderr)
    for bin_ in table:
        print("  {from:.1f}-{to:.1f} {n:>12} {promised:>13.3f} {came_true:>10.3f}".format(**bin_), file=sys.stderr)
    starts = replay.starts(arrivals, answers)
    return {
        **msgspec.to_builtins(row),
        "seed": seed,
        "dead_letters": len(letters),
        "starts_s": {name: round(start_s, 2) for name, start_s in starts.items()},
        "simulated_correct_on_time": replay.simulated(arrivals, starts, seed),
        "calibration": table,
    }


def _consumer(place: Place) -> None:
    (log,) = (obj for obj in load_manifests(ROOT / "knative/base/event-log.yaml"))
    log["metadata"]["name"] = CONSUMER
    log["metadata"].pop("namespace", None)
    template = log["spec"]["template"]
    template.setdefault("metadata", {}).setdefault("annotations", {})["autoscaling.knative.dev/min-scale"] = "1"
    (deployed,) = place.get("ksvc", "event-log")["spec"]["template"]["spec"]["containers"]
    template["spec"]["containers"][0]["image"] = deployed["image"]
    trigger: Object = {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": CONSUMER},
        "spec": {
            "broker": "default",
            "filters": [
                {"prefix": {"type": "dev.warmfront.inference.re"}},
                {"prefix": {"source": "/warmfront/selector"}},
            ],
            "subscriber": {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": CONSUMER}},
        },
    }
    place.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [log, trigger]}))
    ready = ("wait", "--for=condition=Ready", "--timeout=120s")
    place.kubectl(*ready, f"ksvc/{CONSUMER}", f"triggers.eventing.knative.dev/{CONSUMER}")


class _Run:
    def __init__(self, place: Place, arrivals: Sequence[Arrival]) -> None:
        self._place = place
        self._arrivals = arrivals
        self.answers: dict[str, Answer | None] = {}
        self.pod_seconds = 0.0

    def lines(self, service: str) -> list[dict[str, str]]:
        """The latest events that an event-log keeps."""
        return asyncio.run(self._lines(service))

    async def _lines(self, service: str) -> list[dict[str, str]]:
        pool = Pool()
        try:
            reply = await pool.fetch(Origin(self._place.host(service), 80), "GET", "/events", [], b"", timeout_s=30)
        finally:
            await pool.close()
        return [json.loads(line) for line in reply.body.splitlines()]

    async def play(self) -> None:
        """Send all at their times, and read answers until all are there or the last may be given up."""
        address = self._place.get("brokers.eventing.knative.dev", "default")["status"]["address"]["url"]
        host, _, path = address.removeprefix("http://").partition("/")
        pool, loop = Pool(), asyncio.get_running_loop()
        reading = loop.create_task(self._read())
        started = loop.time()
        async with asyncio.TaskGroup() as group:
            for arrival in self._arrivals:
                await asyncio.sleep(max(started + arrival.at_s - loop.time(), 0.0))
                group.create_task(self._send(pool, Origin(host, 80), f"/{path}", arrival))
        with contextlib.suppress(TimeoutError):  # what is missing shows as unanswered
            await asyncio.wait_for(asyncio.shield(reading), LAST_ANSWER_S)
        reading.cancel()
        await pool.close()

    async def _send(self, pool: Pool, broker: Origin, path: str, arrival: Arrival) -> None:
        """Until it is accepted, as a producer does: what a Broker did not take with 202 is not lost, only not sent."""
        headers, body = encode(event_of(arrival, RUN, "langid", TEXT), Mode.BINARY)
        reply = await pool.fetch(broker, "POST", path, headers, body, timeout_s=90)
        if reply.status != 202:
            raise SystemExit(f"the Broker answered {reply.status} to {arrival.id}; wanted 202")

    async def _read(self) -> None:
        before = time.monotonic()
        while len(self.answers) < len(self._arrivals):
            for line in await self._lines(CONSUMER):
                cause = line.get("causationid", "")
                if line["type"].endswith(".rejected"):
                    self.answers.setdefault(cause, None)
                elif cause not in self.answers and cause:
                    self.answers[cause] = answer_of(_event(line))
            pods = await asyncio.to_thread(self._place.get, "pods", "-l", _PODS)
            now = time.monotonic()
            self.pod_seconds += len(pods["items"]) * (now - before)
            before = now
            await asyncio.sleep(2)


def _event(line: dict[str, str]) -> CloudEvent:
    """An event from the line that the event-log wrote of it."""
    named = {
        "id",
        "source",
        "type",
        "specversion",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "data",
        "data_base64",
    }
    return CloudEvent(
        id=line["id"],
        source=line["source"],
        type=line["type"],
        extensions={name: text for name, text in line.items() if name not in named},
        data=line["data"].encode(),
    )


def _calibration(arrivals: Sequence[Arrival], answers: dict[str, Answer | None]) -> list[dict[str, float]]:
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for arrival in arrivals:
        answer = answers[arrival.id]
        if answer is not None:
            promised = min(int(answer.probability * BINS), BINS - 1)
            bins[promised].append((answer.probability, answer.latency_s <= arrival.deadline_s))
    return [
        {
            "from": i / BINS,
            "to": (i + 1) / BINS,
            "n": len(each),
            "promised": round(sum(p for p, _ in each) / len(each), 3) if each else 0.0,
            "came_true": round(sum(ok for _, ok in each) / len(each), 3) if each else 0.0,
        }
        for i, each in enumerate(bins)
    ]
