"""Drives one revision's Autoscaler on the event loop's clock: what it sees every second, what it is asked every two.

What lives here: measuring load and keeping time. What must not: the arithmetic (warmfront.autoscaling) and processes.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from warmfront.autoscaling import TICK_S, Autoscaler, Scale, ScalingSpec

REPORT_S = 1.0


class Report(NamedTuple):
    """Load since the report before: average number of requests at once, and how many began."""

    concurrency: float
    requests: int


class LoadMeter:
    """Counts the requests in a revision, waiting ones included, as activator and queue-proxy do."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._began = now
        self._area = 0.0
        self._requests = 0
        self.current = 0

    def change(self, now: float, by: int) -> None:
        """One request more (1) or less (-1) from now on."""
        self._area += self.current * (now - self._now)
        self._now = now
        self.current += by
        self._requests += by > 0

    def report(self, now: float) -> Report:
        """The load since the last report, and begin anew."""
        self.change(now, 0)
        length_s = now - self._began
        report = Report(self._area / length_s if length_s > 0 else float(self.current), self._requests)
        self._began, self._area, self._requests = now, 0.0, 0
        return report


def _after(due_at: float, period_s: float, now: float) -> float:
    """The next time in a rhythm; times that were missed are skipped, or two reports would land in one second."""
    following = due_at + period_s
    return following if following > now else now + period_s


class Scaler:
    """Tells `apply` how many replicas there are to be, whenever that may have changed.

    Reports once a second and decides every other time. While the activator is in the path the first request after an
    idle second is reported at once, as one request of concurrency 1, so that a revision at zero starts without delay;
    the next report leaves it out, as Knative's concurrency reporter does.
    """

    def __init__(
        self,
        spec: ScalingSpec,
        *,
        initialised: bool,
        ready: Callable[[], int],
        apply: Callable[[Scale], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._autoscaler = Autoscaler(spec, now=now, initialised=initialised)
        self._ready = ready
        self._apply = apply
        self._meter = LoadMeter(now)
        self._idle = True
        self._reported_early = 0
        self._next_report_at = self._next_decision_at = now
        self._timer: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None
        self.scale = self._autoscaler.next_scale(now, 0)

    def start(self) -> None:
        """Report, decide and apply now, and from now on by the clock."""
        self._tick()

    def stop(self) -> None:
        """Apply nothing more."""
        for timer in (self._timer, self._again):
            if timer is not None:
                timer.cancel()

    def respecify(self, spec: ScalingSpec) -> None:
        """Go on by these rules."""
        if spec != self._autoscaler.spec:
            self._autoscaler.reconfigure(spec, self._loop.time())
            self.reconcile()

    def request_began(self) -> None:
        """A request entered the revision."""
        now = self._loop.time()
        self._meter.change(now, 1)
        if self._idle:
            self._idle = False
            if self.scale.proxied:
                self._reported_early = 1
                if self._autoscaler.record(now, concurrency=1.0, rps=1.0):
                    self._decide(now)

    def request_ended(self) -> None:
        """A request left the revision, by whatever way."""
        self._meter.change(self._loop.time(), -1)

    def reconcile(self) -> None:
        """Ask again what is to be: the number of ready replicas changed, or its time has come."""
        now = self._loop.time()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self.scale = scale = self._autoscaler.next_scale(now, self._ready())
        if scale.again_at is not None:
            self._again = self._loop.call_at(scale.again_at, self.reconcile)
        self._apply(scale)

    def _tick(self) -> None:
        now = self._loop.time()
        report = self._meter.report(now)
        early, self._reported_early = self._reported_early, 0
        self._idle = report.concurrency == 0
        poked = self._autoscaler.record(
            now, concurrency=max(report.concurrency - early, 0.0), rps=float(report.requests - early)
        )
        if poked or now >= self._next_decision_at:
            self._next_decision_at = _after(self._next_decision_at, TICK_S, now)
            self._decide(now)
        self._next_report_at = _after(self._next_report_at, REPORT_S, now)
        self._timer = self._loop.call_at(self._next_report_at, self._tick)

    def _decide(self, now: float) -> None:
        self._autoscaler.decide(now, self._ready())
        self.reconcile()
