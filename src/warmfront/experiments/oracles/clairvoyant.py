"""The per-request clairvoyant: it knows how this request would end with every variant, and nothing of the next one.

Each request goes to a variant that will be right and in time; of several to the one that costs least memory, in reply
and hold. If there is none, it goes where it costs least. Greedy in time, so it bounds no policy: one that thinks ahead
may do better (the offline optimum, offline.py, is the bound). What is awake is left to the traffic.
"""

from collections.abc import Callable, Sequence

from warmfront.domain import Candidate, Decision, Request
from warmfront.experiments.simulation.simulator import Run, Simulator
from warmfront.experiments.simulation.world import Case, World
from warmfront.selection.selector import Selector

NAME = "clairvoyant"


def clairvoyant(
    world: World, cases: Sequence[Case], selector_factory: Callable[[], Selector], *, seed: int, hold_s: float = 60.0,
    run_id: str = "run", until_s: float | None = None, explain: bool = False,
) -> Run:  # fmt: skip
    """Play the cases as `simulate` does; the selector only says who may be asked. `hold_s` is the platform's window."""
    oracle = _Clairvoyant(world, cases, selector_factory(), seed=seed, run_id=run_id, hold_s=hold_s, explain=explain)
    return oracle.run(until_s)


class _Clairvoyant(Simulator):
    def __init__(
        self, world: World, cases: Sequence[Case], selector: Selector, *, seed: int, run_id: str, hold_s: float,
        explain: bool,
    ) -> None:  # fmt: skip
        super().__init__(world, cases, selector, seed=seed, run_id=run_id, explain=explain)
        self._hold_s = hold_s

    def _plan(self, now: float) -> None:  # noqa: ARG002 - the traffic decides who is awake
        self._plan_at = float("inf")

    def _decide(self, now: float, case: Case, request: Request) -> Decision:
        decision = super()._decide(now, case, request)
        able = [c for c in decision.alternatives if not c.verdict and c.variant.name in self._stations]
        if not able:
            return decision
        chosen = min(able, key=lambda candidate: self._rank(now, case, candidate))
        return decision._replace(chosen=chosen, policy=NAME, hedge_at=None)

    def _rank(self, now: float, case: Case, candidate: Candidate) -> tuple[bool, float]:
        """Whether it will fail, and the GB-seconds that it costs: execution, hold, and the start it would cause."""
        station = self._stations[candidate.variant.name]
        request, truth = case.request, station.truth
        took = station.foreseen_s(case.luck, request.size_bytes, now)
        took += self._world.hop_s + truth.network_s.get(request.region, 0.0)
        late = request.deadline_at is not None and now + took > request.deadline_at
        memory_s = took if candidate.ready else took + self._hold_s
        return late or not self._is_right(case, station), memory_s * truth.memory_mb / 1000
