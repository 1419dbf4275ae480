"""The selector: one object with all the state, and five calls as the only way in.

What drives it, a gateway on real time or a driver on a virtual clock, hands in observations, requests and outcomes with
its own clock, and acts on what comes out. `decide` changes nothing; only `started` counts a request.
Two more calls hand out what others need: `report` is for the selectors beside this one, which take it by `update`,
`learned` for the one after it, which is built with it.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from warmfront.domain import (
    Action,
    Candidate,
    Decision,
    Feedback,
    Keep,
    Observation,
    Outcome,
    PeerReport,
    Reason,
    Release,
    Request,
    Verdict,
    Warmth,
)
from warmfront.errors import Conflict, NotFound
from warmfront.selection.estimators.calibration import BINS
from warmfront.selection.forecast import Forecast, log_left
from warmfront.selection.hedge import First
from warmfront.selection.hedging import Hedging, first
from warmfront.selection.knowledge import Environment, lesson
from warmfront.selection.learned import NOTHING, Learned
from warmfront.selection.learning import Learning
from warmfront.selection.policies.base import Policy, conclude
from warmfront.selection.policies.comparing import Comparing, Moment
from warmfront.selection.settings import DEFAULTS, SelectorSettings
from warmfront.selection.sharing import arrivals
from warmfront.selection.toll import Tolls
from warmfront.selection.variants import KnownVariant
from warmfront.selection.warmset.planner import Planner, WarmSet

__all__ = ["Selector", "SelectorSettings"]

# a started decision: what its outcome and its feedback will be about; the forecast if the outcome is to be learned, and
# how many were on the replica; the policy if it is to be told; what asking a second variant would have to know
_Sent = tuple[KnownVariant, int, Forecast | None, int, Comparing | None, First | None]
_make = tuple.__new__  # a named tuple from all its fields at once, in half the time of a call by keyword


class Selector:
    """Catalogue, in-flight counts, estimators and warm-set decisions of all tasks.

    `policy` is built by `selection.policies.POLICIES[name](rng=...)`. `now` is always the driver's own monotonic clock,
    in seconds, and never runs backwards. `learned` is what an earlier selector left behind, its ages as of `learned_at`
    on that clock.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        settings: SelectorSettings = DEFAULTS,
        learned: Learned = NOTHING,
        learned_at: float = 0.0,
    ) -> None:
        self._policy = policy
        self._comparing = policy if isinstance(policy, Comparing) else None
        self._acting = None if settings.dry_run else self._comparing
        self._settings = settings
        self._environment = Environment(settings)
        self._known: dict[str, KnownVariant] = {}
        self._tasks: dict[str, list[KnownVariant]] = {}
        self._catalogue: dict[str, Observation] = {}
        self._pending: OrderedDict[str, _Sent] = OrderedDict()  # the oldest of these goes in constant time;
        self._answered: OrderedDict[str, _Sent] = OrderedDict()  # of a dict, it is found behind the gaps of all gone
        self._planner = Planner(policy, settings)
        self._tolls = Tolls(policy, settings)
        self._hedging = Hedging(settings, self._known, worths=policy.wakes)
        self._learning = Learning(
            settings, environment=self._environment, known=self._known, planner=self._planner,
            learned=learned, learned_at=learned_at,
        )  # fmt: skip

    @property
    def catalogue(self) -> Mapping[str, Observation]:
        """The latest observation of every variant, by name; a view that cannot be written to."""
        return MappingProxyType(self._catalogue)

    def update(self, observation: Observation | PeerReport, now: float) -> None:
        """Take what was seen of a variant; it replaces what was seen before. `gone` forgets the variant.

        A peer's report replaces what that peer said was in flight, until it is `peer_hold_s` old, and teaches.
        """
        if isinstance(observation, PeerReport):
            self._hear(observation, now)
            return
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
            if observation.ready:
                known.used_at = now
            self._tasks.setdefault(variant.task, []).append(known)
            self._learning.met(known, now)
        elif known.update(observation, now):
            self._learning.refresh()
        self._planner.changed(variant.task)

    def decide(self, request: Request, now: float) -> Decision:
        """Choose a variant for the request, or refuse, and say why. Changes nothing: ask as often as you like."""
        variants = self._tasks.get(request.task)
        if variants is None:
            return self._decision(request, Reason.UNKNOWN_TASK, None, ())
        self._planner.price(request.task, variants, now)
        settings, size, log_d = self._settings, rounded(request.size_bytes), self._log_budget(request, now)
        candidates, all_eligible = self._candidates(request, variants, size, log_d, now)
        forecasts = partial(self._forecast, size, now)
        if request.hedges:
            return self._second(request, candidates, now)
        if settings.hedge:
            candidates = self._hedging.weighed(request, candidates, forecasts, now)
        pool = candidates if all_eligible else self._pool(request, candidates, size, now)
        if not pool:
            return self._decision(request, Reason.NO_VARIANT, None, candidates)
        if self._comparing is not None:
            pool, candidates = _compared(self._comparing, pool, candidates, self._moment(request, size, now))
        chosen = self._policy.pick(pool, forecasts, log_d, settings)
        reason = conclude(request, chosen, settings)
        if reason is Reason.UNMET:  # it may be met by another choice
            able = [c for c in pool if not c.verdict and c.probability >= settings.can_probability]
            if able:
                chosen, reason = self._policy.pick(able, forecasts, log_d, settings), Reason.CHOSEN
        if reason is Reason.UNMET:
            return self._decision(request, reason, None, candidates)
        hedge_at = self._hedging.moment(request, chosen, candidates, forecasts, now) if settings.hedge else None
        return self._decision(request, reason, chosen, candidates, hedge_at)

    def _second(self, request: Request, candidates: Sequence[Candidate], now: float) -> Decision:
        """Whom to ask beside a decision that is under way; a refusal if that is not worth it."""
        sent = self._pending.get(request.hedges)
        chosen = self._hedging.second(request, None if sent is None else sent[5], candidates, now)
        return self._decision(request, Reason.CHOSEN if chosen else Reason.NO_VARIANT, chosen, candidates)

    def _candidates(
        self, request: Request, variants: Sequence[KnownVariant], size: int, log_d: float, now: float
    ) -> tuple[list[Candidate], bool]:
        """Everyone with their numbers, and whether all are eligible. On the hot path: few calls."""
        score = self._policy.scorer(request, self._settings)
        asks = request.min_accuracy is not None or bool(request.excluded)
        everyone, all_eligible = [], True
        for known in variants:
            standing = known.standings.get(size) if known.since <= now < known.until else None
            if standing is None:
                standing = known.standing(size, now)
            (
                open_, variant, warmth, ready, accuracy, predicted_s, p95_s, wait_s,
                cdf, scale, offset, forecast, _, _, _, _,
            ) = standing  # fmt: skip
            x = log_d * scale - offset  # from here Forecast.probability, in place
            if 0 < x < BINS:
                i = int(x)
                probability = cdf[i]
                probability += (cdf[i + 1] - probability) * (x - i)
            else:
                probability = cdf[BINS] if x > 0 else 0.0
            verdict = ""
            if asks or not open_:
                verdict = standing.verdict(request, now)
                all_eligible = all_eligible and not verdict
            price = known.charge + known.toll
            everyone.append(
                _make(
                    Candidate,
                    (
                        variant, warmth, ready, known.in_flight + known.others, accuracy, probability,
                        predicted_s, p95_s, wait_s, score(forecast, probability) - price, verdict, price,
                    ),
                )
            )  # fmt: skip
        return everyone, all_eligible

    def _pool(self, request: Request, candidates: Sequence[Candidate], size: int, now: float) -> list[Candidate]:
        """Those eligible; if nobody is, those to fall back on."""
        eligible = [c for c in candidates if not c.verdict]
        return eligible or [
            c for c in candidates if not self._known[c.variant.name].standing(size, now).barred(request)
        ]

    def _moment(self, request: Request, size: int, now: float) -> Moment:
        log_d = self._log_budget(request, now)
        return Moment(request, log_d, now, partial(self._forecast, size, now), self._settings)

    def _log_budget(self, request: Request, now: float) -> float:
        return log_left(request.deadline_at, now, self._settings.transport_timeout_s)

    def _forecast(self, size: int, now: float, candidate: Candidate) -> Forecast:
        return self._known[candidate.variant.name].standing(size, now).forecast

    def _decision(
        self, request: Request, reason: Reason, chosen: Candidate | None, candidates: Sequence[Candidate],
        hedge_at: float | None = None,
    ) -> Decision:  # fmt: skip
        id_ = f"{request.id}-{len(request.excluded) + 1}"
        return _make(Decision, (id_, request, self._policy.name, reason, chosen, tuple(candidates), hedge_at))

    def started(self, decision: Decision, now: float) -> None:
        """The decided request was sent. Counts it in flight until its outcome. Raises Conflict when sent twice."""
        id_, request, _, reason, chosen, alternatives, hedge_at = decision
        if chosen is None:
            raise ValueError(f"decision {id_} is a refusal ({reason.value}); there is nothing to start")
        pending = self._pending
        if id_ in pending:
            raise Conflict(f"decision {id_} was started already; decide anew, with the variant excluded")
        name = chosen.variant.name
        size = rounded(request.size_bytes)
        policy = self._comparing
        if self._settings.hedge:
            self._hedging.asked(request)
        if request.hedges:  # it has arrived before, and this is no choice of the policy
            policy = None
        else:
            self._policy.started(name)
            variants = self._tasks.get(request.task, ())
            self._tolls.learn(variants, decision, size, now)
            crowd = sum([known.in_flight + known.others for known in variants])
            self._planner.arrived(request, size, crowd, now)
            self._learning.arrived((now, request))
        known = self._known.get(name)
        if known is None:
            return
        if policy is not None:
            known_still = [one for one in alternatives if one.variant.name in self._known]
            policy.sent(chosen, known_still, self._moment(request, size, now))
        hedged = None if hedge_at is None else first(request, chosen, known.standing(size, now).forecast, now)
        expected = known.standing(size, now).forecast if known.knowledge.sampling.wants(now) else None
        beside = known.beside
        known.sent(now)
        pending[id_] = (known, size, expected, beside, policy, hedged)
        if len(pending) > self._settings.max_pending:
            pending.popitem(last=False)[1][0].lost()

    def observe(self, outcome: Outcome | Feedback, now: float) -> None:
        """Learn what became of a started decision. Raises NotFound for a decision unknown or forgotten."""
        if isinstance(outcome, Feedback):
            self._judge(outcome, now)
            return
        id_ = outcome.decision_id
        sent = self._pending.pop(id_, None)
        if sent is None:
            raise NotFound(_unknown(id_))
        answered = self._answered
        answered[id_] = sent
        if len(answered) > self._settings.max_answered:
            answered.popitem(last=False)
        known, size, expected, beside, policy, _ = sent
        known.ended(outcome, now)
        if policy is not None:
            policy.ended(known.variant, size, outcome, now)
        if expected is not None:
            taught = lesson(known.variant, size, outcome, expected, beside)
            if taught is not None:
                self._learning.taught(known, taught, now)

    def _judge(self, feedback: Feedback, now: float) -> None:
        sent = self._answered.get(feedback.decision_id) or self._pending.get(feedback.decision_id)
        if sent is None:
            raise NotFound(_unknown(feedback.decision_id))
        known, size, _, _, policy, _ = sent
        if policy is not None:
            policy.judged(known.variant, feedback.correct)
        verdict = Verdict(known.variant.name, known.variant.revision, size, feedback.correct)
        self._learning.taught(known, verdict, now)

    def plan(self, now: float) -> list[Action]:
        """What to do now so that the right variants are awake: see warmset/planner.py for what it promises."""
        if self._environment.budget.spend(sum(known.used_gb for known in self._known.values()), now):
            self._learning.refresh()
            self._planner.prices_moved()
        if self._acting is not None:
            return self._carried_out(self._acting.plan(now, self._settings), now)
        return self._planner.plan(self._tasks, now)

    def next_plan_at(self) -> float:
        """Until when `plan` has nothing to say, unless another call comes in between: infinity when for ever."""
        asked = self._planner.next_at() if self._acting is None else self._acting.plan_at
        return min(asked, self._environment.budget.look_at)

    def _carried_out(self, actions: Sequence[Action], now: float) -> list[Action]:
        """What a policy of its own accord wants awake, as far as it may and can be."""
        told: list[Action] = []
        for action in actions:
            known = self._known.get(action.variant)
            if known is None or not known.usable(now):
                continue
            if isinstance(action, Release):
                known.kept_until = now
            elif isinstance(action, Keep) and not self._settings.may_keep:
                continue
            else:
                if known.warmth(now) is Warmth.COLD:
                    known.presume_start(now)
                known.kept_until = action.until_at if isinstance(action, Keep) else known.kept_until
            told.append(action)
        return told

    def warm_set(self, task: str, now: float) -> WarmSet:
        """What is awake of the task and what the plan wants awake, with the reasons. Raises NotFound."""
        variants = self._tasks.get(task)
        if variants is None:
            raise NotFound(f"no task {task!r}; known are {', '.join(sorted(self._tasks)) or 'none'}")
        return self._planner.warm_set(task, variants, now)

    def report(self, peer: str, now: float) -> PeerReport:
        """What this selector, named `peer`, has for its peers: now in flight, and new since the last report."""
        return self._learning.report(peer, now)

    def learned(self, now: float) -> Learned:
        """All that was learned, even of variants that were only heard of from an earlier selector."""
        return self._learning.export(now)

    def _hear(self, report: PeerReport, now: float) -> None:
        for request in arrivals(report, now):
            if request.task in self._tasks:
                self._planner.arrived(request, rounded(request.size_bytes), 0, request.arrival_at)
        self._learning.hear(report, now)

    def _forget(self, name: str) -> None:
        known = self._known.pop(name, None)
        self._catalogue.pop(name, None)
        if known is not None:
            variants = self._tasks[known.variant.task]
            variants.remove(known)
            if not variants:
                del self._tasks[known.variant.task]
                self._planner.forget(known.variant.task)
                self._tolls.forget(known.variant.task)


def _compared(
    policy: Comparing, pool: Sequence[Candidate], everyone: Sequence[Candidate], moment: Moment
) -> tuple[list[Candidate], list[Candidate]]:
    """Both, with the scores of the pool."""
    scored = [c._replace(score=score) for c, score in zip(pool, policy.compare(pool, moment), strict=True)]
    by_name = {c.variant.name: c for c in scored}
    return scored, [by_name.get(c.variant.name, c) for c in everyone]


def rounded(size: int) -> int:
    """The size rounded to four significant bits (within 6 %), so that requests of about one size share a forecast."""
    shift = size.bit_length() - 4
    return size + (1 << shift >> 1) >> shift << shift if shift > 0 else size


def _unknown(decision_id: str) -> str:
    return f"no decision {decision_id!r} is remembered; name the id of a started decision, soon after its answer"
