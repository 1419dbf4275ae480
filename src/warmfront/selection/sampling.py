"""Which requests are learned from: under load only some, chosen when they are sent."""

from math import inf

LEARN_EVERY_S, LEARN_AHEAD_S = 0.02, 1.0  # one request in that time is learned from, or as many at once as in this


class Sampling:
    """Up to fifty requests at once, and from then on fifty a second."""

    __slots__ = ("_learned_to",)

    def __init__(self) -> None:
        self._learned_to = -inf  # as if requests to learn from had come every LEARN_EVERY_S until then

    def wants(self, now: float) -> bool:
        """Whether to learn from the request that is sent now. Ask once per request: the answer is counted."""
        learned_to = self._learned_to
        if learned_to > now + LEARN_AHEAD_S:
            return False
        self._learned_to = max(learned_to, now) + LEARN_EVERY_S
        return True
