"""Which variant is worth waking in the background."""

from collections.abc import Sequence

from warmfront.domain import Request, Start
from warmfront.selection.policies.base import Policy
from warmfront.selection.settings import SelectorSettings
from warmfront.selection.variants import KnownVariant


class Planner:
    """Remembers the shapes of recent requests and prices a start against what it would earn with them."""

    def __init__(self, policy: Policy, settings: SelectorSettings) -> None:
        self._policy = policy
        self._settings = settings

    def arrived(self, request: Request, now: float) -> None:
        """One more request was sent."""

    def plan(self, variants: Sequence[KnownVariant], now: float) -> list[Start]:
        """The start worth making now, if any."""
        return []
