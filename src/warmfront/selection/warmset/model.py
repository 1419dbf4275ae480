"""What it is worth to have a set of variants awake, and which set to have when, until the next request.

A renewal model. Requests of one task come one after another; the silence between two of them has the hazard of
`estimators/gaps.py`, and every request is drawn from the recent ones. A *set* S of variants is awake. Then

- a request is worth r_v(S) when v answers it: the policy's score with v awake, or asleep and started by it;
- awake, v costs p_v per second. Starting it costs p_v for the time C_v of its start, and meanwhile the requests that
  come, E[N(C_v)], do without it: they lose r(S + v) - r(S) each;
- letting v go is free, but the platform holds for its window H whatever answered a request.

h_v(S) is what the future is worth just after a request was answered by v, with S awake; W_i(S) the same at the start of
step i of the idle age, for variants that nothing holds. In step i the request comes with probability q_i, after t_i
seconds on average:

    X_i(S) = q_i U(S) - p(S) t_i + (1 - q_i) W_(i+1)(S)       W_i(S) = max over S' of X_i(S') - start cost of S' - S
    U(S)   = E over requests of max over v of r_v(S) + h_v(S + v) - start cost of v, if it sleeps

h_v is W_0 with v bound to stay until H. The last step lasts for ever at its rate. This is solved backward over the
steps, for every set at once, and repeated until h agrees with itself (relative value iteration, White 1963; Puterman,
"Markov Decision Processes", 8.5). Sums run over sets as bit masks, one variant at a time, so that one pass costs
steps * n * 2^n operations; the caller picks the few variants that matter.

The first step is where bursts are: with q_0 near 1 hundreds of requests follow each other, and plain iteration would
need as many rounds. It is closed by hand: a set stays through a burst of 1 / (1 - q_0) requests.

One variant is never valued alone: that is the point. Marginal values over substitutes, warming a substitute later, and
starting ahead of a request that is due, are all differences of W.
"""

from bisect import bisect_left
from collections.abc import Sequence
from operator import add
from typing import NamedTuple

from warmfront.selection.estimators.gaps import Idle

ROUNDS = 8
AGREED = 5e-4  # in utility: below, h agrees with itself
OVER = 100.0  # utility lost per GB beyond the bound on memory, in every step: too much for anything
LONGEST_BURST = 1e4
DUE = 0.5  # without keeping, a variant is started ahead of a request that is more likely than not in its window


QUEUES = (0, 1, 4, 16, 64)  # what an answer is worth is known for so many requests ahead in the queue


class Option(NamedTuple):
    """One variant of the model.

    `price_per_s` while awake or starting, `start_s` mean time of a start, `hold_s` how long the platform keeps it after
    a request. `kept`: others keep it awake, so that it costs nothing more and never goes. `slots` requests are served
    at once.
    """

    name: str
    price_per_s: float
    start_s: float
    hold_s: float
    memory_gb: float
    kept: bool
    slots: int


class Kind(NamedTuple):
    """Requests that are alike: their share, and by variant what an answer is worth from it `awake` and `asleep`.

    `awake` states that for every length of queue in `QUEUES`. `crowd` requests are under way when one of these comes.
    """

    share: float
    awake: tuple[tuple[float, ...], ...]
    asleep: tuple[float, ...]
    crowd: int = 0


Values = list[list[float]]  # h by answering variant and set


