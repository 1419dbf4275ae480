"""POLICIES: name -> constructor. Build one with `POLICIES[name](rng=random.Random(seed))`."""

from warmfront.selection.policies.base import Policy
from warmfront.selection.policies.baselines import Fastest, MostAccurate, RandomChoice, RoundRobin
from warmfront.selection.policies.effective import Effective

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (Effective, RandomChoice, RoundRobin, Fastest, MostAccurate)
}

__all__ = ["POLICIES", "Policy"]
