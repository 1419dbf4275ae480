"""One variant as the selector knows it: what was observed, what is in flight, what was learned. It never chooses."""

from math import log

from warmfront.domain import Observation, Outcome, Profile, Status, Variant, Warmth
from warmfront.selection.estimators.accuracy import Accuracy
from warmfront.selection.estimators.calibration import Calibration
from warmfront.selection.estimators.cold_start import ColdStart, residual
from warmfront.selection.estimators.duration import Duration, from_moments, from_spread, total
from warmfront.selection.estimators.latency import Execution
from warmfront.selection.estimators.samples import PRIOR_MASS, LogSamples, Shared
from warmfront.selection.forecast import Forecast
from warmfront.selection.settings import SelectorSettings

AGE_STEPS = 32  # the age of a start is read in steps of 1/32 of its expected length
MAX_PREPARED = 512


class Environment:
    """What all variants share: the network to them and the platform's part of a start."""

    def __init__(self, settings: SelectorSettings) -> None:
        self.settings = settings
        self.network = Shared(from_spread(settings.network_s))
        self.platform = Shared(from_spread(settings.platform_start_s))


class KnownVariant:
    """Observation, in-flight count and estimators of one variant, and the forecasts prepared from them."""

    def __init__(self, observation: Observation, shared: Environment) -> None:
        self._shared = shared
        settings, profile = shared.settings, observation.variant.profile
        self.observation = observation
        self.in_flight = 0
        self.presumed_at: float | None = None  # a start that must be under way, though nobody has seen it
        self.presumed_ready_at: float | None = None  # a reply that proves a replica, though nobody has seen it
        self.failures = 0  # in a row
        self.resting_until = float("-inf")
        self.execution = Execution(profile, settings.default_execution_s)
        self.network = LogSamples()
        self.start = ColdStart(profile, shared.platform, settings.default_cold_start_s)
        self.accuracy = Accuracy(profile, settings.default_accuracy)
        self._warm_shape, self._waiting_shape = Calibration(), Calibration()
        self._prepared: dict[tuple[int, int, int], Forecast] = {}

    @property
    def variant(self) -> Variant:
        """The variant at its latest revision."""
        return self.observation.variant

    # what is seen

    def update(self, observation: Observation, now: float) -> bool:
        """Take the latest observation; true when a start taught something about the platform, for everybody."""
        before, self.observation = self.observation, observation
        moved = self._learn_start(before, observation, now)
        if observation.ready or observation.starting_at or before.ready:
            self.presumed_at = self.presumed_ready_at = None
        if observation.variant.revision != before.variant.revision:
            self._renew(observation.variant.profile)
        self.forget_forecasts()
        return moved

    def _learn_start(self, before: Observation, after: Observation, now: float) -> bool:
        came = after.ready - before.ready
        if came <= 0:
            return False
        asked = [at for at in sorted(before.starting_at) if at not in after.starting_at]
        if not asked and self.presumed_at is not None:
            asked = [self.presumed_at]
        moved = [self.start.observe(now - at) for at in asked[:came] if now > at]
        return any(moved)

    def _renew(self, profile: Profile) -> None:
        self.execution.renew(profile)
        self.start.renew(profile)
        self.accuracy.renew(profile)
        self.failures, self.resting_until = 0, float("-inf")

    # what is sent and comes back

    def sent(self, now: float) -> None:
        """One more request is on its way; if nothing is ready or coming, it makes a start come."""
        self.in_flight += 1
        if self.standing(now)[0] is Warmth.COLD:
            self.presume_start(now)

    def presume_start(self, now: float) -> None:
        """A start was asked for at `now`."""
        self.presumed_at, self.presumed_ready_at = now, None

    def ended(self, outcome: Outcome, now: float) -> None:
        """One request less; a failure counts towards a rest, an answer ends it and proves a replica."""
        self.in_flight -= 1
        settings = self._shared.settings
        if outcome.status is Status.FAILED:
            self.failures += 1
            if self.failures > 1:
                rest = settings.backoff_s * 2 ** min(self.failures - 2, 30)
                self.resting_until = now + min(rest, settings.backoff_limit_s)
        elif not outcome.censored:
            self.failures, self.resting_until = 0, float("-inf")
            if self.presumed_at is not None or self.presumed_ready_at is not None:
                self.presumed_at, self.presumed_ready_at = None, now

    def standing(self, now: float) -> tuple[Warmth, int, float]:
        """Warmth, ready replicas and the age of the oldest start (0 unless starting)."""
        seen, settings = self.observation, self._shared.settings
        if seen.ready:
            return Warmth.WARM, seen.ready, 0.0
        if seen.starting_at:
            return Warmth.STARTING, 0, max(now - min(seen.starting_at), 0.0)
        if self.presumed_at is not None and now - self.presumed_at < settings.presumed_start_timeout_s:
            return Warmth.STARTING, 0, max(now - self.presumed_at, 0.0)
        if self.presumed_ready_at is not None and now - self.presumed_ready_at < settings.hold_s:
            return Warmth.WARM, 1, 0.0
        return Warmth.COLD, 0, 0.0

    # what is learned

    def learn(self, size: int, outcome: Outcome, expected: Forecast) -> bool:
        """Learn from a reply that was `expected` so; true when the shared network estimate moved."""
        if outcome.status is Status.REJECTED or (outcome.status is Status.FAILED and not outcome.censored):
            return False
        z = (log(max(outcome.upstream_s, 1e-6)) - expected.mu) / expected.sigma
        waited = expected.warmth is not Warmth.WARM or expected.wait_s > 0
        shape = self._waiting_shape if waited else self._warm_shape
        self.forget_forecasts()
        if outcome.censored:
            shape.observe_beyond(z)
            if not (waited or outcome.cold):
                self._learn_beyond(size, outcome.upstream_s)
            return False
        shape.observe(z)
        return self._learn_call(size, outcome, waited=waited or outcome.cold)

    def _learn_call(self, size: int, outcome: Outcome, *, waited: bool) -> bool:
        execution = outcome.execution_s
        if waited:  # the wait is in upstream_s: only the variant's own word tells the execution
            if execution:
                self.execution.observe(size, execution)
            return False
        if not execution:
            network = self._network().p50
            self.execution.observe(size, max(outcome.upstream_s - network, outcome.upstream_s / 10, 1e-6))
            return False
        self.execution.observe(size, execution)
        network = max(outcome.upstream_s - execution, 1e-6)
        self.network.add(log(network))
        return self._shared.network.observe(network)

    def _learn_beyond(self, size: int, upstream_s: float) -> None:
        execution = upstream_s - self._network().p50
        if execution > 0:
            self.execution.observe_beyond(size, execution)

    def forget_forecasts(self) -> None:
        """What was prepared is out of date."""
        self._prepared.clear()

    # what is expected

    def forecast(self, size: int, warmth: Warmth, ready: int, age_s: float) -> Forecast:
        """What to expect of one more request of `size` bytes, standing as given."""
        step = -1
        if warmth is not Warmth.WARM:
            start = self._start()
            step = int(age_s / start.p50 * AGE_STEPS)
        key = (size, self._ahead(ready), step)
        prepared = self._prepared.get(key)
        if prepared is None:
            if len(self._prepared) >= MAX_PREPARED:
                self._prepared.clear()
            prepared = self._prepared[key] = self._prepare(size, warmth, ready, step)
        return prepared

    def _ahead(self, ready: int) -> int:
        """How many of the requests in flight must leave before one more is served."""
        slots = max(ready, 1) * self.variant.concurrency
        return max(self.in_flight - slots + 1, 0) if slots else 0

    def _start(self) -> Duration:
        return self.start.estimate()

    def _network(self) -> Duration:
        return self.network.estimate(self._shared.network.value, PRIOR_MASS)

    def _prepare(self, size: int, warmth: Warmth, ready: int, step: int) -> Forecast:
        execution = self.execution.estimate(size)
        accuracy = self.accuracy.estimate(size)
        network = self._network()
        name = self.variant.name
        parts = [network, execution]
        wait_s = 0.0
        ahead = self._ahead(ready)
        if ahead:
            queue = self._queue(ahead, max(ready, 1) * self.variant.concurrency, execution)
            parts.append(queue)
            wait_s += queue.p50
        if warmth is Warmth.WARM:
            shape = self._waiting_shape if ahead else self._warm_shape
            return Forecast(
                name=name, warmth=warmth, accuracy=accuracy, latency=total(parts), wait_s=wait_s,
                execution_s=execution.p50, calibration=shape,
            )  # fmt: skip
        start = self._start()
        rest = residual(start, step * start.p50 / AGE_STEPS) if warmth is Warmth.STARTING else start
        return Forecast(
            name=name, warmth=warmth, accuracy=accuracy, latency=total((*parts, rest)), wait_s=wait_s + rest.p50,
            execution_s=execution.p50, calibration=self._waiting_shape,
            start_cost=self.hold_cost(self._shared.settings.hold_s) if warmth is Warmth.COLD else 0.0,
            once_warm=Forecast(
                name=name, warmth=Warmth.WARM, accuracy=accuracy, latency=total((network, execution)), wait_s=0.0,
                execution_s=execution.p50, calibration=self._warm_shape,
            ),
        )  # fmt: skip

    @staticmethod
    def _queue(ahead: int, slots: int, execution: Duration) -> Duration:
        """`ahead` departures from `slots` places: mean j m / k, variance j s^2 / k^2."""
        return from_moments(ahead * execution.mean / slots, ahead * execution.variance / slots**2)

    @property
    def memory_gb(self) -> float:
        """What one replica holds, in GB of 1000 MB."""
        return (self.variant.profile.memory_mb or self._shared.settings.default_memory_mb) / 1000

    def hold_cost(self, hold_s: float) -> float:
        """The price of one start: the replica while it starts and for `hold_s` after, in utility."""
        return self.memory_gb * self._shared.settings.price_per_gb_s * (self._start().mean + hold_s)
