"""Keeping memory within a budget by its price: the dear hour pays for itself.

What was used beyond the budget is a debt that what is used below it pays back; the price of memory rises in proportion
to the debt (dual ascent on the price, as in bandits with knapsacks: Badanidiyuru, Kleinberg and Slivkins, J. ACM 2018).
So variants are kept where they gain most per GB-second, whatever the traffic, and no hour is cut off. Saving in advance
counts for nothing.
"""

from math import inf

from warmfront.selection.settings import SelectorSettings

STEEP = 60.0  # a debt of an hour's budget makes memory so many times as dear again
MOVED = 0.05  # a smaller change of the price is not worth preparing everything anew
LOOK_S = 60.0


class Budget:
    """Answers the price of a GB-second; without a budget, the price that was set."""

    def __init__(self, settings: SelectorSettings) -> None:
        self._base = self.price_per_gb_s = settings.price_per_gb_s
        self._an_hour = settings.budget_gb_s_per_hour
        self._debt = 0.0  # GB-seconds
        self._used_gb, self._at = 0.0, inf

    def spend(self, used_gb: float, now: float) -> bool:
        """From now on so much memory is used. True when the price has moved."""
        if self._an_hour is None:
            return False
        passed_s = max(now - self._at, 0.0)  # none before the first time
        self._debt = max(self._debt + (self._used_gb - self._an_hour / 3600) * passed_s, 0.0)
        self._used_gb, self._at = used_gb, now
        price = self._base * (1 + STEEP * self._debt / self._an_hour)
        moved = abs(price - self.price_per_gb_s) > MOVED * self.price_per_gb_s
        if moved:
            self.price_per_gb_s = price
        return moved

    @property
    def look_at(self) -> float:
        """When to tell it again at the latest what is used."""
        if self._an_hour is None:
            return inf
        return self._at + LOOK_S if self._at < inf else -inf
