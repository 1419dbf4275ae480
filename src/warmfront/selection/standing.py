"""How one variant stands for inputs of one size: all of a candidate that does not depend on the request.

`KnownVariant` keeps one `Standing` per size and hands it to every request until it is out of date, so that a decision
among variants with room to spare computes nothing but probabilities and scores. A standing is made from the
observation, the number in flight, the presumptions, the record of failures, the estimators and the time, and from
nothing else. Each of them ends it:

- observation: `KnownVariant.update` drops all standings of the variant;
- in flight: `sent` and `lost` drop them when the variant is full before or after. With a place left nobody waits, so
  the number does not show in a forecast; `Candidate.in_flight` itself is read for every decision. What peers have in
  flight counts with it and moves with it; a report drops them (`shared`), and its being too old to be believed ends
  them;
- presumptions and failures: whatever makes, ends or revives one drops them (`presume_start`, `ended`). A reply that
  only prolongs the presumption of a replica does not: they end when it would have, and come out the same again;
- estimators: `Knowledge.refresh` drops them, and no forecast shows anything learned before it. When the share of the
  network or of the platform moves, the selector refreshes everybody;
- time: they hold from `KnownVariant.since` to `until`, the next instant at which the age of a start takes a step or
  makes it overdue, or a presumption is over. Times are rounded, so they end a little early rather than late. Whether a
  rest is over is asked for every decision.

That this is all is a law of the tests: a selector that prepares everything anew for each decision decides alike.
A variant has few standings, for sizes are rounded to eight per octave.
"""

from typing import NamedTuple

from warmfront.domain import Request, Variant, Warmth
from warmfront.selection.forecast import Forecast

EARLY = 1e-9  # how much sooner standings end than computed, as a share of the time


class Standing(NamedTuple):
    """A variant for one size, until something changes.

    `open_` tells that any request may be sent here that asks for no accuracy and excludes nobody. Otherwise ask
    `verdict`: it is unavailable for the reason `fault`, rests until `resting_until` after `failures` in a row, or its
    start has gone on since `overdue_since` (infinity: is not overdue) and nobody knows whether it will end. What
    lies between is taken from the observation and the `forecast`, side by side to be read at once.
    """

    open_: bool
    variant: Variant
    warmth: Warmth
    ready: int
    accuracy: float
    predicted_s: float
    p95_s: float
    wait_s: float
    cdf: list[float]
    scale: float
    offset: float
    forecast: Forecast
    fault: str
    resting_until: float
    failures: int
    overdue_since: float

    def barred(self, request: Request) -> str:
        """Why the request must not go here whatever the alternatives; empty if it may."""
        if self.fault:
            return self.fault
        if self.variant.name in request.excluded:
            return "excluded: already tried for this request"
        return ""

    def verdict(self, request: Request, now: float) -> str:
        """Why it is not eligible for the request, or empty."""
        if barred := self.barred(request):
            return barred
        if now < self.resting_until:
            return f"resting {self.resting_until - now:.1f} s after {self.failures} failures in a row"
        if now > self.overdue_since:
            return f"overdue: has been starting for {now - self.overdue_since:.1f} s"
        floor = request.min_accuracy or 0.0
        if self.accuracy < floor:
            return f"accuracy {self.accuracy:.3f} is below the floor {floor:.3f}"
        return ""


def a_little_before(instant: float) -> float:
    """The end of standings that must not be met at this instant."""
    return instant - EARLY * max(abs(instant), 1.0)
