"""What was learned of one variant, and the forecasts prepared from it. It knows no observation and never chooses.

Under load only some requests are learned from: up to fifty at once, and from then on fifty a second, of each variant.
That is harmless. The estimators forget all but the last fifty (samples.py) or two hundred (calibration.py) anyway, so
what they know then spans one to four seconds in place of a few milliseconds; a sample mean over so many is as good
however many there were to draw from; and the requests are chosen when they are sent, so that neither how long one takes
nor how it ends has a say in whether it is learned. (The first reply after a pause would be no fair choice: at a busy
server, that is a long one more often than not.)
"""

from collections.abc import Callable, Mapping
from math import log
from typing import NamedTuple

from warmfront.domain import Lesson, Outcome, Profile, Status, Variant, Verdict, Warmth
from warmfront.selection.estimators.accuracy import Accuracy
from warmfront.selection.estimators.calibration import Calibration
from warmfront.selection.estimators.cold_start import ColdStart, residual
from warmfront.selection.estimators.difficulty import Difficulty
from warmfront.selection.estimators.duration import Duration, Moments, from_spread, total
from warmfront.selection.estimators.latency import Execution
from warmfront.selection.estimators.samples import PRIOR_MASS, LogSamples, Shared
from warmfront.selection.forecast import Forecast, forecast
from warmfront.selection.learned import Learned, LearnedVariant
from warmfront.selection.sampling import Sampling
from warmfront.selection.settings import SelectorSettings
from warmfront.selection.warmset.budget import Budget

AGE_STEPS = 16  # the age of a start is read in steps of 1/32 of its expected length
MAX_PREPARED = 512  # forecasts kept of one kind; at most 8 sizes per octave ask for one
LEAST_S = 1e-6
ANOTHER = 3.0  # sigmas by which the expected time must have moved to be another
PROMPT_REPLIES, PER_REFRESH = 32, 16  # the first replies show at once, later ones sixteen at a time, for the CPU's sake


class Environment:
    """What all variants share: the network to them, the platform's part of a start, the price of memory."""

    def __init__(self, settings: SelectorSettings) -> None:
        self.settings = settings
        self.network = Shared(from_spread(settings.network_s))
        self.platform = Shared(from_spread(settings.platform_start_s))
        self.budget = Budget(settings)
        self._difficulties: dict[str, Difficulty] = {}

    def difficulty(self, task: str) -> Difficulty:
        """How hard the task's inputs are for all its variants."""
        return self._difficulties.setdefault(task, Difficulty())

    def export(self, variants: Mapping[str, LearnedVariant]) -> Learned:
        """What was learned of these variants and of what they share, as plain data."""
        age_s = min((one.age_s for one in variants.values()), default=0.0)
        difficulty = {task: one.export() for task, one in self._difficulties.items()}
        return Learned(
            variants=variants, network=self.network.export(), platform=self.platform.export(),
            difficulty={task: by_size for task, by_size in difficulty.items() if by_size}, age_s=age_s,
        )  # fmt: skip

    def restore(self, learned: Learned, share: float) -> None:
        """Take back that share of what is common to all variants."""
        self.network.restore(learned.network, share)
        self.platform.restore(learned.platform, share)
        for task, by_size in learned.difficulty.items():
            self.difficulty(task).restore(by_size, share)


class _Served(NamedTuple):
    """What is expected for one size once a replica serves it."""

    execution: Duration
    moments: Moments  # network and execution together
    idle: Forecast  # a ready replica with nothing to do


def lesson(variant: Variant, size: int, outcome: Outcome, expected: Forecast, beside: int) -> Lesson | None:
    """What a reply teaches that was `expected` so and sent when `beside` others were on the replica.

    A failure teaches nothing about time unless it was cut off: then only that it would have taken longer.
    """
    if outcome.status is Status.REJECTED or (outcome.status is Status.FAILED and not outcome.censored):
        return None
    upstream_s = max(outcome.upstream_s, LEAST_S)
    return Lesson(
        variant=variant.name, revision=variant.revision, size_bytes=size, upstream_s=upstream_s,
        execution_s=outcome.execution_s, z=(log(upstream_s) - expected.latency.mu) / expected.latency.sigma,
        waited=expected.warmth is not Warmth.WARM or expected.wait_s > 0, cold=outcome.cold, censored=outcome.censored,
        beside=beside,
    )  # fmt: skip


