"""How many replicas the load asks for: Knative's decider (pkg/autoscaler/scaling/autoscaler.go, Scale).

What may live here: the stable and the panic want, and the limits of one step. What must not: the revision's bounds and
the way to zero (target.py), how load is measured (window.py).
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from warmfront.autoscaling.spec import ScalingSpec
from warmfront.autoscaling.target import Scale, ScaleTarget
from warmfront.autoscaling.window import Window

TICK_S: Final = 2.0  # a decision is taken this often

_METRICS: Final = ("concurrency", "rps")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleResult:
    """One decision. Not `valid`: there was no data, and nothing else in it means anything.

    `excess_burst` is the capacity left for a burst beyond the target burst capacity; below 0 the activator stays in the
    path. `reason` says what set `desired`: stable, panic, held by panic, scale-down-delay or no data.
    """

    valid: bool
    desired: int = 0
    panic: bool = False
    excess_burst: int = 0
    reason: str = "no data"


class Autoscaler:
    """All scaling state of one revision. `ready` is how many replicas are ready at that moment.

    Started over more than one ready replica it panics at once: the load of the past is unknown, so none is taken away
    before one stable window. `initialised` says that an earlier autoscaler reached the initial scale already.
    """

    def __init__(self, spec: ScalingSpec, *, now: float, ready: int = 0, initialised: bool = False) -> None:
        self._spec = spec
        self._stable = {metric: Window(spec.stable_window_s, weighted=spec.weighted) for metric in _METRICS}
        self._panic = {metric: Window(spec.panic_window_s, weighted=spec.weighted) for metric in _METRICS}
        self._panic_at: float | None = now if ready > 1 else None
        self._panic_peak = ready
        self._wants: deque[tuple[int, int]] = deque()  # (tick, want) within the scale-down delay, wants falling
        self._desired: int | None = None
        self._excess_burst = -1 if spec.target_burst_capacity == -1 else 0
        self._target = ScaleTarget(spec, now=now, ready=ready, initialised=initialised)

    @property
    def spec(self) -> ScalingSpec:
        """The rules in force."""
        return self._spec

    @property
    def desired(self) -> int | None:
        """The latest decision, before the revision's bounds; None before the first valid one."""
        return self._desired

    def record(self, now: float, *, concurrency: float, rps: float) -> bool:
        """Add what one reporter saw in this second. True: load arrived at zero scale, decide now, not at the tick."""
        for metric, value in zip(_METRICS, (concurrency, rps), strict=True):
            self._stable[metric].record(now, value)
            self._panic[metric].record(now, value)
        return self._desired == 0 and concurrency > 0

    def decide(self, now: float, ready: int) -> ScaleResult:
        """What the load asks for at `now`. Without data the latest valid decision stands."""
        spec = self._spec
        window = self._stable[spec.metric]
        # Where the activator is always in the path, it alone reports, and its silence means no requests.
        if window.empty(now) and spec.target_burst_capacity != -1:
            return ScaleResult(valid=False)
        panic_load = self._panic[spec.metric].average(now)
        over_panic = math.ceil(panic_load / spec.target_value) / max(1, ready) >= spec.panic_threshold_percentage / 100
        stable = self._want(window.average(now), ready)
        desired, reason = self._panicked(now, stable, self._want(panic_load, ready), over_panic=over_panic)
        delayed = self._delayed(now, desired)
        if delayed != desired:
            desired, reason = delayed, "scale-down-delay"
        self._desired = desired
        self._excess_burst = self._excess(ready, panic_load)
        return ScaleResult(
            valid=True,
            desired=desired,
            panic=self._panic_at is not None,
            excess_burst=self._excess_burst,
            reason=reason,
        )

    def next_scale(self, now: float, ready: int) -> Scale:
        """How many replicas there are to be at `now`, by the latest decision, the bounds and the rules of zero."""
        return self._target.reconcile(now, ready=ready, desired=self._desired, excess_burst=self._excess_burst)

    def reconfigure(self, spec: ScalingSpec, now: float) -> None:
        """Go on by other rules; what was recorded stays, as far as the new windows reach."""
        self._spec = self._target.spec = spec
        for windows, length_s in ((self._stable, spec.stable_window_s), (self._panic, spec.panic_window_s)):
            for window in windows.values():
                window.resize(length_s, now)
                window.weighted = spec.weighted

    def _want(self, load: float, ready: int) -> int:
        """Replicas for a load, within one step of [ready / down-rate, ready * up-rate].

        Rounded so that a step is always possible: at rate 1.1 and 2 replicas, a load for 3 may have 3 (2.2, ceiled). Of
        one replica floor(1 / 2) = 0 may remain, so 4 -> 2 -> 1 -> 0.
        """
        spec = self._spec
        ready = max(1, ready)
        raw = math.ceil(load / spec.target_value)
        lowest = math.floor(ready / spec.max_scale_down_rate) if spec.reachable else 0
        want = min(max(raw, lowest), math.ceil(ready * spec.max_scale_up_rate))
        return max(want, spec.activation_scale) if raw > 0 and spec.activation_scale > 1 else want

    def _panicked(self, now: float, stable: int, panic: int, *, over_panic: bool) -> tuple[int, str]:
        """The larger want while panicking, and never less than before; one calm stable window ends it."""
        if over_panic:
            self._panic_at = now
        elif self._panic_at is not None and self._panic_at + self._spec.stable_window_s < now:
            self._panic_at = None
            self._panic_peak = 0
        if self._panic_at is None:
            return stable, "stable"
        want = max(stable, panic)
        if want < self._panic_peak:
            return self._panic_peak, "held by panic"
        self._panic_peak = want
        return want, "panic"

    def _delayed(self, now: float, want: int) -> int:
        """The largest want of the trailing scale-down delay, counted in ticks: a delay of 5 s looks at 3."""
        ticks = math.ceil(self._spec.delay_s / TICK_S)
        if not ticks:
            self._wants.clear()
            return want
        tick = math.floor(now / TICK_S)
        while self._wants and self._wants[-1][1] <= want:
            self._wants.pop()
        self._wants.append((tick, want))
        while tick - self._wants[0][0] >= ticks:
            self._wants.popleft()
        return self._wants[0][1]

    def _excess(self, ready: int, panic_load: float) -> int:
        burst = self._spec.target_burst_capacity
        if burst <= 0:
            return int(burst)
        return math.floor(ready * self._spec.total - burst - panic_load)
