"""One revision on a simulated Knative: its replicas, the requests they serve or hold, and the autoscaler over them.

As on the platform: a request that finds no free place is held, in order, until a replica has one (activator and
queue-proxy together are one queue here) or, when that queue is full, turned away; load is what is in the revision, held
requests included; the first request at zero pokes the autoscaler. Load is reported every second, decisions are taken
every other; those that could only repeat the last, because nothing happens, are left out. What must not live here:
choosing.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, Protocol

from warmfront.autoscaling import TICK_S, Autoscaler, Scale, ScalingSpec
from warmfront.domain import Observation, Spread
from warmfront.experiments.simulation.world import Truth
from warmfront.runtime.breaker import ACTIVATOR_QUEUE, QUEUE_PER_SLOT
from warmfront.telemetry.records import ReplicaRow

Z95 = 1.6448536269514722
LEAST_S = 1e-6  # the clock goes on by so much at least, whatever rounding makes of two equal instants


class Clock(Protocol):
    """Who calls back at a time."""

    def at(self, when: float, act: Callable[[float, Any], None], what: Any) -> None:
        """Call `act(when, what)` then."""
        ...


class Job:
    """One request under way in a station. `done` is called with the time and the job when its execution ends.

    `what` is its sender's; a job of nobody (None) is a wake, which asks for the readiness path and takes no time.
    """

    __slots__ = ("began_at", "done", "entered_at", "luck", "size", "what")

    def __init__(self, done: Callable[[float, "Job"], None], luck: float, size: int, what: Any) -> None:
        self.done = done
        self.luck = luck
        self.size = size
        self.what = what
        self.entered_at = self.began_at = math.nan


class _Replica:
    __slots__ = ("cause", "due_at", "leaving", "ready_at", "requested_at", "running")

    def __init__(self, requested_at: float, due_at: float, cause: str) -> None:
        self.requested_at = requested_at
        self.due_at = due_at  # when it will be ready
        self.ready_at = math.nan
        self.cause = cause
        self.running = 0
        self.leaving = False


class Station:
    """Told of requests by `enter`; tells `changed` when what can be seen of it has; leaves `rows` of its replicas."""

    def __init__(
        self, truth: Truth, *, platform_s: Spread, clock: Clock, rng: Random, rows: list[ReplicaRow], run_id: str,
        changed: Callable[["Station", float], None], now: float,
    ) -> None:  # fmt: skip
        self._clock, self._rng, self._rows, self._run_id, self._changed = clock, rng, rows, run_id, changed
        self._platform = _law(platform_s)
        self._ready: list[_Replica] = []
        self._starting: list[_Replica] = []
        self._queue: deque[Job] = deque()
        self.in_flight = 0
        self.gone = False
        self._cause = "scale"  # of the starts that the next decision makes
        self._kept_until, self._kept_replicas = -math.inf, 0
        self._area = 0.0  # request-seconds of the current second, up to `_moved_at`
        self._moved_at = now
        self._second = math.floor(now) + 1.0  # when the next report is due
        self._began = self._early = 0  # requests of the current second; those of them reported early
        self._loaded_at = -math.inf  # the latest moment with a request in it
        self._tick_at = self._again_at = math.inf
        self.truth = truth
        self.become(truth)
        self._next_start_s = self._draw_start()
        self._base = ScalingSpec.from_annotations(truth.annotations, truth.variant.concurrency)
        self._autoscaler = Autoscaler(self._base, now=now, ready=0, initialised=True)
        self._autoscaler.record(now, concurrency=0.0, rps=0.0)
        self._panic = False
        self._decide(now)

    def become(self, truth: Truth) -> None:
        """From now on the variant behaves like this; its replicas and its scaling stay."""
        self.truth = truth
        self._limit = truth.variant.concurrency or math.inf
        self._mu, self._sigma = _law(truth.execution_s)
        self._load = _law(truth.load_s)

    @property
    def observation(self) -> Observation:
        """What a catalogue would show now."""
        starting = tuple(replica.requested_at for replica in self._starting)
        return Observation(variant=self.truth.variant, ready=len(self._ready), starting_at=starting)

    # requests

    def enter(self, job: Job, now: float, cause: str) -> bool:
        """A request arrives; if it makes a replica start, `cause` is why. False: it is turned away."""
        if self._queue and len(self._queue) >= self._most_queued():
            return False
        job.entered_at = now
        self._move(now, 1)
        self._began += 1
        self._loaded_at = now
        if self._scale.proxied and self._began == 1 and self.in_flight == 1:
            self._early = 1
            if self._autoscaler.record(now, concurrency=1.0, rps=1.0):
                self._cause = cause
                self._decide(now)
        if self._tick_at == math.inf or self._tick_at > now + TICK_S:
            self._next_tick(now)
        if self._queue or not self._begin(job, now):
            self._queue.append(job)
        return True

    def withdraw(self, job: Job, now: float) -> None:
        """Nobody waits for the job any more: held, it goes; executed, it runs to its end, and `done` is not called."""
        if job in self._queue:
            self._queue.remove(job)
            self._move(now, -1)
            self._loaded_at = now
        else:
            job.done = _unheard

    def _most_queued(self) -> float:
        """How many may be held: by the activator, or by the ready replicas' own queues when it is not in the path."""
        if self._scale.proxied or not self._ready:
            return ACTIVATOR_QUEUE
        return QUEUE_PER_SLOT * self._limit * len(self._ready)

    def _begin(self, job: Job, now: float) -> bool:
        """Have the least busy replica execute it, if one has a free place."""
        free = None
        for replica in self._ready:
            if replica.running < self._limit and (free is None or replica.running < free.running):
                free = replica
        if free is None:
            return False
        job.began_at = now
        took = 0.0
        if job.what is not None:
            took = self._execution_s(job.luck, job.size) + self.truth.slowdown_s * free.running
        free.running += 1
        self._clock.at(now + took, self._ended, (free, job))
        return True

    def _execution_s(self, luck: float, size: int) -> float:
        return math.exp(self._mu + self._sigma * luck) + self.truth.execution_per_kib_s * size / 1024

    def foreseen_s(self, luck: float, size: int, now: float) -> float:
        """How long a request that came now would be here, if none came after it. For oracles: it knows every draw.

        Exact while there is a free place or a start to wait for; a full station is taken to free its places evenly.
        """
        took = self._execution_s(luck, size)
        if not self._ready:
            due_at = min((replica.due_at for replica in self._starting), default=now + self._next_start_s)
            took += due_at - now
        running = sum(replica.running for replica in self._ready) + len(self._queue)
        places = max(len(self._ready), 1) * self._limit
        ahead = max(running - places + 1, 0)
        return took + (ahead / places * math.exp(self._mu) if ahead else 0.0)

    def _ended(self, now: float, what: tuple[_Replica, Job]) -> None:
        replica, job = what
        replica.running -= 1
        self._move(now, -1)
        self._loaded_at = now
        if replica.leaving:
            if not replica.running:
                self._row(replica, now)
        else:
            self._fill(now)
        job.done(now, job)

    def _fill(self, now: float) -> None:
        while self._queue and self._begin(self._queue[0], now):
            self._queue.popleft()

    def _move(self, now: float, by: int) -> None:
        """So many requests more from now on; the load of every whole second before is reported."""
        then, there = self._moved_at, self.in_flight
        while self._second <= now:
            self._area += there * (self._second - then)
            then = self._second
            self._report(then)
            self._second = then + 1 if there else max(then + 1, math.floor(now))
        self._area += there * (now - then)
        self._moved_at = now
        self.in_flight = there + by

    def _report(self, now: float) -> None:
        """The average load of the second that ends now, less the request that was reported early."""
        early = self._early
        self._autoscaler.record(now, concurrency=max(self._area - early, 0.0), rps=max(self._began - early, 0))
        self._area, self._began, self._early = 0.0, 0, 0

    # replicas

    def keep(self, now: float, until_at: float, replicas: int) -> None:
        """Hold at least so many replicas until then (never above max-scale); a longer keep that is on stays."""
        if self._kept_until > max(now, until_at) and replicas <= self._kept_replicas:
            return
        self._kept_until, self._kept_replicas = until_at, replicas
        least = max(self._base.min_scale, min(replicas, self._base.max_scale or replicas))
        self._autoscaler.reconfigure(replace(self._base, min_scale=least), now)
        self._clock.at(until_at, self._expired, until_at)
        self._cause = "keep"
        self._apply(now)

    def release(self, now: float) -> None:
        """Hold no more than the traffic asks for."""
        self._kept_until = -math.inf
        self._autoscaler.reconfigure(self._base, now)
        self._apply(now)
        self._next_tick(now)

    def _expired(self, now: float, until_at: float) -> None:
        if self._kept_until == until_at and not self.gone:
            self.release(now)

    def end(self, now: float) -> list[Job]:
        """The variant is gone: every replica stops, after what it executes. What was held comes back, unanswered."""
        self.gone = True
        for replica in (*self._ready, *self._starting):
            self._stop(replica, now)
        left = list(self._queue)
        self._queue.clear()
        return left

    def _start(self, now: float) -> None:
        replica = _Replica(now, now + self._next_start_s, self._cause)
        self._next_start_s = self._draw_start()
        self._starting.append(replica)
        self._clock.at(replica.due_at, self._up, replica)

    def _draw_start(self) -> float:
        platform, load = self._platform, self._load
        luck = self._rng.gauss(0, 1), self._rng.gauss(0, 1)
        return math.exp(platform[0] + platform[1] * luck[0]) + math.exp(load[0] + load[1] * luck[1])

    def _up(self, now: float, replica: _Replica) -> None:
        if replica not in self._starting:  # it was stopped meanwhile
            return
        self._starting.remove(replica)
        replica.ready_at = now
        self._ready.append(replica)
        self._fill(now)
        self._apply(now, moved=True)

    def _stop(self, replica: _Replica, now: float) -> None:
        if replica in self._starting:
            self._starting.remove(replica)
        else:
            self._ready.remove(replica)
            if replica.running:
                replica.leaving = True
                return
        self._row(replica, now)

    def _row(self, replica: _Replica, now: float) -> None:
        variant = self.truth.variant
        ready_at = now if math.isnan(replica.ready_at) else replica.ready_at
        self._rows.append(
            ReplicaRow(
                run_id=self._run_id, variant=variant.name, revision=variant.revision,
                requested_s=replica.requested_at, ready_s=ready_at, stopped_s=now, cause=replica.cause,
                memory_mb=self.truth.memory_mb,
            )
        )  # fmt: skip

    # scaling

    def _next_tick(self, now: float) -> None:
        when = (math.floor(now / TICK_S) + 1) * TICK_S
        self._tick_at = when
        self._clock.at(when, self._tick, when)

    def _tick(self, now: float, due: float) -> None:
        if self.gone or due != self._tick_at:
            return
        self._move(now, 0)
        self._decide(now)
        self._tick_at = math.inf
        when = self._wanted_tick(now)
        if when < math.inf:
            self._tick_at = when
            self._clock.at(when, self._tick, when)

    def _wanted_tick(self, now: float) -> float:
        """The next decision that can differ from this one; infinity when only another request can change it."""
        if self.in_flight or self._starting or len(self._ready) > 1 or self._panic:
            return now + TICK_S
        desired = self._autoscaler.desired
        if not desired:
            return math.inf
        # one replica and no load: wanted until the last second with load has left the window
        left = math.floor(self._loaded_at) + self._autoscaler.spec.stable_window_s
        return max(now + TICK_S, math.ceil(left / TICK_S) * TICK_S)

    def _decide(self, now: float) -> None:
        result = self._autoscaler.decide(now, len(self._ready))
        if result.valid:
            self._panic = result.panic
        self._apply(now)

    def _apply(self, now: float, *, moved: bool = False) -> None:
        """Start and stop replicas as the autoscaler says; tell if what can be seen has changed (`moved`: it has)."""
        self._scale: Scale = self._autoscaler.next_scale(now, len(self._ready))
        if self._scale.again_at is not None:
            self._again_at = max(self._scale.again_at, now + LEAST_S)
            self._clock.at(self._again_at, self._again, self._again_at)
        want, there = self._scale.replicas, len(self._ready) + len(self._starting)
        while there < want:
            self._start(now)
            there += 1
            moved = True
        while there > want:
            idle = min(self._ready, key=lambda replica: replica.running, default=None)
            self._stop(self._starting[-1] if self._starting else idle, now)  # type: ignore[arg-type]
            there -= 1
            moved = True
        self._cause = "scale"
        if moved:
            self._changed(self, now)

    def _again(self, now: float, due: float) -> None:
        if due == self._again_at and not self.gone:
            self._apply(now)


def _unheard(now: float, job: Job) -> None:
    """Its sender has left."""


def _law(spread: Spread) -> tuple[float, float]:
    """Mu and sigma of the lognormal law through the spread."""
    return math.log(spread.p50), math.log(spread.p95 / spread.p50) / Z95
