"""How many requests are simulated in a second of thread CPU: four variants, the default policy.

    python -m benchmarks.simulation

`langid-poisson-20` over 1,000 s, drawn once; median of five runs.
"""

import json
import statistics
import time

from warmfront.experiments.contenders import contender
from warmfront.experiments.scenarios import load
from warmfront.experiments.simulation.simulator import simulate

ROUNDS = 5


def rate() -> dict[str, float]:
    """Requests per second."""
    scenario, ours = load("langid-poisson-20", overrides=["duration_s=1000"]), contender("effective")
    cases = scenario.cases(0)
    rates = []
    for _ in range(ROUNDS):
        factory = ours.selector(scenario, 0)
        began = time.thread_time()
        run = simulate(scenario.world, cases, factory, seed=0, until_s=scenario.duration_s)
        rates.append(len(run.requests) / (time.thread_time() - began))
    return {"simulated_requests_per_s": statistics.median(rates)}


if __name__ == "__main__":
    print(json.dumps(rate()))
