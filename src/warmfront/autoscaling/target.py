"""From decisions to replicas: bounds, initial scale, and the way to zero (pkg/reconciler/autoscaling/kpa).

What may live here: the activity of a revision and who is in its path. What must not: load and how it is averaged.

    activating  --ready-->  active  --wants none for a stable window-->  inactive  --grace, retention-->  no replica
         ^------------------------------ wants some -----------------------'
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

from warmfront.autoscaling.spec import ScalingSpec

ACTIVATION_BUFFER_S: Final = 30.0  # on top of the progress deadline before an activation counts as failed


class Activity(Enum):
    """The Active condition of a PodAutoscaler: True, Unknown or False."""

    ACTIVE = "active"
    ACTIVATING = "activating"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What is to be now. `replicas` is how many replicas there are to be.

    `wanted` is what the PodAutoscaler reports: 0 while the last replica only waits for its end, None while unknown.
    `reason` goes with the activity, in Knative's words: Queued, NoTraffic or TimedOut, empty when active. `proxied`
    says that the activator is in the path, `initialised` that the initial scale was reached once, `again_at` when to
    ask again at the latest (None: only a new decision or another count of ready replicas changes it).
    """

    replicas: int
    wanted: int | None
    activity: Activity
    reason: str
    proxied: bool
    initialised: bool
    again_at: float | None


class ScaleTarget:
    """The replicas of one revision as Knative's reconciler moves them."""

    def __init__(self, spec: ScalingSpec, *, now: float, ready: int, initialised: bool) -> None:
        self.spec = spec
        self._replicas = ready if initialised else spec.initial_scale
        self._initialised = initialised
        self._activity = Activity.INACTIVE if initialised and not ready else Activity.ACTIVATING
        self._reason = "NoTraffic" if self._activity is Activity.INACTIVE else "Queued"
        self._since = now
        self._proxied_since = math.inf if ready else now
        self._again_at: float | None = None

    def reconcile(self, now: float, *, ready: int, desired: int | None, excess_burst: int) -> Scale:
        """Move one step: by the latest decision (None before the first), with `ready` replicas ready."""
        self._again_at = None
        wanted = self._bounded(desired)
        if wanted == 0:
            wanted = self._towards_zero(now)
        elif wanted is not None:
            self._replicas = wanted
        self._route(now, ready, wanted, excess_burst)
        self._judge(now, ready, wanted)
        return Scale(
            replicas=self._replicas,
            wanted=wanted,
            activity=self._activity,
            reason=self._reason,
            proxied=self._proxied_since < math.inf,
            initialised=self._initialised,
            again_at=self._again_at,
        )

    def _bounded(self, desired: int | None) -> int | None:
        """The decision within min-scale and max-scale; until it was reached once, initial-scale is a minimum too."""
        if desired is None and self._activity is not Activity.ACTIVATING:
            return None
        lowest = self.spec.minimum
        if not self._initialised and self.spec.initial_scale > 1:
            lowest = max(lowest, self.spec.initial_scale)
        if desired is None or desired < lowest:
            return lowest
        return min(desired, self.spec.max_scale) if self.spec.max_scale else desired

    def _towards_zero(self, now: float) -> int | None:
        """One step of handleScaleToZero: what is wanted instead of, or on the way to, no replica."""
        for_s = now - self._since
        if not self.spec.enable_scale_to_zero:
            self._replicas = 1
            return 1
        if self._activity is Activity.ACTIVATING:
            return self._give_up(for_s)
        if self._activity is Activity.INACTIVE:
            if self._may_end(now, for_s):
                self._replicas = 0
            return 0
        if for_s < self.spec.stable_window_s:
            self._again_at = self._since + self.spec.stable_window_s
            self._replicas = 1
            return 1
        self._again_at = now  # it becomes inactive now; whether it may end at once is the next question
        return 0

    def _give_up(self, for_s: float) -> int | None:
        """An activation is waited for, even without load, until progress deadline and buffer are over."""
        limit = self.spec.progress_deadline_s + ACTIVATION_BUFFER_S
        if for_s > limit:
            self._replicas = 0
            return 0
        self._again_at = self._since + limit
        return None

    def _may_end(self, now: float, inactive_for: float) -> bool:
        """Whether the last replica may go: retention over, and traffic surely at the activator for the grace period."""
        grace, retention = self.spec.scale_to_zero_grace_s, self.spec.retention_s
        if inactive_for < retention:
            self._again_at = self._since + retention
            return False
        if inactive_for >= grace or now - self._proxied_since >= grace:
            return True
        self._again_at = min(self._since, self._proxied_since) + grace
        return False

    def _route(self, now: float, ready: int, wanted: int | None, excess_burst: int) -> None:
        """The activator is in the path at zero, without ready replicas and without capacity for the target burst."""
        unknown_and_idle = wanted is None and self._activity is Activity.INACTIVE
        if not ready or wanted == 0 or excess_burst < 0 or unknown_and_idle:
            self._proxied_since = min(self._proxied_since, now)
        else:
            self._proxied_since = math.inf

    def _judge(self, now: float, ready: int, wanted: int | None) -> None:
        """The activity that follows; before the initial scale was reached it takes that many to be active."""
        enough = max(self.spec.minimum, 1 if self._initialised else self.spec.initial_scale)
        if ready >= enough:
            self._initialised = True
        if wanted == 0 or not enough:
            failed = self._activity is Activity.ACTIVATING and enough
            self._become(Activity.INACTIVE, "TimedOut" if failed else "NoTraffic", now)
        elif wanted or self._activity is not Activity.INACTIVE:
            if ready < enough:
                self._become(Activity.ACTIVATING, "Queued", now)
            else:
                self._become(Activity.ACTIVE, "", now)

    def _become(self, activity: Activity, reason: str, now: float) -> None:
        if activity is not self._activity:
            self._activity, self._reason, self._since = activity, reason, now
