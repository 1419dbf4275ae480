"""One variant as the selector sees it: observed, in flight, presumed, resting. What it learned is in knowledge.py."""

from warmfront.domain import Observation, Outcome, Status, Warmth
from warmfront.selection.forecast import Forecast
from warmfront.selection.knowledge import Environment, Knowledge

NEVER = float("-inf")


class KnownVariant:
    """The latest observation, the requests in flight, and what must be true though nobody has seen it yet."""

    def __init__(self, observation: Observation, environment: Environment) -> None:
        self._settings = environment.settings
        self.observation = observation
        self.variant = observation.variant
        self.knowledge = Knowledge(observation.variant, environment)
        self.in_flight = 0
        self._start_presumed_at = NEVER  # a start was asked for; no observation has shown it yet
        self._ready_presumed_at = NEVER  # a reply proved a replica; no observation has shown it yet
        self.failures = 0  # in a row
        self.resting_until = NEVER

    def update(self, observation: Observation, now: float) -> bool:
        """Take the latest observation; true when a start taught something about the platform, for everybody."""
        before, self.observation, self.variant = self.observation, observation, observation.variant
        moved = self._learn_starts(before, observation, now)
        if observation.ready or observation.starting_at or before.ready:
            self._start_presumed_at = self._ready_presumed_at = NEVER
        new, old = observation.variant, before.variant
        if new.revision != old.revision or new.profile != old.profile:
            self.failures, self.resting_until = 0, NEVER
            self.knowledge.renew(new.profile)
        return moved

    def _learn_starts(self, before: Observation, after: Observation, now: float) -> bool:
        """Each replica that became ready ends the oldest start that is no longer under way."""
        asked = [at for at in sorted(before.starting_at) if at not in after.starting_at]
        if not asked and self._start_presumed_at > NEVER:
            asked = [self._start_presumed_at]
        came = max(after.ready - before.ready, 0)
        moved = [self.knowledge.learn_start(now - at) for at in asked[:came]]
        return any(moved)

    def sent(self, now: float) -> None:
        """One more request is on its way; if nothing is ready or coming, it makes a start come."""
        self.in_flight += 1
        if self.warmth(now) is Warmth.COLD:
            self.presume_start(now)

    def presume_start(self, now: float) -> None:
        """A start was asked for."""
        self._start_presumed_at, self._ready_presumed_at = now, NEVER

    def ended(self, outcome: Outcome, now: float) -> None:
        """One request less. Failures in a row make it rest, ever longer; a reply ends that and proves a replica.

        A failure proves nothing: neither that a start is under way nor that a replica is there.
        """
        self.in_flight -= 1
        settings = self._settings
        if outcome.status is Status.FAILED:
            self.failures += 1
            self._start_presumed_at = self._ready_presumed_at = NEVER
            if self.failures > 1:
                rest = settings.backoff_s * 2 ** min(self.failures - 2, 30)
                self.resting_until = now + min(rest, settings.backoff_limit_s)
        elif not outcome.censored:
            self.failures, self.resting_until = 0, NEVER
            if self._start_presumed_at > NEVER or self._ready_presumed_at > NEVER:
                self._start_presumed_at, self._ready_presumed_at = NEVER, now

    def usable(self, now: float) -> bool:
        """Whether the platform can run it and it does not rest after failures."""
        return self.observation.available and now >= self.resting_until

    def ready(self, now: float) -> int:
        """Ready replicas, seen or proved by a reply within the platform's window."""
        return self.observation.ready or int(now - self._ready_presumed_at < self._settings.hold_s)

    def _start_age(self, now: float) -> float | None:
        """How long the oldest start has been under way, seen or presumed; None when there is none."""
        if self.observation.starting_at:
            return max(now - min(self.observation.starting_at), 0.0)
        age_s = now - self._start_presumed_at
        return max(age_s, 0.0) if age_s < self._settings.presumed_start_timeout_s else None

    def warmth(self, now: float) -> Warmth:
        """Whether a replica is ready, coming, or neither."""
        if self.ready(now):
            return Warmth.WARM
        return Warmth.COLD if self._start_age(now) is None else Warmth.STARTING

    def forecast(self, size: int, now: float) -> Forecast:
        """What to expect of one more request of `size` bytes sent now."""
        ready = self.observation.ready or self.ready(now)
        in_flight, ahead, slots = self.in_flight, 0, 1
        if in_flight:
            slots = (ready or 1) * self.variant.concurrency
            ahead = in_flight - slots + 1 if 0 < slots <= in_flight else 0
        if ready:
            return self.knowledge.warm(size, ahead, slots)
        return self.knowledge.waiting(size, self._start_age(now), ahead, slots)
