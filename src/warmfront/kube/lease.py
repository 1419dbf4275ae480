"""Which of several selector replicas acts for all: the one that holds the Lease.

`Election` is the rule, with the clock as argument; `Leadership` reads and writes the Lease by it. The rule is that of
Kubernetes' own leader election: a Lease is free when nobody is named in it, and dead when it has not changed for its
duration, measured by the clock of whoever looks on, since the clocks of two machines may differ.
What must not live here: what the holder does.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from warmfront.errors import Conflict, NotFound, Unauthorized, WarmfrontError
from warmfront.kube.client import KubeClient
from warmfront.kube.resources import LEASES

_log = logging.getLogger(__name__)

LEASE = "warmfront-selector"
DURATION_S = 15.0
RENEW_S = 5.0
#: A holder that could not renew for so long acts no more: well before anybody else may.
_SURE_S = 10.0
_RETRY_S = 1.0
_FORBIDDEN_RETRY_S = 60.0

Object = dict[str, Any]


class Election:
    """What one candidate knows. `identity` must be nobody else's. Times are the candidate's own monotonic clock."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.holder = ""
        self._record: tuple[object, ...] = ()
        self._changed_at = 0.0
        self._duration_s = DURATION_S
        self._sure_until = float("-inf")

    def see(self, lease: Object, now: float) -> None:
        """The Lease as it was read at `now`."""
        spec = lease.get("spec") or {}
        record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if record != self._record:
            self._record, self._changed_at = record, now
        self.holder = spec.get("holderIdentity") or ""
        self._duration_s = float(spec.get("leaseDurationSeconds") or DURATION_S)
        if self.holder != self.identity:
            self._sure_until = float("-inf")

    def may_claim(self, now: float) -> bool:
        """Whether the Lease is ours, free, or dead."""
        return self.holder in {"", self.identity} or now - self._changed_at >= self._duration_s

    def claim(self, lease: Object, time: str) -> Object:
        """The spec that takes or renews the Lease; `time` is the time of day as Kubernetes writes it."""
        spec = lease.get("spec") or {}
        claim: Object = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(DURATION_S),
            "renewTime": time,
        }
        if spec.get("holderIdentity") != self.identity:
            claim |= {"acquireTime": time, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        return claim

    def claimed(self, lease: Object, asked_at: float) -> None:
        """A claim asked for at `asked_at` was written."""
        self.see(lease, asked_at)
        self._sure_until = asked_at + _SURE_S

    def holds(self, now: float) -> bool:
        """Whether nobody else can hold it now."""
        return now < self._sure_until

    def resigned(self) -> None:
        """It is ours no more."""
        self._sure_until = float("-inf")


class Leadership:
    """Holds the Lease whenever it can, from `run` to `resign`. `fault` says what stands in the way, if anything."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        identity: str,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.election = Election(identity)
        self.fault = ""
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._wall = wall

    @property
    def holding(self) -> bool:
        """Whether this replica acts for all."""
        return self.election.holds(self._clock())

    async def run(self) -> None:
        """Try for the Lease and renew it; ends only by cancellation."""
        while True:
            wait_s = await self.step()
            await asyncio.sleep(wait_s)

    async def step(self) -> float:
        """One try; how long to wait before the next."""
        before, fault, wait_s = self.holding, "", RENEW_S
        try:
            await self._try()
        except Conflict:
            wait_s = _RETRY_S  # somebody else was faster: look who
        except Unauthorized as error:
            fault, wait_s = f"no permission for Lease {LEASE} ({error})", _FORBIDDEN_RETRY_S
        except WarmfrontError as error:
            fault, wait_s = f"Lease {LEASE} cannot be renewed ({error})", _RETRY_S
        if fault and fault != self.fault:
            _log.warning(fault)
        self.fault = fault
        if self.holding and not before:
            _log.info("this replica acts for all", extra={"fields": {"lease": LEASE}})
        return wait_s

    async def _try(self) -> None:
        try:
            lease = await self._client.get(LEASES, self._namespace, LEASE)
        except NotFound:
            lease = await self._client.create(LEASES, _new(self._namespace))
        now = self._clock()
        self.election.see(lease, now)
        if self.election.may_claim(now):
            written = await self._write(lease, self.election.claim(lease, _micro_time(self._wall())))
            self.election.claimed(written, now)

    async def resign(self) -> None:
        """Give the Lease back if it is ours, so that another replica need not wait for it to die. Never raises."""
        if not self.holding:
            return
        self.election.resigned()
        try:
            lease = await self._client.get(LEASES, self._namespace, LEASE)
            if (lease.get("spec") or {}).get("holderIdentity") == self.election.identity:
                await self._write(lease, {"holderIdentity": None, "renewTime": _micro_time(self._wall())})
        except WarmfrontError as error:
            _log.warning("Lease %s not given back, it dies in %.0f s: %s", LEASE, DURATION_S, error)

    async def _write(self, lease: Object, spec: Object) -> Object:
        """Raises Conflict when somebody wrote since `lease` was read."""
        version = {"resourceVersion": lease["metadata"]["resourceVersion"]}
        return await self._client.merge(LEASES, self._namespace, LEASE, {"metadata": version, "spec": spec})


def _new(namespace: str) -> Object:
    return {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"name": LEASE, "namespace": namespace},
        "spec": {},
    }


def _micro_time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
