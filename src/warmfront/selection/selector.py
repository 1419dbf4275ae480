"""The selector: one object with all the state, and five calls as the only way in.

What drives it, a gateway on real time or a driver on a virtual clock, hands in observations, requests and outcomes with
its own clock, and acts on what comes out. `decide` changes nothing; only `started` counts a request.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from warmfront.domain import Candidate, Decision, Feedback, Observation, Outcome, Reason, Request, Start
from warmfront.errors import Conflict, NotFound
from warmfront.selection.forecast import Forecast, log_budget
from warmfront.selection.knowledge import Environment
from warmfront.selection.policies.base import Policy, conclude
from warmfront.selection.prewarm import Planner
from warmfront.selection.settings import DEFAULTS, SelectorSettings
from warmfront.selection.variants import KnownVariant

__all__ = ["Selector", "SelectorSettings"]

_Pool = list[tuple[Candidate, Forecast]]


class _Sent(NamedTuple):
    """A started decision: what its outcome and its feedback will be about."""

    known: KnownVariant
    size: int
    expected: Forecast


class Selector:
    """Catalogue, in-flight counts, estimators and warm-set decisions of all tasks.

    `policy` is built by `selection.policies.POLICIES[name](rng=...)`. `now` is always the driver's own monotonic clock,
    in seconds, and never runs backwards.
    """

    def __init__(self, *, policy: Policy, settings: SelectorSettings = DEFAULTS) -> None:
        self._policy = policy
        self._settings = settings
        self._environment = Environment(settings)
        self._known: dict[str, KnownVariant] = {}
        self._tasks: dict[str, list[KnownVariant]] = {}
        self._catalogue: dict[str, Observation] = {}
        self._pending: dict[str, _Sent] = {}
        self._answered: dict[str, _Sent] = {}
        self._planner = Planner(policy, settings)

    @property
    def catalogue(self) -> Mapping[str, Observation]:
        """The latest observation of every variant, by name; a view that cannot be written to."""
        return MappingProxyType(self._catalogue)

    def update(self, observation: Observation, now: float) -> None:
        """Take what was seen of a variant; it replaces what was seen before. `gone` forgets the variant."""
        variant = observation.variant
        known = self._known.get(variant.name)
        moved_task = known is not None and known.variant.task != variant.task
        if observation.gone or moved_task:
            self._forget(variant.name)
            known = None
        if observation.gone:
            return
        self._catalogue[variant.name] = observation
        if known is None:
            known = self._known[variant.name] = KnownVariant(observation, self._environment)
            self._tasks.setdefault(variant.task, []).append(known)
        elif known.update(observation, now):
            self._refresh_all()

    def decide(self, request: Request, now: float) -> Decision:
        """Choose a variant for the request, or refuse, and say why. Changes nothing: ask as often as you like."""
        id_ = f"{request.id}-{len(request.excluded) + 1}"
        variants = self._tasks.get(request.task)
        if not variants:
            return self._decision(id_, request, Reason.UNKNOWN_TASK, None, ())
        deadline = request.deadline_at
        budget = self._settings.transport_timeout_s if deadline is None else deadline - now
        log_d = log_budget(budget)
        candidates, eligible, spare = self._candidates(request, variants, log_d, now)
        pool = eligible or spare
        if not pool:
            return self._decision(id_, request, Reason.NO_VARIANT, None, candidates)
        chosen = self._policy.pick(pool, log_d, self._settings)
        reason = conclude(request, chosen, self._settings)
        return self._decision(id_, request, reason, None if reason is Reason.UNMET else chosen, candidates)

    def _candidates(
        self, request: Request, variants: Iterable[KnownVariant], log_d: float, now: float
    ) -> tuple[list[Candidate], _Pool, _Pool]:
        """Everyone with their numbers; those eligible; and those to fall back on when nobody is."""
        score = self._policy.scorer(request, self._settings)
        size = rounded(request.size_bytes)
        excluded, floor = request.excluded, request.min_accuracy or 0.0
        everyone: list[Candidate] = []
        eligible: _Pool = []
        spare: _Pool = []
        for known in variants:
            forecast = known.forecast(size, now)
            probability = forecast.probability(log_d)
            verdict, usable = "", True
            if not known.observation.available:
                verdict, usable = f"unavailable: {known.observation.reason}", False
            elif known.variant.name in excluded:
                verdict, usable = "excluded: already tried for this request", False
            elif now < known.resting_until:
                verdict = f"resting {known.resting_until - now:.1f} s after {known.failures} failures in a row"
            elif forecast.accuracy < floor:
                verdict = f"accuracy {forecast.accuracy:.3f} is below the floor {floor:.3f}"
            candidate = Candidate(
                known.variant, forecast.warmth, known.ready(now), known.in_flight, forecast.accuracy, probability,
                forecast.predicted_s, forecast.p95_s, forecast.wait_s, score(forecast, probability), verdict,
            )  # fmt: skip
            everyone.append(candidate)
            if not verdict:
                eligible.append((candidate, forecast))
            elif usable:
                spare.append((candidate, forecast))
        return everyone, eligible, spare

    def _decision(
        self, id_: str, request: Request, reason: Reason, chosen: Candidate | None, candidates: Iterable[Candidate]
    ) -> Decision:
        return Decision(
            id=id_, request=request, policy=self._policy.name, reason=reason, chosen=chosen,
            alternatives=tuple(candidates),
        )  # fmt: skip

    def started(self, decision: Decision, now: float) -> None:
        """The decided request was sent. Counts it in flight until its outcome. Raises Conflict when sent twice."""
        if decision.chosen is None:
            raise ValueError(
                f"decision {decision.id} is a refusal ({decision.reason.value}); there is nothing to start"
            )
        if decision.id in self._pending:
            raise Conflict(f"decision {decision.id} was started already; decide anew, with the variant excluded")
        name = decision.chosen.variant.name
        self._policy.started(name)
        size = rounded(decision.request.size_bytes)
        self._planner.arrived(decision.request, size, now)
        known = self._known.get(name)
        if known is None:
            return
        expected = known.forecast(size, now)
        known.sent(now)
        dropped = _remember(self._pending, decision.id, _Sent(known, size, expected), self._settings.max_pending)
        if dropped is not None:
            dropped.known.in_flight -= 1

    def observe(self, outcome: Outcome | Feedback, now: float) -> None:
        """Learn what became of a started decision. Raises NotFound for a decision unknown or forgotten."""
        if isinstance(outcome, Feedback):
            self._judge(outcome)
            return
        sent = self._pending.pop(outcome.decision_id, None)
        if sent is None:
            raise NotFound(_unknown(outcome.decision_id))
        _remember(self._answered, outcome.decision_id, sent, self._settings.max_answered)
        sent.known.ended(outcome, now)
        if sent.known.knowledge.learn_reply(sent.size, outcome, sent.expected):
            self._refresh_all()

    def _judge(self, feedback: Feedback) -> None:
        sent = self._answered.get(feedback.decision_id) or self._pending.get(feedback.decision_id)
        if sent is None:
            raise NotFound(_unknown(feedback.decision_id))
        sent.known.knowledge.learn_accuracy(sent.size, feedback.correct)

    def plan(self, now: float) -> list[Start]:
        """The variants worth waking now, in the background. Each is told once and then presumed to be starting."""
        return [start for task, variants in self._tasks.items() for start in self._planner.plan(task, variants, now)]

    def _forget(self, name: str) -> None:
        known = self._known.pop(name, None)
        self._catalogue.pop(name, None)
        if known is not None:
            variants = self._tasks[known.variant.task]
            variants.remove(known)
            if not variants:
                del self._tasks[known.variant.task]
                self._planner.forget(known.variant.task)

    def _refresh_all(self) -> None:
        for known in self._known.values():
            known.knowledge.refresh()


def rounded(size: int) -> int:
    """The size rounded to four significant bits (within 6 %), so that requests of about one size share a forecast."""
    shift = size.bit_length() - 4
    return size + (1 << shift >> 1) >> shift << shift if shift > 0 else size


def _remember(table: dict[str, _Sent], key: str, value: _Sent, limit: int) -> _Sent | None:
    """Keep at most `limit`; returns the oldest when it had to be dropped."""
    table[key] = value
    return table.pop(next(iter(table))) if len(table) > limit else None


def _unknown(decision_id: str) -> str:
    return f"no decision {decision_id!r} is remembered; name the id of a started decision, soon after its answer"
