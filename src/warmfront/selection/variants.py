"""One variant as the selector sees it: observed, in flight, presumed, resting. What it learned is in knowledge.py.

Whatever changes here and shows in a `Standing` drops the prepared ones: see standing.py.
"""

from math import inf
from sys import maxsize

from warmfront.domain import Observation, Outcome, Status, Warmth
from warmfront.selection.forecast import Forecast
from warmfront.selection.knowledge import Environment, Knowledge
from warmfront.selection.learned import LearnedVariant, kept_share
from warmfront.selection.standing import Standing, a_little_before

NEVER = float("-inf")
LEAST_HOLD_S = 1.0
KEPT_AFTER_S = 30.0


class KnownVariant:
    """The latest observation, the requests in flight, and what must be true though nobody has seen it yet."""

    def __init__(self, observation: Observation, environment: Environment) -> None:
        self._settings = environment.settings
        self.standings: dict[int, Standing] = {}  # by size; see `standing`
        self.since = self.until = NEVER  # when they hold, if there are any
        self.knowledge = Knowledge(observation.variant, environment, self.standings.clear)
        self.in_flight = 0  # of this selector,
        self.others = 0  # and of its peers, as of the time for which there are standings
        self._peers: dict[str, tuple[int, float, int, float]] = {}  # count, likeness, own count then, believed until
        self.taught_at = NEVER
        self._start_presumed_at = NEVER  # a start was asked for; no observation has shown it yet
        self._ready_presumed_at = NEVER  # a reply proved a replica; no observation has shown it yet
        self.used_at = NEVER  # when last a request was sent, ended or made it ready: the platform's window starts anew
        self.asked_at = NEVER  # when last a request was sent
        self.kept_until = NEVER  # by the plan
        self.bonus = 0.0  # how much better it is believed to be than it is, to find out
        self.charge = 0.0  # what sending it a request costs beyond that request
        self.toll = self.harm = self.taken = 0.0  # see toll.py
        self.hold_s = self._settings.hold_s  # how long an idle replica was seen to stay
        self.lingers_s = 0.0  # and how long one that was kept no longer
        self.failures = 0  # in a row
        self.resting_until = NEVER
        self._see(observation)

    def _see(self, observation: Observation) -> None:
        self.observation, self.variant = observation, observation.variant
        self._full = (observation.ready or 1) * observation.variant.concurrency or maxsize
        self._free = self._full - self.others  # places that peers have left
        self.standings.clear()

    def update(self, observation: Observation, now: float) -> bool:
        """Take the latest observation; true when a start taught something about the platform, for everybody."""
        before = self.observation
        self._see(observation)
        self._learn_hold(before, observation, now)
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

    def _learn_hold(self, before: Observation, after: Observation, now: float) -> None:
        """How long the last replica stayed idle: after its last request, or after it was kept."""
        if after.ready and not before.ready:
            self.used_at = max(self.used_at, now)
        elif before.ready and not after.ready and not self.in_flight:
            if self.kept_until < self.used_at:
                self.hold_s = max(now - self.used_at, LEAST_HOLD_S)
            elif self.kept_until <= now:
                self.lingers_s = now - max(self.kept_until, self.used_at)

    def kept_by_others(self, now: float) -> bool:
        """Whether it is awake though nobody used it or kept it for far longer than the platform's window."""
        idle_s = now - max(self.used_at, self.kept_until)
        return bool(self.observation.ready) and not self.in_flight and idle_s > 2 * self.hold_s + KEPT_AFTER_S

    def held_by_requests(self, now: float) -> bool:
        """Whether it would be awake without any plan."""
        return self.in_flight > 0 or now - self.asked_at < self.hold_s

    @property
    def slots(self) -> int:
        """How many requests are served at once, by the replicas there are or by the first."""
        return self._full

    @property
    def used_gb(self) -> float:
        """Memory of its replicas, ready and starting, as far as they are seen."""
        return (self.observation.ready + len(self.observation.starting_at)) * self.knowledge.memory_gb

    def held(self, now: float) -> bool:
        """Whether the platform keeps it for the requests it had, or a start is under way."""
        if self.in_flight or now - self.used_at < self.hold_s:
            return self.warmth(now) is not Warmth.COLD
        return self.warmth(now) is Warmth.STARTING

    def inherit(self, learned: LearnedVariant, taught_at: float, now: float) -> None:
        """Take over what an earlier selector learned, the last of it at `taught_at`: the less of it the older it is."""
        self.taught_at = taught_at
        share = kept_share(now - taught_at, self._settings.learned_half_life_s)
        self.knowledge.restore(learned, share, self.variant)

    def sent(self, now: float) -> None:
        """One more request is on its way; if nothing is ready or coming, it makes a start come."""
        self.in_flight += 1
        self.used_at = self.asked_at = now
        self.charge = -self.bonus  # from now on the platform holds it for this one
        if self._peers:
            self._estimate()
        if self.in_flight >= self._free or self.knowledge.crowded:
            self.standings.clear()
        if not self.observation.ready and self.warmth(now) is Warmth.COLD:
            self.presume_start(now)

    def presume_start(self, now: float) -> None:
        """A start was asked for."""
        self._start_presumed_at, self._ready_presumed_at = now, NEVER
        self.standings.clear()

    def lost(self) -> None:
        """One request less in flight; what became of it is not known here."""
        if self.in_flight >= self._free or self.knowledge.crowded:
            self.standings.clear()
        self.in_flight -= 1
        if self._peers:
            self._estimate()

    def shared(self, peer: str, count: int, likeness: float, now: float) -> None:
        """A peer has `count` requests in flight here. It is believed to have done since what this selector did, times
        its `likeness`, for `peer_hold_s` at most.
        """
        self._peers[peer] = (count, likeness, self.in_flight, now + self._settings.peer_hold_s)
        if count:
            self.used_at = self.asked_at = now
        self._recount(now)
        self.standings.clear()

    def _recount(self, now: float) -> None:
        """Without those of whom nothing was heard for too long."""
        self._peers = {peer: told for peer, told in self._peers.items() if now < told[3]}
        self._estimate()

    def _estimate(self) -> None:
        """What peers have in flight now: what they said, moved by as much as this selector's own number since then.

        The traffic of all is about the same, and so is what they make of it. To take their word for what is true now
        would make all of them run for the same free place, and leave the same full one, until the next report (the herd
        of Mitzenmacher, "How Useful Is Old Information?", 2000).
        """
        mine = self.in_flight
        told = sum(max(count + likeness * (mine - then), 0.0) for count, likeness, then, _ in self._peers.values())
        self.others = round(told)
        self._free = self._full - self.others

    def ended(self, outcome: Outcome, now: float) -> None:
        """One request less. Failures in a row make it rest, ever longer; a reply ends that and proves a replica.

        A failure proves nothing: neither that a start is under way nor that a replica is there.
        """
        self.lost()
        self.used_at = now
        if outcome.status is Status.FAILED:
            self._failed(now)
        elif not outcome.censored and (self.failures or not self.observation.ready):
            self._answered(now)

    def _failed(self, now: float) -> None:
        settings = self._settings
        self.failures += 1
        self._start_presumed_at = self._ready_presumed_at = NEVER
        if self.failures > 1:
            rest = settings.backoff_s * 2 ** min(self.failures - 2, 30)
            self.resting_until = now + min(rest, settings.backoff_limit_s)
        self.standings.clear()

    def _answered(self, now: float) -> None:
        if self.failures or not self._ready_presumed(now):
            self.standings.clear()
        self.failures, self.resting_until = 0, NEVER
        if self._start_presumed_at > NEVER or self._ready_presumed_at > NEVER:
            self._start_presumed_at, self._ready_presumed_at = NEVER, now

    def usable(self, now: float) -> bool:
        """Whether the platform can run it and it does not rest after failures."""
        return self.observation.available and now >= self.resting_until

    def ready(self, now: float) -> int:
        """Ready replicas, seen or proved by a reply within the platform's window."""
        return self.observation.ready or int(self._ready_presumed(now))

    def _ready_presumed(self, now: float) -> bool:
        return now - self._ready_presumed_at < self._settings.hold_s

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

    def standing(self, size: int, now: float) -> Standing:
        """How it stands now for one more request of `size` bytes, prepared anew only when something has changed."""
        standings = self.standings
        if not self.since <= now < self.until:
            standings.clear()
        found = standings.get(size)
        if found is None:
            if not standings:
                if self._peers:
                    self._recount(now)
                self.since, self.until = now, min(self._until(now), self._heard_until())
            found = standings[size] = self._prepare(size, now)
        return found

    def _prepare(self, size: int, now: float) -> Standing:
        observation, forecast, overdue_since = self.observation, self._forecast(size, now), self._overdue_since(now)
        open_ = overdue_since == inf and self.usable(now)
        numbers = (
            open_, self.variant, forecast.warmth, self.ready(now), forecast.accuracy,
            forecast.predicted_s, forecast.p95_s, forecast.wait_s, forecast.cdf, forecast.scale, forecast.offset,
            forecast, "" if observation.available else f"unavailable: {observation.reason}",
            self.resting_until, self.failures, overdue_since,
        )  # fmt: skip
        return tuple.__new__(Standing, numbers)  # half the time of a call, and a new size makes one per variant

    def _until(self, now: float) -> float:
        """Until when time alone changes nothing in how it stands."""
        if self.observation.ready:
            return inf
        if self._ready_presumed(now):
            return a_little_before(self._ready_presumed_at + self._settings.hold_s)
        age_s = self._start_age(now)
        if age_s is None:
            return inf
        seen = self.observation.starting_at
        given_up = inf if seen else self._start_presumed_at + self._settings.presumed_start_timeout_s
        left_s = self.knowledge.overdue_s - age_s
        overdue_at = now + left_s if left_s > 0 else inf
        return a_little_before(min(given_up, overdue_at, now + self.knowledge.same_age_s(age_s)))

    def _overdue_since(self, now: float) -> float:
        """When the start began that should have ended long ago; infinity if there is none."""
        age_s = None if self.ready(now) else self._start_age(now)
        return inf if age_s is None or age_s < self.knowledge.overdue_s else now - age_s

    def _heard_until(self) -> float:
        """When the first of the peers' counts is too old, if nothing more is heard."""
        return a_little_before(min(until for _, _, _, until in self._peers.values())) if self._peers else inf

    @property
    def beside(self) -> int:
        """How many others one more request will find on its replica, if they are spread evenly."""
        return self._beside(self.in_flight + self.others)

    def _beside(self, there: int) -> int:
        return min(there, self._full - 1) // (self.observation.ready or 1)

    def with_one_fewer(self, size: int, now: float) -> Forecast | None:
        """What to expect if one request less were here; None where that makes no difference."""
        there = self.in_flight + self.others
        if not there or not self.ready(now) or (there < self._full and not self.knowledge.crowded):
            return None
        return self.knowledge.warm(size, max(there - self._full, 0), self._full, self._beside(there - 1))

    def _forecast(self, size: int, now: float) -> Forecast:
        ahead = max(self.in_flight - self._free + 1, 0)
        if self.ready(now):
            return self.knowledge.warm(size, ahead, self._full, self.beside)
        return self.knowledge.waiting(size, self._start_age(now), ahead, self._full, self.beside)
