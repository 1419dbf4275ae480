"""POLICIES: name -> constructor. Build one with `POLICIES[name](rng=random.Random(seed))`."""

from warmfront.selection.policies.base import Policy
from warmfront.selection.policies.effective import Effective
from warmfront.selection.policies.simple import (
    Cheapest,
    Fastest,
    LeastInFlight,
    LowestNetworkLatency,
    MostAccurate,
    RandomChoice,
    RoundRobin,
    StaticBest,
)

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        Effective, RandomChoice, RoundRobin, Fastest, MostAccurate, Cheapest, StaticBest, LowestNetworkLatency,
        LeastInFlight,
    )
}  # fmt: skip

__all__ = ["POLICIES", "Policy"]