class Model:
    """Solved when built. Sets are bit masks over `options`, in their order.

    `may_keep` false: nothing is kept beyond the platform's window; variants are only started. `most_gb` bounds the
    memory of what is awake without being held by requests.
    """

    def __init__(
        self, options: Sequence[Option], kinds: Sequence[Kind], idle: Idle, *,
        most_gb: float, may_keep: bool = True, values: Values | None = None,
    ) -> None:  # fmt: skip
        self.options, self.idle = options, idle
        self._kinds = kinds
        n = len(options)
        self._all = range(1 << n)
        without = [[s for s in self._all if not s >> v & 1] for v in range(n)]
        self._without = {v: [[s for s in row if v < 0 or s >> v & 1] for row in without] for v in range(-1, n)}
        self._price = [sum(one.price_per_s for v, one in enumerate(options) if s >> v & 1) for s in self._all]
        self._over = [
            OVER * max(sum(o.memory_gb for v, o in enumerate(options) if s >> v & 1 and not o.kept) - most_gb, 0.0)
            for s in self._all
        ]
        self._slowest_first = sorted(range(n), key=lambda v: -options[v].start_s)
        self._kept = sum(1 << v for v, one in enumerate(options) if one.kept)
        self._until = [bisect_left(idle.ages, one.hold_s) for one in options]
        self._start_cost = [one.price_per_s * one.start_s for one in options]
        self._missed = [[idle.expected(age, one.start_s) for one in options] for age in idle.ages]
        self._due = [may_keep or self._is_due(i) for i in range(len(idle.ages))]
        slots = [one.slots for one in options]
        self._rewards = [[_reward(kind, s, slots) for kind in kinds] for s in self._all]
        self._best = [self._by_itself(s) for s in self._all]
        self._gain = [[max(self._best[s | 1 << v] - self._best[s], 0.0) for s in self._all] for v in range(n)]
        self.values = values if values and len(values) == n else [[0.0] * (1 << n) for _ in options]
        self.rounds = 0
        self._solve()

    # what comes out

    def wanted(self, age_s: float, awake: int, answered: int | None, held: int) -> int:
        """The best set to have at this idle age, given the set `awake`.

        `answered` answered the latest request (None: unknown); the set `held` stays whatever is wanted.
        """
        i = self.idle.step(age_s)
        worth = self._worth(i, answered)
        found, top = awake, worth[awake] if awake & held == held else float("-inf")
        sets = self._all if self._due[i] else [awake & self._kept | held]
        for s in sets:
            if s & held == held and s != awake:
                value = worth[s] - self.starting(i, s, s & ~awake)
                if value > top:
                    found, top = s, value
        return found

    def worth(self, age_s: float, s: int, answered: int | None) -> float:
        """X of the set at this idle age: in utility, up to a constant that all sets share."""
        return self._worth(self.idle.step(age_s), answered)[s]

    def price_per_s(self, s: int) -> float:
        """What it costs to have this set awake."""
        return self._price[s]

    def reward(self, s: int) -> float:
        """What one request is worth with this set awake."""
        return self._best[s]

    def starting(self, i: int, s: int, started: int) -> float:
        """What it costs in step i to start the set `started`, a part of `s`: memory, and what requests miss.

        The quickest is there first and helps while the others still start.
        """
        cost = 0.0
        for v in self._slowest_first:
            bit = 1 << v
            if started & bit:
                s &= ~bit
                cost += self._start_cost[v] + self._missed[i][v] * self._gain[v][s]
        return cost

    def charges(self, awake: int) -> list[float]:
        """By variant, what its answering the next request costs beyond that request, with this set awake.

        At least 0, and 0 for the one whose answer is best for what follows.
        """
        after = [self._after(v, awake) for v in range(len(self.options))]
        top = max(after)
        return [top - value for value in after]

    # how it comes about

    def _worth(self, i: int, answered: int | None) -> list[float]:
        if answered is not None and i < self._until[answered]:
            return self._bound[answered][i]
        return self._free[i]

    def _after(self, v: int, s: int) -> float:
        value = self.values[v][s | 1 << v]
        return value if s >> v & 1 else value - self.starting(0, s | 1 << v, 1 << v)

    def _solve(self) -> None:
        for self.rounds in range(1, ROUNDS + 1):
            self._request()
            self._silence()
            new = [self._toggled(bound[0], 0, v) for v, bound in enumerate(self._bound)]
            top = max(max(row) for row in new)
            new = [[value - top for value in row] for row in new]
            moved = max(
                abs(a - b) for row, old in zip(new, self.values, strict=True) for a, b in zip(row, old, strict=True)
            )
            self.values = new
            if moved < AGREED:
                break

    def _request(self) -> None:
        """U of every set."""
        n = range(len(self.options))
        self._whole = []
        for s in self._all:
            after = [self._after(v, s) for v in n]
            self._whole.append(
                sum(
                    kind.share * max(map(add, reward, after))
                    for kind, reward in zip(self._kinds, self._rewards[s], strict=True)
                )
            )

    def _by_itself(self, s: int) -> float:
        """What one request is worth when only those awake may answer; with nobody awake, those asleep."""
        return sum(
            kind.share * max(r for v, r in enumerate(reward) if s >> v & 1 or not s)
            for kind, reward in zip(self._kinds, self._rewards[s], strict=True)
        )

    def _silence(self) -> None:
        """X of every step, from the last to the first: with nothing bound, and with each variant bound to stay."""
        last, rate = len(self.idle.ages) - 1, self.idle.rates[-1]
        price, over = self._price, self._over
        x = [self._whole[s] - price[s] / rate - over[s] for s in self._all]
        self._free = [x]
        rest = [self._toggled(x, last)]
        for i in range(last - 1, -1, -1):
            x = self._step(i, rest[-1], over)
            self._free.append(x)
            rest.append(self._toggled(x, i))
        self._free.reverse()
        rest.reverse()
        self._bound = []
        for v, until in enumerate(self._until):
            bit = 1 << v
            spared = [over[s & ~bit] for s in self._all]
            w = rest[until] if self._due[until] else [rest[until][s & self._kept] for s in self._all]
            bound = []
            for i in range(until - 1, -1, -1):
                x = self._step(i, w, spared)
                bound.append(x)
                w = self._toggled(x, i, v)
            bound.reverse()
            self._bound.append(bound or [self._free[0]])

    def _step(self, i: int, w: list[float], over: list[float]) -> list[float]:
        q, t = self.idle.coming[i], self.idle.lasting_s[i]
        if i:
            return [
                q * u - p * t + (1 - q) * next_ - o
                for u, p, next_, o in zip(self._whole, self._price, w, over, strict=True)
            ]
        burst = min(1 / max(1 - q, 1e-9), LONGEST_BURST)
        return [
            burst * (q * b - p * t) + next_ - o for b, p, next_, o in zip(self._best, self._price, w, over, strict=True)
        ]

    def _is_due(self, i: int) -> bool:
        """Whether a request is likely within the window of a variant started in this step."""
        if not i:
            return True
        hold_s = max(one.hold_s for one in self.options)
        return self.idle.coming_within(self.idle.ages[i], hold_s) >= DUE

    def _toggled(self, x: list[float], i: int, bound: int = -1) -> list[float]:
        """The best that can be made of every set at the start of step i, by starting some and letting others go."""
        if not self._due[i]:
            stays = self._kept if bound < 0 else self._kept | 1 << bound
            return [x[s & stays] for s in self._all]
        w = list(x)
        missed = self._missed[i]
        without = self._without[bound]  # sets in which the one that is bound is not awake do not count
        for v in self._slowest_first:
            bit, gain, lost, start_cost = 1 << v, self._gain[v], missed[v], self._start_cost[v]
            for s in without[v]:
                asleep, awake = w[s], w[s | bit]
                started = awake - start_cost - lost * gain[s]
                if started > asleep:
                    w[s] = started
                elif asleep > awake:
                    w[s | bit] = asleep
        return w


def _reward(kind: Kind, s: int, slots: Sequence[int]) -> tuple[float, ...]:
    """What an answer of each variant is worth with the set `s` awake.

    The crowd has taken the places of the best first; who is too many for all of them waits, spread over all places.
    """
    reward = [worths[0] if s >> v & 1 else kind.asleep[v] for v, worths in enumerate(kind.awake)]
    if kind.crowd:
        awake = sorted((v for v in range(len(reward)) if s >> v & 1), key=lambda v: -reward[v])
        left, places = kind.crowd, sum(slots[v] for v in awake)
        each = max(left - places, 0) / places if awake else 0.0
        for v in awake:
            if left < slots[v]:
                break
            reward[v] = kind.awake[v][min(bisect_left(QUEUES, 1 + each * slots[v]), len(QUEUES) - 1)]
            left -= slots[v]
    return tuple(reward)
