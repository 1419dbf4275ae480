"""A second request to another warm variant beside the first: until when it can wait, what it gains, what it costs.

The last safe moment is the latest at which the second variant still meets the deadline with 95 %: by then the first has
had all the time it can be given, and only what is late so far is asked for twice (the deferred requests of Dean and
Barroso, "The Tail at Scale", 2013; across variants, so that the second is another model). Functions of their arguments
only; who could be second and how often it is done is in hedging.py.
"""

from collections.abc import Iterable
from math import inf, sqrt
from typing import NamedTuple

from warmfront.selection.forecast import Forecast, log_budget

SAFE = 0.95  # a moment is safe when so many of the second one's replies come in time from then on
LOST = 0.001  # one request in a thousand is never answered, whatever the forecast says: somebody may hang
GUARD_S = 0.002  # timers and the decision itself take their time


class First(NamedTuple):
    """The request that is under way: what was expected of it, what its answer in time is worth, when it was sent."""

    forecast: Forecast
    worth: float
    sent_at: float


class Second(NamedTuple):
    """A variant that could be asked too: within how many seconds `SAFE` of its replies come, how likely it is `in_time`
    if asked now, what its answer in time is worth, what asking it costs.
    """

    name: str
    needed_s: float
    in_time: float
    worth: float
    price: float


class Moment(NamedTuple):
    """When a second one is to be asked, and what that is expected to gain, as seen when the first is sent."""

    at: float
    gain: float


def unanswered(first: Forecast, seconds: float) -> float:
    """P(no reply within so many seconds)."""
    return (1 - LOST) * (1 - first.probability(log_budget(seconds))) + LOST


def late(first: Forecast, waited_s: float, budget_s: float) -> float:
    """P(no reply within `budget_s` | none within `waited_s`), both from when it was sent."""
    return unanswered(first, budget_s) / unanswered(first, waited_s)


def gain(first_worth: float, second_worth: float, in_time: float, first_late: float) -> float:
    """What a second request adds at least, if the first whole answer wins.

    With probability `in_time` the second one makes it. It then saves a request whose first answer is late; one whose
    first answer would have come in time it may only have pre-empted, at worst each time.
    """
    pre_empted = max(first_worth - second_worth, 0.0) * (1 - first_late)
    return in_time * (second_worth * first_late - pre_empted)


def most_gained(probability: float, worth: float) -> float:
    """At most so much is gained beside a first that is in time with this probability: an answer for each one late."""
    return worth * ((1 - LOST) * (1 - probability) + LOST)


def hindered(in_flight: int, slots: int) -> float:
    """How many other requests are kept waiting by one more execution, with `in_flight` of `slots` places taken.

    What comes while it runs finds its place taken: with u the share that is busy, u^sqrt(2 (k + 1)) / (1 - u) of them
    wait for it (Sakasegawa's approximation of M/M/k, 1977); without a place left, without end.
    """
    busy = in_flight / slots
    return inf if busy >= 1 else busy ** sqrt(2 * (slots + 1)) / (1 - busy)


def last_moment(first: First, seconds: Iterable[Second], deadline_at: float) -> Moment | None:
    """When to ask a second one if the first has not answered; None: never.

    It is the last safe moment of the variant that is expected to gain most; None when nobody can wait at all or gains
    more than it costs.
    """
    sent_at, budget_s = first.sent_at, deadline_at - first.sent_at
    missing = unanswered(first.forecast, budget_s)
    moment: Moment | None = None
    for second in seconds:
        waited_s = budget_s - second.needed_s - GUARD_S
        if waited_s > 0:
            missing_then = unanswered(first.forecast, waited_s)
            net = gain(first.worth, second.worth, SAFE, missing / missing_then) - second.price
            if missing_then * net > (0.0 if moment is None else moment.gain):
                moment = Moment(sent_at + waited_s, missing_then * net)
    return moment


def best_second(first: First, seconds: Iterable[Second], now: float, deadline_at: float) -> Second | None:
    """Whom to ask now beside the first, which has not answered; None: nobody is worth it."""
    first_late = late(first.forecast, now - first.sent_at, deadline_at - first.sent_at)
    most, found = 0.0, None
    for second in seconds:
        net = gain(first.worth, second.worth, second.in_time, first_late) - second.price
        if net > most:
            most, found = net, second
    return found
