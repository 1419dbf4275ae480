"""POLICIES: name -> constructor. Build one with `POLICIES[name](rng=random.Random(seed))`."""

from warmfront.selection.policies.base import Policy
from warmfront.selection.policies.clipper import Exp3
from warmfront.selection.policies.effective import Effective
from warmfront.selection.policies.infaas import Infaas, InfaasRepaired
from warmfront.selection.policies.infadapter import InfAdapter
from warmfront.selection.policies.llmd import Llmd
from warmfront.selection.policies.mulambda import MuLambda
from warmfront.selection.policies.ramsis import Ramsis, RamsisCold
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
from warmfront.selection.policies.slackfit import SlackFit
from warmfront.selection.policies.switching import ModelSwitching, RepairedModelSwitching
from warmfront.selection.policies.warmbest import WarmBest

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        Effective, RandomChoice, RoundRobin, Fastest, MostAccurate, Cheapest, StaticBest, LowestNetworkLatency,
        LeastInFlight, MuLambda, Infaas, InfaasRepaired, ModelSwitching, RepairedModelSwitching, SlackFit, Ramsis,
        RamsisCold, InfAdapter, Exp3, Llmd, WarmBest,
    )
}  # fmt: skip

__all__ = ["POLICIES", "Policy"]
