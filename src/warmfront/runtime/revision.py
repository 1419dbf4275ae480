"""One revision on this machine: its queue, its replicas, its autoscaler, and what it tells the world.

What lives here: how these four act on each other. What must not: HTTP (ingress.py), processes (replicas.py), the
arithmetic of scaling (warmfront.autoscaling), the wording of statuses (publish.py).
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from warmfront.autoscaling import Scale, ScalingSpec
from warmfront.errors import Overloaded
from warmfront.runtime.breaker import Breaker
from warmfront.runtime.fleet import Fleet, Host
from warmfront.runtime.publish import Publisher, Standing
from warmfront.runtime.replicas import Replica, State
from warmfront.runtime.scaler import Scaler
from warmfront.runtime.workload import Workload

_LATENCIES_KEPT = 512


class Ticket(Hashable, Protocol):
    """A request on its way to a replica. Hashable by identity."""

    def send(self, replica: Replica) -> None:
        """It is this replica's turn. Must not end the request before it returns."""

    def dismiss(self) -> None:
        """There will be no replica any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a revision has carried so far; latencies of the latest replies in seconds, oldest first."""

    in_flight: int
    queued: int
    requests: int
    failures: int
    latencies_s: tuple[float, ...]


class LiveRevision:
    """Admits requests, brings up the replicas they need and takes away those that nobody needs."""

    def __init__(self, workload: Workload, spec: ScalingSpec, *, host: Host, publisher: Publisher, rng: Random) -> None:
        self.workload = workload
        self.fleet = Fleet(workload, host, self, start_deadline_s=spec.progress_deadline_s)
        self._breaker: Breaker[Ticket, Replica] = Breaker(concurrency=workload.concurrency, rng=rng)
        self._publisher = publisher
        self._requests = 0
        self._failures = 0
        self._latencies: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._stopped = False
        self.scaler = Scaler(
            spec, initialised=publisher.initialised(), ready=lambda: len(self.fleet.ready), apply=self._apply
        )

    def start(self) -> None:
        """Check that it can run here, say so, and begin to scale: to the initial scale first."""
        self.fleet.check()
        self.scaler.start()

    async def stop(self) -> None:
        """Take all replicas away; returns when no process is left."""
        self._stopped = True
        self.scaler.stop()
        for ticket in self._breaker.waiting():
            ticket.dismiss()
        await self.fleet.stop()

    def rescale(self, spec: ScalingSpec) -> None:
        """Scale by these rules from now on."""
        self.scaler.respecify(spec)

    @property
    def proxied(self) -> bool:
        """Whether the activator is in the path: nothing is ready, or the burst capacity left is below the target."""
        return self.scaler.scale.proxied or not self._breaker.ready

    @property
    def in_flight(self) -> int:
        """Requests at replicas now."""
        return self._breaker.in_flight

    @property
    def traffic(self) -> Traffic:
        """A snapshot for display."""
        return Traffic(
            in_flight=self._breaker.in_flight,
            queued=self._breaker.queued,
            requests=self._requests,
            failures=self._failures,
            latencies_s=tuple(self._latencies),
        )

    # -- requests -------------------------------------------------------------------------------------------------

    def enter(self, ticket: Ticket) -> None:
        """Admit a request: sent at once or when a replica has room. Raises Overloaded if it can be neither."""
        if self.fleet.fault is not None and self.fleet.fault.reason == "ContainerMissing":
            raise Overloaded(f"{self.workload.revision} cannot start: {self.fleet.fault.message}")
        replica = self._breaker.enter(ticket, proxied=self.proxied)
        self._requests += 1
        self.scaler.request_began()
        if replica is not None:
            ticket.send(replica)

    def cancel(self, ticket: Ticket) -> None:
        """The request ends while it still waits."""
        if self._breaker.cancel(ticket):
            self.scaler.request_ended()

    def leave(self, replica: Replica, *, latency_s: float | None) -> None:
        """The request to this replica ended, after `latency_s` since its arrival or (None) without a reply."""
        self.scaler.request_ended()
        if latency_s is None:
            self._failures += 1
        else:
            self._latencies.append(latency_s)
        self._free(replica)

    def refused(self, ticket: Ticket, replica: Replica) -> None:
        """The replica took no connection: the request waits again, before all others, and it is probed anew."""
        self._breaker.put_back(ticket)
        self._breaker.remove(replica)
        replica.unready()
        self.fleet_changed()
        self._free(replica)

    def _free(self, replica: Replica) -> None:
        self._breaker.leave(replica)
        if replica.state is State.DRAINING and not self._breaker.load(replica):
            self.fleet.drained(replica)
        self._pump()

    def _pump(self) -> None:
        for ticket, replica in self._breaker.dispatch():
            ticket.send(replica)

    # -- what the fleet tells -------------------------------------------------------------------------------------

    def replica_ready(self, replica: Replica) -> None:
        """Give it what waits."""
        self._breaker.add(replica)
        self._pump()

    def replica_lost(self, replica: Replica) -> None:
        """Give it nothing more."""
        self._breaker.remove(replica)

    def load(self, replica: Replica) -> int:
        """How many requests it has in flight."""
        return self._breaker.load(replica)

    def fleet_changed(self) -> None:
        """Judge anew how many replicas there are to be, and tell the world."""
        if not self._stopped:
            self.scaler.reconcile()

    def _apply(self, scale: Scale) -> None:
        if self.fleet.fault is not None:
            self.fleet.check()  # what was missing may have been built meanwhile
        if scale.initialised and not scale.replicas:
            self.fleet.forgive()
        self.fleet.resize(scale.replicas)
        ports = tuple(replica.port for replica in self.fleet.ready)
        self._publisher.publish(Standing.of(scale, ports, self.fleet.fault))
