"""RAMSIS: a Markov decision process solved ahead, looked up by queue and slack."""

from collections import deque
from collections.abc import Sequence
from math import exp, floor, log, log2
from statistics import median
from typing import NamedTuple

from warmfront.domain import Candidate
from warmfront.selection.policies.base import Generator
from warmfront.selection.policies.comparing import Comparing, Moment
from warmfront.selection.policies.traffic import Traffic, rate

QUEUE = 8  # the longest queue told apart
SLACKS = 12  # levels of slack, each twice the one before; the highest is the deadline of the next request
DISCOUNT = 0.9
CLOSE = 1e-3
NEGLIGIBLE = 1e-6  # probabilities below that are left out
GAPS = (0.125, 0.375, 0.625, 0.875)  # quantiles that stand for an exponential gap
BUDGETS = 64
SHORTEST_S = 0.001
LOOK_EVERY_S = 5.0
MOST_TABLES = 256

_Table = dict[float, list[list[float]]]  # what follows an execution of so many seconds, by queue and slack


class Ramsis(Comparing):
    """The variant with the largest a * [in time] + what the queue is worth afterwards, by a table solved ahead.

    Source: Mendoza et al., "Model Selection for Latency-Critical Inference Serving" (RAMSIS, EuroSys 2024). A worker
    has a queue and the slack of its oldest request; an action is a variant, for one request (a batch there); requests
    come by a Poisson process while it executes; the reward is its accuracy if it ends in time, judged by the 95th
    percentile of its latency once warm. Solved by value iteration per level of the arrival rate, with the median of
    recent deadlines as the deadline to come. A worker here is one place in one ready replica, and its queue an equal
    share of the requests in flight. As published, variants are taken as loaded; `ramsis-cold` adds start-up.
    """

    name = "ramsis"

    def __init__(self, *, rng: Generator) -> None:
        super().__init__(rng=rng)
        self._traffic: dict[str, Traffic] = {}
        self._budgets: dict[str, deque[float]] = {}
        self._tables: dict[Process, _Table] = {}
        self._present: dict[str, Process] = {}  # by task
        self._look_at: dict[str, float] = {}  # when it may have changed

    def compare(self, pool: Sequence[Candidate], moment: Moment, /) -> list[float]:
        """Value of the action as a share of the most there could be; before there is a table the reward alone."""
        rewards = [self._reward(c, moment) for c in pool]
        process = self._present.get(moment.request.task)
        names = [c.variant.name for c in pool]
        if process is None or not set(names) <= set(process.names):
            return [(1 - DISCOUNT) * reward for reward in rewards]
        queue = min(1 + sum(c.in_flight for c in pool) // _workers(pool), QUEUE)
        slack = slack_level(moment.budget_s, process.deadline_s)
        table = self._tables[process]
        return [
            (1 - DISCOUNT) * (reward + DISCOUNT * table[process.times_s[process.names.index(name)]][queue][slack])
            for name, reward in zip(names, rewards, strict=True)
        ]

    def _reward(self, candidate: Candidate, moment: Moment) -> float:
        return candidate.accuracy if moment.forecasts(candidate).once_warm.p95_s <= moment.budget_s else 0.0

    def sent(self, _chosen: Candidate, everyone: Sequence[Candidate], moment: Moment, /) -> None:
        """One more request of the task, with its deadline. Every few seconds it is seen which table is due."""
        task = moment.request.task
        traffic = self._traffic.setdefault(task, Traffic())
        traffic.arrived(moment.now)
        budgets = self._budgets.setdefault(task, deque(maxlen=BUDGETS))
        budgets.append(max(moment.budget_s, SHORTEST_S))
        names = tuple(c.variant.name for c in everyone)
        if moment.now < self._look_at.get(task, moment.now) and names == self._present[task].names:
            return
        self._look_at[task] = moment.now + LOOK_EVERY_S
        warm = [moment.forecasts(c).once_warm for c in everyone]
        process = Process(
            names=names,
            rewards=tuple(round(c.accuracy * 50) / 50 for c in everyone),
            times_s=tuple(_rounded(one.execution_s) for one in warm),
            within_s=tuple(_rounded(one.p95_s) for one in warm),
            arrivals=rate(traffic.level(moment.now)) / _workers(everyone),
            deadline_s=2.0 ** round(log2(median(budgets))),
        )
        self._present[task] = process
        if process not in self._tables:
            if len(self._tables) >= MOST_TABLES:
                self._tables.clear()
            self._tables[process] = process.solved()


class RamsisCold(Ramsis):
    """RAMSIS with start-up as a coordinate of the state: off, starting for so long, or ready.

    Source: `Ramsis`; this project's own addition. The reward is a * P, and P counts what is left of the start.
    """

    name = "ramsis-cold"

    def _reward(self, candidate: Candidate, _moment: Moment) -> float:
        return candidate.accuracy * candidate.probability


class Process(NamedTuple):
    """One worker's: by variant the accuracy, the seconds it is busy and those the answer takes; arrivals per second."""

    names: tuple[str, ...]
    rewards: tuple[float, ...]
    times_s: tuple[float, ...]
    within_s: tuple[float, ...]
    arrivals: float
    deadline_s: float

    def solved(self) -> _Table:
        """What follows each action, by value iteration."""
        ways = {
            took_s: [[self._ways(took_s, n, j) if n else [] for j in range(SLACKS)] for n in range(QUEUE + 1)]
            for took_s in set(self.times_s)
        }
        values = [[max(self.rewards) / (1 - DISCOUNT)] * SLACKS for _ in range(QUEUE + 1)]  # as if all were in time
        change = 1.0
        while change > CLOSE:
            after = {
                took_s: [[sum(p * values[n][j] for p, n, j in way) for way in by_slack] for by_slack in by_queue]
                for took_s, by_queue in ways.items()
            }
            new = [[self._best(after, n, j) for j in range(SLACKS)] for n in range(QUEUE + 1)]
            change = max(
                abs(a - b) for one, other in zip(new, values, strict=True) for a, b in zip(one, other, strict=True)
            )
            values = new
        return after

    def _best(self, after: _Table, n: int, j: int) -> float:
        slack_s = self.deadline_s * 2.0 ** (j + 1 - SLACKS)
        return max(
            (a if within_s <= slack_s else 0.0) + DISCOUNT * after[took_s][n][j]
            for a, within_s, took_s in zip(self.rewards, self.within_s, self.times_s, strict=True)
        )

    def _ways(self, took_s: float, n: int, j: int) -> list[tuple[float, int, int]]:
        """Where one execution of `took_s` leads from `n` requests, the oldest with slack `j`: (probability, n', j')."""
        slack_s = self.deadline_s * 2.0 ** (j + 1 - SLACKS)
        found: dict[tuple[int, int], float] = {}
        for came, p in enumerate(poisson(self.arrivals * took_s, QUEUE)):
            if p < NEGLIGIBLE:
                continue
            if n == 1 and came:  # the oldest is the first of those that came
                slacks = [self.deadline_s - took_s * came / (came + 1)]
            elif n == 1:  # the worker rests until the next comes
                slacks = [self.deadline_s]
            else:  # the next came a gap after the oldest
                slacks = [min(slack_s - log(1 - q) / self.arrivals - took_s, self.deadline_s) for q in GAPS]
            left = min(max(n - 1 + came, 1), QUEUE)
            for slack in slacks:
                state = (left, slack_level(slack, self.deadline_s))
                found[state] = found.get(state, 0.0) + p / len(slacks)
        return [(p, left, level) for (left, level), p in found.items()]


def _workers(pool: Sequence[Candidate]) -> int:
    """Places in ready replicas, at least 1."""
    return max(sum((c.variant.concurrency or 1) * c.ready for c in pool), 1)


def _rounded(seconds: float) -> float:
    """To half an octave, so that few tables do."""
    return float(2.0 ** (round(2 * log2(seconds)) / 2))


def slack_level(slack_s: float, deadline_s: float) -> int:
    """The highest level whose slack is not more than that."""
    if slack_s <= 0:
        return 0
    return min(max(SLACKS - 1 + floor(log2(slack_s / deadline_s)), 0), SLACKS - 1)


def poisson(mean: float, most: int) -> list[float]:
    """Probabilities of 0, 1, ... arrivals, all beyond `most` counted as `most`."""
    term, terms = exp(-mean), []
    for k in range(most):
        terms.append(term)
        term *= mean / (k + 1)
    return [*terms, max(1.0 - sum(terms), 0.0)]