class Knowledge:
    """The estimators of one variant. What is taught soon shows in the forecasts; `refreshed` is called when it does."""

    def __init__(self, variant: Variant, environment: Environment, refreshed: Callable[[], None]) -> None:
        self._environment = environment
        self._refreshed = refreshed
        settings, profile = environment.settings, variant.profile
        self._name = variant.name
        self._execution = Execution(profile, settings.default_execution_s)
        self._network = LogSamples()
        self._cold_start = ColdStart(profile, environment.platform, settings.default_cold_start_s)
        self._accuracy = Accuracy(
            variant.name, profile, settings.default_accuracy, environment.difficulty(variant.task)
        )
        self._calibrate()
        self._memory_mb = profile.memory_mb
        self._replies = 0
        self.sampling = Sampling()  # which requests to learn from
        self.refresh()

    def refresh(self) -> None:
        """An estimate has changed: what was prepared is out of date."""
        ratio, since = self._execution.ratio, self._calibrated_for
        if abs(ratio.mu - since.mu) > ANOTHER * since.sigma:
            self._calibrate()
        self._served: dict[int, _Served] = {}
        self._waiting: dict[tuple[int, int, int, int], Forecast] = {}
        self._residuals: dict[int, tuple[Moments, float]] = {}
        self._start = self._cold_start.estimate()
        self._step_s = self._start.p50 / AGE_STEPS
        settings = self._environment.settings
        self.overdue_s = max(settings.overdue_least_s, settings.overdue_factor * self._start.p95)
        self._to_and_fro = self._network.estimate(self._environment.network.value, PRIOR_MASS)
        self._network_moments = self._to_and_fro.moments
        self._warm_shape, self._waiting_shape = self._when_warm.shape, self._when_waiting.shape
        self._crowded_shape = self._when_crowded.shape
        self.memory_gb = (self._memory_mb or settings.default_memory_mb) / 1000
        self.price_per_s = self.memory_gb * self._environment.budget.price_per_gb_s
        self.start_s = self._start.moments.mean
        self.crowded = self._execution.crowded  # whether what is in flight beside it shows in a forecast
        self._refreshed()

    def _calibrate(self) -> None:
        """Begin anew to learn the shapes: in units of the present prediction, for those of another say nothing."""
        self._when_warm, self._when_waiting, self._when_crowded = Calibration(), Calibration(), Calibration()
        self._calibrated_for = self._execution.ratio

    # outliving the process

    def export(self, variant: Variant, age_s: float) -> LearnedVariant:
        """All that was learned of `variant`, as plain data."""
        execution, execution_by_size = self._execution.export()
        accuracy, accuracy_by_size = self._accuracy.export()
        return LearnedVariant(
            revision=variant.revision, profile=variant.profile, age_s=age_s,
            execution=execution, execution_by_size=execution_by_size,
            network=self._network.export(), cold_start=self._cold_start.export(),
            accuracy=accuracy, accuracy_by_size=accuracy_by_size,
            warm=self._when_warm.export(), waiting=self._when_waiting.export(),
        )  # fmt: skip

    def restore(self, learned: LearnedVariant, share: float, variant: Variant) -> None:
        """Take back that share of what was exported; if it was learned of another revision, `variant` inherits it.

        Nothing must have been learned before.
        """
        self.renew(learned.profile)
        self._execution.restore(learned.execution, learned.execution_by_size, share)
        self._accuracy.restore(learned.accuracy, learned.accuracy_by_size, share)
        self._network.restore(learned.network, share)
        self._cold_start.restore(learned.cold_start, share)
        self._when_warm.restore(learned.warm, share)
        self._when_waiting.restore(learned.waiting, share)
        self._calibrated_for = self._execution.ratio
        if (learned.revision, learned.profile) != (variant.revision, variant.profile):
            self.renew(variant.profile)
        self.refresh()

    # learning

    def renew(self, profile: Profile) -> None:
        """A new revision inherits what its predecessor taught, as a few samples; its own profile is the prior."""
        self._execution.renew(profile)
        self._cold_start.renew(profile)
        self._accuracy.renew(profile)
        self._memory_mb, self._replies = profile.memory_mb, 0
        self.refresh()

    def learn_start(self, seconds: float) -> bool:
        """Learn one start; true when that moved the platform's share, for everybody."""
        moved = self._cold_start.observe(max(seconds, LEAST_S))
        self.refresh()
        return moved

    def learn_accuracy(self, verdict: Verdict) -> bool:
        """Learn how right an answer was; true when that moved what all variants of the task share."""
        moved = self._accuracy.observe(verdict.size_bytes, verdict.correct)
        self.refresh()
        return moved

    def believed(self, size: int) -> tuple[float, float]:
        """Expected accuracy at this size, and how far the truth may be from it."""
        return self._accuracy.estimate(size), self._accuracy.spread(size)

    def learn_reply(self, lesson: Lesson) -> bool:
        """Learn from a reply, one's own or a peer's; true when that moved the network's share, for everybody."""
        beside = self._when_crowded if lesson.beside and self.crowded else self._when_warm
        calibration = self._when_waiting if lesson.waited else beside
        waited = lesson.waited or lesson.cold
        moved = False
        if lesson.censored:
            calibration.observe_beyond(lesson.z)
            if not waited:
                self._learn_beyond(lesson)
        else:
            calibration.observe(lesson.z)
            moved = self._learn_call(lesson, waited=waited)
        self._replies += 1
        if self._replies <= PROMPT_REPLIES or self._replies % PER_REFRESH == 0:
            self.refresh()
        return moved

    def _learn_call(self, lesson: Lesson, *, waited: bool) -> bool:
        """Split what was measured into execution and network. With a wait in it, only the variant's own word counts."""
        size, upstream_s, execution_s, beside = lesson.size_bytes, lesson.upstream_s, lesson.execution_s, lesson.beside
        if execution_s:
            self._execution.observe(size, execution_s, beside)
            if waited:
                return False
            network_s = max(upstream_s - execution_s, LEAST_S)
            self._network.add(log(network_s))
            return self._environment.network.observe(network_s)
        if not waited:
            self._execution.observe(size, max(upstream_s - self._to_and_fro.p50, upstream_s / 10), beside)
        return False

    def _learn_beyond(self, lesson: Lesson) -> None:
        execution_s = lesson.upstream_s - self._to_and_fro.p50
        if execution_s > 0:
            self._execution.observe_beyond(lesson.size_bytes, execution_s, lesson.beside)

    # forecasting

    def same_age_s(self, age_s: float) -> float:
        """How long a start that has gone on for `age_s` is still read as one of the same age."""
        return (int(age_s / self._step_s) + 1) * self._step_s - age_s

    def warm(self, size: int, ahead: int = 0, slots: int = 1, beside: int = 0) -> Forecast:
        """With a ready replica: `ahead` must leave first from `slots` places, `beside` others are on it meanwhile."""
        beside = beside if self.crowded else 0
        if not ahead and not beside:
            return self._serve(size, 0).idle
        key = (size, ahead, -slots, beside)
        found = self._waiting.get(key)
        if found is None:
            served = self._serve(size, beside)
            queue = _queue(ahead, slots, served.execution)
            found = served.idle if not ahead else forecast(
                self._name, Warmth.WARM, served.idle.accuracy, total(served.moments, queue), self._waiting_shape,
                wait_s=queue.mean, execution_s=served.idle.execution_s,
            )  # fmt: skip
            self._keep(key, found)
        return found

    def waiting(self, size: int, age_s: float | None, ahead: int, slots: int, beside: int = 0) -> Forecast:
        """Without a ready replica: one has been starting for `age_s`, or (None) this request would start one."""
        step = 0 if age_s is None else int(age_s / self._step_s) + 1
        beside = beside if self.crowded else 0
        key = (size, ahead, step, beside)
        found = self._waiting.get(key)
        if found is None:
            served = self._serve(size, beside)
            rest, rest_s = self._residual(step)
            queue = _queue(ahead, slots, served.execution)
            hold_s = self.start_s + self._environment.settings.hold_s
            found = forecast(
                self._name, Warmth.STARTING if step else Warmth.COLD, served.idle.accuracy,
                total(served.moments, rest, queue), self._waiting_shape,
                wait_s=rest_s + queue.mean, execution_s=served.idle.execution_s,
                start_cost=0.0 if step else self.price_per_s * hold_s, if_warm=served.idle,
            )  # fmt: skip
            self._keep(key, found)
        return found

    def _keep(self, key: tuple[int, int, int, int], prepared: Forecast) -> None:
        if len(self._waiting) >= MAX_PREPARED:
            self._waiting.clear()
        self._waiting[key] = prepared

    def _serve(self, size: int, beside: int) -> _Served:
        """Prepared once for one alone, which most are; `warm` and `waiting` keep what they make of the others."""
        if not beside and (found := self._served.get(size)) is not None:
            return found
        execution = self._execution.estimate(size, beside)
        network, own = self._network_moments, execution.moments
        moments = Moments(network.mean + own.mean, network.variance + own.variance)
        idle = forecast(
            self._name, Warmth.WARM, self._accuracy.estimate(size), total(moments),
            self._crowded_shape if beside else self._warm_shape, wait_s=0.0, execution_s=execution.p50,
        )  # fmt: skip
        served = _Served(execution, moments, idle)
        if not beside:
            self._served[size] = served
        return served

    def _residual(self, step: int) -> tuple[Moments, float]:
        """What is left of a start at this step of its age (0: not begun), and its median."""
        rest = self._residuals.get(step)
        if rest is None:
            left = residual(self._start, (step - 1) * self._step_s) if step else self._start
            rest = self._residuals[step] = (left.moments, left.p50)
        return rest


def _queue(ahead: int, slots: int, execution: Duration) -> Moments:
    """Waiting for `ahead` departures from `slots` places: mean j m / k, variance j s^2 / k^2."""
    if not ahead:
        return _NO_QUEUE
    mean, variance = execution.moments
    return Moments(ahead * mean / slots, ahead * variance / slots**2)


_NO_QUEUE = Moments(0.0, 0.0)
