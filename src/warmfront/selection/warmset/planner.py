"""Carries the warm set out: asks the model which set is wanted now, and makes actions of the difference.

What a plan promises: asked again it tells again only what has still to be done, so that it may be asked at any time. A
start is told once and then presumed. A keep ends by itself, at most `keep_ahead_s` after it was told, and is prolonged
shortly before; it is told only when the platform would let the variant go otherwise. A release is told once, when a
variant that is kept is wanted no longer. What must not live here: how an action is carried out.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from warmfront.domain import Action, Keep, Release, Request, Start, Warmth
from warmfront.selection.estimators.gaps import Gaps
from warmfront.selection.policies.base import Policy
from warmfront.selection.settings import SelectorSettings
from warmfront.selection.variants import NEVER, KnownVariant
from warmfront.selection.warmset.account import Account
from warmfront.selection.warmset.curiosity import Curiosity
from warmfront.selection.warmset.model import Kind, Model, Option
from warmfront.selection.warmset.recent import Recent

MOST_MODELLED = 5
LEAD_S = 5.0  # a keep is told so long before it is needed
SOLVE_EVERY_S = 30.0
A_WHILE_S = 60.0  # what a variant costs for so long, when only the most useful few are thought about
PRICED_S = 1.0  # charges hold so long


class WarmVariant(NamedTuple):
    """One variant in a `WarmSet`: how it is, whether it is wanted, until when the plan keeps it, and why."""

    variant: str
    warmth: Warmth
    wanted: bool
    kept_until: float | None
    reason: str


class WarmSet(NamedTuple):
    """What is awake of a task and what the plan wants awake, now. `idle_s` is the age of the latest request."""

    task: str
    idle_s: float
    variants: tuple[WarmVariant, ...]
    reason: str


class Planner:
    """Remembers when and how every task is asked, and plans for each."""

    def __init__(self, policy: Policy, settings: SelectorSettings) -> None:
        self._policy = policy
        self._settings = settings
        self._plans: dict[str, _TaskPlan] = {}

    def arrived(self, request: Request, size: int, crowd: int, now: float) -> None:
        """One more request was sent; `size` is what forecasts are asked with, `crowd` how many others of the task are
        under way. On the hot path.
        """
        plan = self._plans.get(request.task)
        if plan is None:
            plan = self._plans[request.task] = _TaskPlan(self._policy, self._settings)
        plan.arrived(request, size, crowd, now)

    def forget(self, task: str) -> None:
        """The task has no variant any more."""
        self._plans.pop(task, None)

    def judged(self, task: str) -> None:
        """One more answer was judged right or wrong."""
        plan = self._plans.get(task)
        if plan is not None:
            plan.curiosity.judged()

    def changed(self, task: str) -> None:
        """A variant of the task is awake that was not, or the other way round."""
        plan = self._plans.get(task)
        if plan is not None:
            plan.priced_until = plan.look_at = NEVER

    def prices_moved(self) -> None:
        """Memory costs more or less than when the plans were made."""
        for plan in self._plans.values():
            plan.prices_moved()

    def price(self, task: str, variants: Sequence[KnownVariant], now: float) -> None:
        """Bring up to date what every variant is charged for a request. On the hot path."""
        plan = self._plans.get(task)
        if plan is None:
            for known in variants:
                known.charge = _start_price(known, now) if self._policy.wakes else 0.0
        elif now >= plan.priced_until:
            plan.price(variants, now)

    def plan(self, tasks: Mapping[str, Sequence[KnownVariant]], now: float) -> list[Action]:
        """What is to be done now, for all tasks."""
        if not self._policy.wakes:
            return []
        actions: list[Action] = []
        for task, plan in self._plans.items():
            if now >= plan.look_at:
                actions += plan.act(tasks[task], now, self._room(plan))
        return [] if self._settings.dry_run else actions

    def next_at(self) -> float:
        """Until when `plan` has nothing to say unless something happens."""
        return min((plan.look_at for plan in self._plans.values()), default=inf) if self._policy.wakes else inf

    def warm_set(self, task: str, variants: Sequence[KnownVariant], now: float) -> WarmSet:
        """What is awake and what is wanted."""
        plan = self._plans.get(task) or _TaskPlan(self._policy, self._settings)
        return plan.describe(task, variants, now, self._room(plan))

    def _room(self, mine: "_TaskPlan") -> float:
        """Memory that the other tasks' plans leave."""
        others = sum(plan.planned_gb for plan in self._plans.values() if plan is not mine)
        return self._settings.max_warm_gb - others


