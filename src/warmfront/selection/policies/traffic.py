"""How many requests come, and how many a variant can serve: what load-aware algorithms ask."""

from math import ceil, exp, inf, log2
from typing import NamedTuple

from warmfront.domain import Variant

WINDOW_S = 5.0
WEIGHT = 0.5  # of the latest window in the moving mean
QUIET = 3  # windows in a row that must be quieter before a lower level is believed
STEPS = 2  # levels per doubling of the rate
LOWEST = -20  # 0.001 requests a second
SKIPPED = 64  # after that many empty windows nothing is left to be forgotten


class _State(NamedTuple):
    since: float  # when the present window began
    came: int  # in the present window
    mean: float  # requests a second, moving
    level: int
    quiet: int


class Traffic:
    """The level of the arrival rate: up at once, down only after `QUIET` windows. A level is half a doubling."""

    def __init__(self) -> None:
        self._state: _State | None = None

    def arrived(self, now: float) -> None:
        """One more request."""
        state = self._state
        state = _State(now, 0, 0.0, LOWEST, 0) if state is None else _rolled(state, now)
        self._state = state._replace(came=state.came + 1)

    def level(self, now: float) -> int:
        """The level now; the lowest before a window is over."""
        return LOWEST if self._state is None else _rolled(self._state, now).level


def rate(level: int) -> float:
    """Requests a second at that level."""
    return float(2 ** (level / STEPS))


def _rolled(state: _State, now: float) -> _State:
    """The state once all windows that are over by now have been counted."""
    since, came, mean, level, quiet = state
    over = int((now - since) / WINDOW_S)
    for _ in range(min(over, SKIPPED)):
        mean += WEIGHT * (came / WINDOW_S - mean)
        came = 0
        new = max(ceil(STEPS * log2(mean)), LOWEST) if mean > 0 else LOWEST
        quiet = quiet + 1 if new < level else 0
        if new >= level or quiet >= QUIET:
            level, quiet = new, 0
    return _State(since + over * WINDOW_S, came, mean, level, quiet)


def places(variant: Variant) -> float:
    """How many requests are served at once with every replica that there may be; infinity without a limit."""
    return float(variant.concurrency * variant.max_replicas) or inf


def in_time(arrivals: float, servers: float, service_s: float, slack_s: float) -> float:
    """The share that waits at most `slack_s` in an M/M/c queue (Erlang C); 0 when more comes than can be served.

    `arrivals` per second, each served for `service_s` on average by one of `servers` (infinity: nobody waits).
    """
    if servers == inf:
        return 1.0
    offered = arrivals * service_s
    if offered >= servers:
        return 0.0
    blocked = 1.0
    for i in range(1, int(servers) + 1):
        blocked = offered * blocked / (i + offered * blocked)
    waits = blocked / (1 - offered / servers * (1 - blocked))
    return 1.0 - waits * exp(-(servers / service_s - arrivals) * max(slack_s, 0.0))
