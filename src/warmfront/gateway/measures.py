"""The metrics of the selector: their names, labels and help. Everything that is counted is declared here.

Label values are tasks, variants and enums only, never a caller's text, so their number is bounded by the catalogue.
"""

import os
import resource
from collections.abc import Mapping
from pathlib import Path

from warmfront.domain import Reason, Status
from warmfront.telemetry.metrics import DURATION_BOUNDS, Registry, Value, process_metrics

#: Seconds; deciding takes microseconds.
DECIDE_BOUNDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1)


class RouteMeasures:
    """The children of one (task, variant), looked up once per request. The usual ones stand alone: an Enum as the key
    of a dictionary is hashed by a Python function.
    """

    __slots__ = ("_measures", "_route", "chosen", "cold", "latency", "ok", "upstream")

    def __init__(self, measures: "Measures", task: str, variant: str) -> None:
        self._measures = measures
        self._route = (task, variant)
        for status in Status:
            measures.requests.child(task, variant, status.value)
        self.ok = self.ended(Status.OK)
        self.chosen = self.decided(Reason.CHOSEN)
        self.latency = measures.latency.child(task, variant)
        self.upstream = measures.upstream.child(task, variant)
        self.cold = measures.cold.child(task, variant)

    def ended(self, status: Status) -> Value:
        """The count of requests that ended so."""
        return self._measures.requests.child(*self._route, status.value)

    def decided(self, reason: Reason) -> Value:
        """The count of the task's decisions with this reason."""
        return self._measures.decisions.child(self._route[0], reason.value)


class Measures:
    """All families of the selector in one registry."""

    def __init__(self) -> None:
        self.registry = registry = Registry()
        route = ("task", "variant")
        self.requests = registry.counter(
            "warmfront_requests_total", "Requests by how they ended.", ("task", "variant", "status")
        )
        self.latency = registry.histogram(
            "warmfront_request_duration_seconds", "Receipt to last byte of the reply.", route, DURATION_BOUNDS
        )
        self.upstream = registry.histogram(
            "warmfront_upstream_duration_seconds", "Sent to the variant to its last byte.", route, DURATION_BOUNDS
        )
        self.cold = registry.counter(
            "warmfront_cold_requests_total", "Requests that waited for a replica to start.", route
        )
        self.decisions = registry.counter("warmfront_decisions_total", "Decisions by reason.", ("task", "reason"))
        self.decide = registry.histogram(
            "warmfront_decide_duration_seconds", "Time to decide.", (), DECIDE_BOUNDS
        ).child()
        self.retries = registry.counter(
            "warmfront_retries_total", "Requests tried again on another variant, by the one that failed.", route
        )
        self.hedges = registry.counter(
            "warmfront_hedges_total",
            "Second requests beside one under way, by what came of them.",
            ("task", "variant", "result"),
        )
        self.refused = registry.counter(
            "warmfront_refused_total", "Requests answered with a problem, by kind.", ("kind",)
        )
        self.duplicates = registry.counter(
            "warmfront_duplicates_total", "Events delivered again, by how they were answered.", ("answer",)
        )
        self.cancelled = registry.counter("warmfront_cancelled_total", "Clients that left before the reply.").child()
        self.feedback = registry.counter("warmfront_feedback_total", "Feedback events, by kind.", ("kind",))
        self.wakes = registry.counter(
            "warmfront_wakes_total", "Variants woken in the background, by result.", ("variant", "result")
        )
        self.in_flight = registry.gauge("warmfront_in_flight", "Requests admitted and not yet answered.").child()
        self.waiting = registry.gauge("warmfront_waiting", "Requests that wait for a replica to start.").child()
        self.ready = registry.gauge("warmfront_variant_ready_replicas", "Ready replicas.", route)
        self.starting = registry.gauge("warmfront_variant_starting_replicas", "Replicas being started.", route)
        self.kept = registry.gauge("warmfront_kept_answers", "Event answers kept for redeliveries.").child()
        self.catalogue = registry.gauge("warmfront_catalogue_ready", "1 when the variants are known.").child()
        process_metrics(registry, process_facts)
        self._routes: dict[tuple[str, str], RouteMeasures] = {}

    def route(self, task: str, variant: str) -> RouteMeasures:
        """The children of this task and variant."""
        found = self._routes.get((task, variant))
        if found is None:
            found = self._routes[task, variant] = RouteMeasures(self, task, variant)
        return found

    def forget(self, variant: str) -> None:
        """Drop the gauges of a variant that left; its counters stay, as Prometheus wants."""
        for family in (self.ready, self.starting):
            family.remove("variant", variant)


def process_facts() -> Mapping[str, float]:
    """CPU time, memory and open files of this process (memory and files on Linux only)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    facts = {"process_cpu_seconds_total": usage.ru_utime + usage.ru_stime}
    statm = Path("/proc/self/statm")
    if statm.exists():
        pages = int(statm.read_text().split()[1])
        facts["process_resident_memory_bytes"] = pages * os.sysconf("SC_PAGE_SIZE")
        facts["process_open_fds"] = len(list(Path("/proc/self/fd").iterdir()))
    return facts