class _Moment(NamedTuple):
    """What a plan is made of: the time, the silence so far, who answered last, the sets awake and wanted."""

    now: float
    age_s: float
    answered: int | None
    awake: int
    wanted: int


class _TaskPlan:
    """One task's arrivals, the model made of them, and what follows."""

    def __init__(self, policy: Policy, settings: SelectorSettings) -> None:
        self._settings = settings
        self._recent = Recent(policy, settings)
        self._gaps = Gaps()
        self._wakes = policy.wakes
        self.curiosity = Curiosity()
        self._account = Account()
        self._extra = self._beside = 0  # the sets awake because of the plan, and without it
        self._last_at = NEVER
        self._seen = 0  # requests
        self._solved_seen, self._solved_at, self._solved_age_s = 0, NEVER, 0.0
        self._model: Model | None = None
        self._modelled: list[KnownVariant] = []
        self.planned_gb = 0.0
        self.look_at = NEVER
        self.priced_until = NEVER

    def arrived(self, request: Request, size: int, crowd: int, now: float) -> None:
        self._recent.add(size, request, crowd)
        if self._last_at > NEVER:
            self._gaps.add(max(now - self._last_at, 0.0))
        self._last_at = max(now, self._last_at)
        self._seen += 1
        self.look_at = NEVER
        if self._extra and self._model is not None:
            self._account.spend(0.0, now)
            self._account.gain(self._model.reward(self._beside | self._extra) - self._model.reward(self._beside))
            self._extra = 0
        if self.curiosity.asked():
            self.prices_moved()

    def prices_moved(self) -> None:
        """What variants are worth or cost has changed: think again at the next opportunity."""
        self._solved_seen, self.look_at = 0, NEVER

    # charges

    def price(self, variants: Sequence[KnownVariant], now: float) -> None:
        """What a request to each variant costs beyond that request.

        A variant that the platform keeps for the requests it had is charged only for the part of its window that a
        request adds.
        """
        self.priced_until = now + PRICED_S
        for known in variants:
            known.charge = _start_price(known, now) if self._wakes else 0.0
        model = self._model
        if model is None or not self._wakes:
            return
        for known, charge in zip(self._modelled, model.charges(self._awake(now)), strict=True):
            warm = known.warmth(now) is Warmth.WARM
            part = min(max((now - known.used_at) / known.hold_s, 0.0), 1.0) if warm else 1.0
            known.charge = charge * part - known.bonus

    # the plan

    def act(self, variants: Sequence[KnownVariant], now: float, room_gb: float) -> list[Action]:
        self._refresh(variants, now, room_gb)
        model = self._model
        if model is None:
            self.look_at = inf
            return []
        age_s = now - self._last_at
        awake = self._awake(now)
        held = sum(1 << v for v, known in enumerate(self._modelled) if known.held(now))
        answered = self._answered()
        wanted = model.wanted(age_s, awake, answered, held & awake)
        step = model.idle.step(age_s)
        ages = model.idle.ages
        self.look_at = self._last_at + ages[step + 1] if step + 1 < len(ages) else now + self._settings.keep_ahead_s
        moment = _Moment(now, age_s, answered, awake, wanted)
        actions: list[Action] = []
        for v, known in enumerate(self._modelled):
            bit, variant = 1 << v, known.variant
            if wanted & bit:
                if not awake & bit:
                    actions.append(Start(variant=variant.name, reason=self._why(age_s, awake, wanted, v, answered)))
                    known.presume_start(now)
                if self._settings.may_keep and not model.options[v].kept:
                    actions += self._keep(v, known, moment)
            elif known.kept_until > now:
                reason = self._why(age_s, wanted, wanted | bit, v, answered)
                actions.append(Release(variant=variant.name, revision=variant.revision, reason=reason))
                known.kept_until = now
        self._book(model, wanted, now)
        return actions

    def _book(self, model: Model, wanted: int, now: float) -> None:
        """Who is awake because of the plan, and what that costs from now on."""
        extra = 0
        for v, known in enumerate(self._modelled):
            if wanted >> v & 1 and not model.options[v].kept and not known.held_by_requests(now):
                extra |= 1 << v
        self._extra, self._beside = extra, wanted & ~extra
        self.planned_gb = sum(one.memory_gb for v, one in enumerate(model.options) if extra >> v & 1)
        self._account.spend(sum(k.knowledge.price_per_s for v, k in enumerate(self._modelled) if extra >> v & 1), now)

    def _keep(self, v: int, known: KnownVariant, moment: "_Moment") -> list[Action]:
        """A keep, if the platform would soon let it go; and when to look at that again."""
        now, ends_at = moment.now, self._ends_at(known, moment.now)
        kept: list[Action] = []
        if ends_at <= now + LEAD_S:
            until = min(self._goes(moment)[v] - known.lingers_s, now + self._settings.keep_ahead_s)
            if until > ends_at:
                reason = self._why(moment.age_s, moment.wanted & ~(1 << v), moment.wanted, v, moment.answered)
                variant = known.variant
                kept = [Keep(variant=variant.name, revision=variant.revision, until_at=until, reason=reason)]
                known.kept_until = ends_at = until
        self.look_at = min(self.look_at, max(ends_at - LEAD_S, now + 0.5))
        return kept

    def _ends_at(self, known: KnownVariant, now: float) -> float:
        """When the platform lets it go if nothing happens."""
        if known.in_flight:
            return inf
        if known.warmth(now) is Warmth.STARTING:
            return max(now + known.knowledge.start_s + known.hold_s, known.kept_until)
        return max(known.used_at + known.hold_s, known.kept_until)

    def _goes(self, moment: "_Moment") -> list[float]:
        """By variant, when it is wanted no longer if no request comes."""
        model, wanted, answered = self._model, moment.wanted, moment.answered
        assert model is not None
        ages = [moment.age_s, *model.idle.ages[model.idle.step(moment.age_s) + 1 :]]
        goes = [inf] * len(self._modelled)
        for age_s in ages:
            held = 0 if answered is None or age_s >= model.options[answered].hold_s else 1 << answered
            new = model.wanted(age_s, wanted, answered, held)
            for v in range(len(goes)):
                if wanted & ~new & 1 << v:
                    goes[v] = self._last_at + age_s
            wanted = new & wanted
        return goes

    def _answered(self) -> int | None:
        used = [known.used_at for known in self._modelled]
        latest = max(used)
        return used.index(latest) if latest > NEVER else None

    def _awake(self, now: float) -> int:
        return sum(1 << v for v, known in enumerate(self._modelled) if known.warmth(now) is not Warmth.COLD)

    # the model

    def _refresh(self, variants: Sequence[KnownVariant], now: float, room_gb: float) -> None:
        age_s = now - self._last_at
        usable = [known for known in variants if known.usable(now)]
        if not self._seen or not usable:
            self._model = None
            return
        new = self._seen - self._solved_seen
        due = new and (new >= self._solved_seen or now - self._solved_at >= SOLVE_EVERY_S)
        surprising = age_s > 1.5 * self._solved_age_s and self._gaps.surprising(age_s)
        if not due and not surprising and self._model is not None and all(k in usable for k in self._modelled):
            return
        self._solved_seen, self._solved_at, self._solved_age_s = self._seen, now, max(age_s, 20.0)
        self._wonder(usable, now)
        if len(usable) > MOST_MODELLED:
            usable = _pick(usable, self._recent.kinds(usable, asleep_too=False))
        kinds = self._recent.kinds(usable)
        dearer = self._account.dearer
        options = [_option(known, now, dearer) for known in usable]
        old = self._model
        values = old.values if old is not None and self._modelled == usable else None
        idle = self._gaps.idle(age_s, [1.5 * one.start_s for one in options], [one.hold_s for one in options])
        self._modelled = usable
        self._model = Model(options, kinds, idle, most_gb=room_gb, may_keep=self._settings.may_keep, values=values)
        self.priced_until = NEVER

    def _wonder(self, usable: Sequence[KnownVariant], now: float) -> None:
        """Whether to find out about somebody: compared with those who would be awake anyway."""
        if self._model is None or not self.curiosity.may:
            return
        awake = self._model.wanted(0.0, self._awake(now), None, 0)
        names = [known for v, known in enumerate(self._modelled) if awake >> v & 1]
        used = sum(1 << v for v, known in enumerate(usable) if known in names)
        gap_s = self._gaps.mean_s
        self.curiosity.consider(usable, self._recent.kinds(usable), used, gap_s, self._recent.size)

    # explaining

    def _why(self, age_s: float, without: int, with_: int, v: int, answered: int | None) -> str:
        """The numbers of one variant's being in the set or not."""
        model = self._model
        assert model is not None
        one, bonus = model.options[v], self._modelled[v].bonus
        i = model.idle.step(age_s)
        soon = model.idle.expected(age_s, one.hold_s)
        gain = model.worth(age_s, with_, answered) - model.worth(age_s, without, answered)
        return (
            f"{age_s:.0f} s idle, {soon:.2g} requests expected in {one.hold_s:.0f} s: worth {gain:+.4f}; "
            f"with it a request is worth {model.reward(with_):.3f}, without {model.reward(without):.3f}; "
            f"costs {one.price_per_s:.2g} per s, {model.starting(i, with_ | 1 << v, 1 << v):.2g} to start"
            + (f"; believed {bonus:.2f} more accurate than it is, to find out" if bonus else "")
        )

    def describe(self, task: str, variants: Sequence[KnownVariant], now: float, room_gb: float) -> WarmSet:
        self._refresh(variants, now, room_gb)
        model, age_s = self._model, now - self._last_at
        if model is None:
            rows = tuple(WarmVariant(k.variant.name, k.warmth(now), False, None, "no request yet") for k in variants)
            return WarmSet(task, inf, rows, "no request yet: nothing is planned")
        awake, answered = self._awake(now), self._answered()
        held = sum(1 << v for v, known in enumerate(self._modelled) if known.held(now))
        wanted = model.wanted(age_s, awake, answered, held & awake)
        shown: list[WarmVariant] = []
        for known in variants:
            until = known.kept_until if known.kept_until > now else None
            if known in self._modelled:
                v = self._modelled.index(known)
                is_wanted = bool(wanted >> v & 1)
                why = self._why(age_s, wanted & ~(1 << v), wanted | 1 << v, v, answered)
            else:
                is_wanted, why = False, "not among the few that matter most"
            shown.append(WarmVariant(known.variant.name, known.warmth(now), is_wanted, until, why))
        return WarmSet(
            task,
            age_s,
            tuple(shown),
            f"a request is worth {model.reward(wanted):.3f} with the proposed set, {model.reward(awake):.3f} with the "
            f"present one; they cost {model.price_per_s(wanted):.2g} and {model.price_per_s(awake):.2g} per s; "
            f"lately the plan gained {self._account.gained:.3f} for {self._account.spent:.3f}",
        )


