"""Which sleeping variant is worth waking in the background, while others answer.

The recent requests stand for the next ones. A variant is worth the difference it would make to them if it were awake,
given those that are awake or waking already; nothing where a substitute is as good. Starting it costs its memory while
it starts and for as long as the requests then keep it. What must not live here: how a start is made.
"""

from collections import deque
from collections.abc import Sequence
from math import expm1

from warmfront.domain import Request, Start, Warmth
from warmfront.selection.forecast import log_budget
from warmfront.selection.policies.base import Policy
from warmfront.selection.settings import SelectorSettings
from warmfront.selection.variants import KnownVariant

_MAX_WINDOWS = 20.0  # e^20 requests in a row: for ever


class Planner:
    """Remembers the recent requests of every task and tells at most one start per task and call."""

    def __init__(self, policy: Policy, settings: SelectorSettings) -> None:
        self._policy = policy
        self._settings = settings
        self._recent: dict[str, deque[tuple[float, int, Request]]] = {}

    def arrived(self, request: Request, size: int, now: float) -> None:
        """One more request was sent; `size` is what forecasts are asked with."""
        recent = self._recent.get(request.task)
        if recent is None:
            recent = self._recent[request.task] = deque(maxlen=self._settings.recent_requests)
        recent.append((now, size, request))

    def forget(self, task: str) -> None:
        """The task has no variant any more."""
        self._recent.pop(task, None)

    def plan(self, task: str, variants: Sequence[KnownVariant], now: float) -> list[Start]:
        """The start that is worth most beyond its price, if any is."""
        recent = self._recent.get(task)
        sleeping = [known for known in variants if _may_wake(known, now)]
        if recent is None or not sleeping or not self._policy.wakes:
            return []
        while recent and now - recent[0][0] > self._settings.recent_horizon_s:
            recent.popleft()
        if len(recent) <= 2:  # the first opens the span and the last may be the one just sent: neither tells a rate
            return []
        span_s = max(now - recent[0][0], 1e-3)
        rate = (len(recent) - 2) / span_s
        gains = self._gains(recent, variants, sleeping, now)
        bids = [self._bid(known, gains[i], len(recent), rate, span_s) for i, known in enumerate(sleeping)]
        best = max(range(len(bids)), key=lambda i: bids[i][0])
        profit, reason = bids[best]
        if profit <= 0:
            return []
        sleeping[best].presume_start(now)
        return [Start(variant=sleeping[best].variant.name, reason=reason)]

    def _gains(
        self,
        recent: Sequence[tuple[float, int, Request]],
        variants: Sequence[KnownVariant],
        sleeping: Sequence[KnownVariant],
        now: float,
    ) -> list[list[float]]:
        """For each sleeping variant what its being awake would add to each recent request, where it adds anything."""
        gains: list[list[float]] = [[] for _ in sleeping]
        for _, size, request in recent:
            score = self._policy.scorer(request, self._settings)
            deadline = request.deadline_at
            budget = log_budget(
                self._settings.transport_timeout_s if deadline is None else deadline - request.arrival_at
            )
            floor = request.min_accuracy or 0.0
            without = 0.0
            for known in variants:
                forecast = known.standing(size, now).forecast
                if known.usable(now) and forecast.accuracy >= floor:
                    standing = forecast if forecast.warmth is Warmth.COLD else forecast.once_warm
                    without = max(without, score(standing, standing.probability(budget)))
            for mine, known in zip(gains, sleeping, strict=True):
                awake = known.knowledge.warm(size)
                gain = score(awake, awake.probability(budget)) - without if awake.accuracy >= floor else 0.0
                if gain > 0:
                    mine.append(gain)
        return gains

    def _bid(self, known: KnownVariant, gains: list[float], seen: int, rate: float, span_s: float) -> tuple[float, str]:
        """Profit of a start, in utility, and its reason in numbers.

        The replica stays until a gap exceeds the hold time T. With requests that want it at rate r that is, on average,
        after (e^(rT) - 1) / r seconds and e^(rT) - 1 requests; a rate is believed for T and for as long as it was seen.
        Worked: r = 0.02/s, T = 60 s: 116 s and 2.3 requests; at a gain of 0.1 each for 1 GB starting in 12 s that is
        0.23 for 0.128.
        """
        if not gains:
            return 0.0, ""
        settings, knowledge = self._settings, known.knowledge
        wanted = rate * len(gains) / seen
        gain = sum(gains) / len(gains)
        chain_s = expm1(min(wanted * settings.hold_s, _MAX_WINDOWS)) / wanted
        hold_s = min(chain_s, settings.hold_s + span_s)
        worth = wanted * hold_s * gain
        cost = knowledge.price_per_s * (knowledge.start_s + hold_s)
        reason = (
            f"worth {worth:.3f}: {wanted:.3g} requests/s gain {gain:.3f} each for {hold_s:.0f} s; "
            f"costs {cost:.3f}: {knowledge.price_per_s:.2g} per s for {knowledge.start_s:.1f} + {hold_s:.0f} s"
        )
        return worth - cost, reason


def _may_wake(known: KnownVariant, now: float) -> bool:
    return known.usable(now) and known.warmth(now) is Warmth.COLD
