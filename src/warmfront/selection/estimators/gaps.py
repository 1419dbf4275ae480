"""How long it is quiet between one request and the next, and what a silence that has lasted so long tells.

The hazard of the next request is learned as a step function of the idle age. Gaps below `SHORT_S` are only counted, for
nothing can be decided within them; longer ones are kept, the latest `MEMORY` of them. Each step is `RATIO` times as
long as the one before, and where many gaps agree there is a narrow one for them, so that a timer's gaps fall into one
step and Poisson's spread over many. What each step's own gaps say is shrunk towards the common rate by as much as the
steps differ no more than chance would have it (empirical Bayes by moments, Marshall, "Mapping disease and mortality
rates", Applied Statistics 1991): exponential gaps come out as exponential, timers and bursts as what they are.
Beyond the longest gap nothing is known but how long it is quiet already: the rate falls as half a request in that time.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import expm1, log1p
from typing import NamedTuple

SHORT_S = 2.0
MEMORY = 100  # long gaps
MOST_SHORT = 20_000.0  # beyond, the past is halved
FIRST_S = 60.0  # before anything is known, half a request is believed to come in that time
RATIO = 1.6
DECILES = 10
AGREE, AGREE_SHARE = 3, 8  # gaps agree when at least 3, and one of 8, are of one length,
WIDER, WIDER_S = 0.02, 0.25  # that is within 2 % and 0.25 s
CLOSEST, CLOSEST_S = 0.001, 0.5  # steps are not narrower than that
FARTHEST_S = 8 * 3600.0
LEAST_S = 1e-3


class Idle(NamedTuple):
    """The hazard of the next request by idle age, in steps.

    Step i lasts from `ages[i]` to `ages[i + 1]` (the last one for ever), with `rates[i]` requests per second in it.
    `coming[i]` is the probability that the request comes before the step ends, given that none came before it, and
    `lasting_s[i]` how long the step is then expected to last: to the request or to its end. For the last step 1 and
    1 / rate. `short_s` is the mean of the gaps that end in the first step.
    """

    ages: list[float]
    rates: list[float]
    coming: list[float]
    lasting_s: list[float]
    short_s: float

    def step(self, age_s: float) -> int:
        """The step in which a silence of this age is."""
        return max(bisect_right(self.ages, age_s) - 1, 0)

    def coming_within(self, age_s: float, within_s: float) -> float:
        """The probability of a request in the next `within_s` seconds of a silence of this age."""
        return -expm1(-self._cumulated(age_s, within_s))

    def expected(self, age_s: float, within_s: float) -> float:
        """How many requests are expected in the next `within_s` seconds of a silence of this age.

        The first one by the hazard; it comes half-way, on average, and begins a chain of gaps that all end within the
        time that is left.
        """
        return self.coming_within(age_s, within_s) * (1 + self._chain(within_s / 2))

    def _cumulated(self, age_s: float, within_s: float) -> float:
        ages, last, total, end_s = self.ages, len(self.ages) - 1, 0.0, age_s + within_s
        i = self.step(age_s)
        while i < last and ages[i + 1] < end_s:
            total += self.rates[i] * (ages[i + 1] - age_s)
            i += 1
            age_s = ages[i]
        return total + self.rates[i] * (end_s - age_s)

    def _chain(self, within_s: float) -> float:
        """The renewal function, roughly: how many follow a request within so many seconds.

        Gaps are short enough with probability F, so F / (1 - F) of them in a row; their mean bounds how many fit.
        """
        ends = self.coming_within(0.0, within_s)
        if ends <= 0:
            return 0.0
        short = min(self.coming[0], ends)
        mean_s = (short * min(self.short_s, within_s / 2) + (ends - short) * within_s / 2) / ends
        return 1 / ((1 - ends) / ends + mean_s / within_s)


class Gaps:
    """The latest gaps of one task's requests.

    Before the first gap: half a request in the time that has passed since the first one and `FIRST_S`.
    """

    __slots__ = ("long", "short", "short_s")

    def __init__(self) -> None:
        self.long: deque[float] = deque(maxlen=MEMORY)
        self.short = 0.0
        self.short_s = 0.0

    def add(self, gap_s: float) -> None:
        """One more gap, in seconds of at least 0. On the hot path."""
        if gap_s < SHORT_S:
            self.short += 1.0
            self.short_s += gap_s
            if self.short > MOST_SHORT:
                self._fade(0.5)
                for _ in range(len(self.long) // 2):
                    self.long.popleft()
        else:
            if len(self.long) == MEMORY:  # the short ones of its time go with the one that goes
                self._fade(1 - 1 / MEMORY)
            self.long.append(gap_s)

    def _fade(self, kept: float) -> None:
        self.short *= kept
        self.short_s *= kept

    @property
    def count(self) -> float:
        """How many gaps are remembered."""
        return self.short + len(self.long)

    @property
    def mean_s(self) -> float:
        """The mean gap."""
        return (self.short_s + sum(self.long) + FIRST_S) / (self.count + 0.5)

    def surprising(self, age_s: float) -> bool:
        """Whether a silence of this age is longer than nine of ten long gaps."""
        return sum(gap > age_s for gap in self.long) * DECILES <= len(self.long)

    def idle(self, age_s: float, before_s: Sequence[float] = (), at_s: Sequence[float] = ()) -> Idle:
        """What is believed now that the latest request was `age_s` ago.

        There are steps that begin `before_s` before the usual gaps and `at_s` after a request, besides the usual ones.
        """
        gaps = sorted(self.long)
        ages = _steps(gaps, age_s, before_s, at_s)
        longest_s = gaps[-1] if gaps else SHORT_S
        known_s = min(max(age_s, 0.0), longest_s)  # of the silence now; what is beyond was never seen before
        long_s = sum(gaps) + known_s
        often = (self.count + 0.5) / (self.short_s + long_s + FIRST_S)
        seldom = (len(gaps) + 0.5) / (long_s - SHORT_S * len(gaps) + 0.5 / often)
        beyond = 0.5 / (max(age_s - longest_s, 0.0) + 0.5 / seldom)
        ended, first_s = self.short + often * SHORT_S, self.short_s + SHORT_S * (len(gaps) + 0.5)
        share = ended / (ended + len(gaps) + 1)
        inside = _shrunk(gaps, known_s, [age for age in ages[1:] if age < longest_s] + [longest_s], seldom)
        rates = [-log1p(-share) / SHORT_S, *inside]
        rates += [beyond] * (len(ages) - len(rates))
        coming, lasting_s = [share], [first_s / (self.count + 0.5)]
        for rate, start, end in zip(rates[1:], ages[1:], ages[2:], strict=False):
            share = -expm1(-rate * (end - start))
            coming.append(share)
            lasting_s.append(share / rate)
        coming.append(1.0)
        lasting_s.append(1 / beyond)
        return Idle(ages, rates, coming, lasting_s, max(self.short_s / self.short, LEAST_S) if self.short else SHORT_S)


def _steps(gaps: Sequence[float], age_s: float, before_s: Sequence[float], at_s: Sequence[float]) -> list[float]:
    """Where steps begin: 0, `SHORT_S`, then rising; at least twice beyond all that was seen."""
    wanted = [at for at in at_s if at > SHORT_S]
    edge, last = RATIO * SHORT_S, 2 * max(gaps[-1] if gaps else 0.0, age_s, 600.0)
    while edge < last and edge < FARTHEST_S:
        wanted.append(edge)
        edge *= RATIO
    wanted.append(edge)
    for low, high in _agreed(gaps):
        wanted += (low, high, *(low - before for before in before_s))
    ages = [0.0, SHORT_S]
    for at in sorted(wanted):
        if at - ages[-1] > max(CLOSEST_S, CLOSEST * at):
            ages.append(at)
    return ages


def _agreed(gaps: Sequence[float]) -> list[tuple[float, float]]:
    """From where to where many of the rising `gaps` lie."""
    found: list[tuple[float, float]] = []
    for i in range(DECILES if gaps else 0):
        gap = gaps[int((i + 0.5) * len(gaps) / DECILES)]
        low, high = gap * (1 - WIDER) - WIDER_S, gap * (1 + WIDER) + WIDER_S
        inside = bisect_right(gaps, high) - bisect_left(gaps, low)
        if inside >= max(AGREE, len(gaps) / AGREE_SHARE) and not (found and low < found[-1][1]):
            found.append((low, high))
    return found


def _shrunk(gaps: Sequence[float], current_s: float, ages: Sequence[float], common: float) -> list[float]:
    """The rate in every step between two `ages`, given that the silence now has lasted for `current_s`."""
    events, passed_s = [], []
    sums = list(accumulate(gaps, initial=0.0))
    for start, end in pairwise(ages):
        first, beyond = bisect_left(gaps, start), bisect_right(gaps, end) if end == ages[-1] else bisect_left(gaps, end)
        inside_s = sums[beyond] - sums[first] - start * (beyond - first)
        events.append(beyond - first)
        passed_s.append(inside_s + (end - start) * (len(gaps) - beyond) + min(max(current_s - start, 0.0), end - start))
    if not events:
        return []
    apart = sum((n - common * s) ** 2 / s for n, s in zip(events, passed_s, strict=True)) / sum(passed_s)
    own = max(apart - common * len(events) / sum(passed_s), 0.0)  # variance between steps beyond that of chance
    rates = []
    for n, s in zip(events, passed_s, strict=True):
        trust = own / (own + common / s)
        rates.append(max(common + trust * (n / s - common), common * 1e-3))
    return rates