def _start_price(known: KnownVariant, now: float) -> float:
    """What a start costs when nothing is known of the traffic: until the platform's window after it is over."""
    if known.warmth(now) is not Warmth.COLD:
        return 0.0
    return known.knowledge.price_per_s * (known.knowledge.start_s + known.hold_s)


def _option(known: KnownVariant, now: float, dearer: float) -> Option:
    knowledge, kept = known.knowledge, known.kept_by_others(now)
    return Option(
        known.variant.name, 0.0 if kept else knowledge.price_per_s * dearer, knowledge.start_s, known.hold_s,
        knowledge.memory_gb, kept, known.slots,
    )  # fmt: skip


def _pick(usable: list[KnownVariant], kinds: list[Kind]) -> list[KnownVariant]:
    """The few variants that add most to each other for what a minute of them costs."""
    best = [0.0] * len(kinds)
    left = set(range(len(usable)))
    picked: list[int] = []

    def profit(v: int) -> float:
        adds = sum(k.share * max(k.awake[v][0] - b, 0.0) for k, b in zip(kinds, best, strict=True))
        return adds - usable[v].knowledge.price_per_s * A_WHILE_S

    while left and len(picked) < MOST_MODELLED:
        found = max(sorted(left), key=profit)
        left.discard(found)
        picked.append(found)
        best[:] = [max(b, k.awake[found][0]) for k, b in zip(kinds, best, strict=True)]
    return [usable[v] for v in sorted(picked)]
