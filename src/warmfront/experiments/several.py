"""Several selectors that look like one to a driver: how much is lost when each sees only its part, a little late.

What may live here: dealing requests and passing reports on. What must not: the world (simulation/) or choosing.
"""

import random
from collections.abc import Sequence

from warmfront.domain import Action, Decision, Feedback, Observation, Outcome, Request, Start
from warmfront.selection.selector import Selector


class Several:
    """Deals every request to one of the selectors at random, by their `shares`; all see the same observations.

    Every `exchange_s` each hears what every other has in flight and has learned, so that what they know of each other
    is up to that old; None: they never hear of each other. Exchanges happen with the first call after they are due:
    state changes in calls only, so what is told is what was true when it was due.
    """

    def __init__(
        self,
        selectors: Sequence[Selector],
        *,
        exchange_s: float | None,
        rng: random.Random,
        shares: Sequence[float] | None = None,
    ) -> None:
        self._selectors = selectors
        self._shares = shares
        self._exchange_s = exchange_s
        self._rng = rng
        self._due_at = 0.0
        self._owners: dict[str, Selector] = {}  # by decision
        self._askers: dict[str, Selector] = {}  # by request

    def update(self, observation: Observation, now: float) -> None:
        """All of them watch."""
        self._exchange(now)
        for selector in self._selectors:
            selector.update(observation, now)

    def decide(self, request: Request, now: float) -> Decision:
        """One of them chooses; for a second try it is the one that chose first."""
        self._exchange(now)
        selector = self._askers.get(request.id) if request.excluded else None
        if selector is None:
            (selector,) = self._rng.choices(self._selectors, self._shares)
            self._askers[request.id] = selector
        decision = selector.decide(request, now)
        self._owners[decision.id] = selector
        return decision

    def started(self, decision: Decision, now: float) -> None:
        """The one that chose counts it."""
        self._exchange(now)
        self._owners[decision.id].started(decision, now)

    def observe(self, outcome: Outcome | Feedback, now: float) -> None:
        """The one that chose learns from it, and tells the others when it is time."""
        self._exchange(now)
        self._owners[outcome.decision_id].observe(outcome, now)

    def plan(self, now: float) -> list[Action]:
        """What any of them wants to start, and what the first, who holds the Lease, keeps and releases."""
        self._exchange(now)
        first, *others = [selector.plan(now) for selector in self._selectors]
        return [*first, *(action for plan in others for action in plan if isinstance(action, Start))]

    def next_plan_at(self) -> float:
        """The earliest of theirs."""
        return min(selector.next_plan_at() for selector in self._selectors)

    def _exchange(self, now: float) -> None:
        if self._exchange_s is None or now < self._due_at:
            return
        self._due_at = now + self._exchange_s
        reports = [selector.report(str(i), now) for i, selector in enumerate(self._selectors)]
        for i, selector in enumerate(self._selectors):
            for j, report in enumerate(reports):
                if i != j:
                    selector.update(report, now)
