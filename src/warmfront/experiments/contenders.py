"""Who is compared: a policy by name, and what is done to it, as in `effective@no-keep@keep:cheapest`.

    POLICY             as it runs live, with all it does in the background
    @no-keep           it may start variants in the background but keep none beyond the platform's window
    @no-plan           it does nothing but choose
    @hedge             a second variant is asked beside one that may not answer in time
    @keep:A+B          an operator keeps one replica of these by min-scale, whatever the policy does; `cheapest` is the
                       variant with the least memory, `all` is every one
    cocktail           several variants answer every request and vote: a model beside the simulator (cocktail.py)
    clairvoyant        an oracle: sees how this request would end with each variant, and nothing of the next one
    offline-optimum    an oracle: the best that could have been done with all arrivals known; it makes no rows

The last three take none of this, but for `clairvoyant@keep:A+B`. What must not live here: judging.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from warmfront.errors import SetupError
from warmfront.experiments.cocktail import NAME as COCKTAIL
from warmfront.experiments.cocktail import cocktail
from warmfront.experiments.oracles.clairvoyant import NAME as CLAIRVOYANT
from warmfront.experiments.oracles.clairvoyant import clairvoyant
from warmfront.experiments.scenarios import Scenario
from warmfront.experiments.simulation.simulator import Run, simulate
from warmfront.experiments.simulation.world import Truth, World
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector, SelectorSettings

OPTIMUM = "offline-optimum"
BESIDE = (COCKTAIL, CLAIRVOYANT, OPTIMUM)  # they are compared as well, and no selector runs them
_OPTION = re.compile("@(?=(?:no-keep|no-plan|hedge)(?:@|$)|keep:)")
_OPTIONS = "@no-keep, @no-plan, @hedge or @keep:VARIANT+VARIANT"
_TAKES = {COCKTAIL: (), CLAIRVOYANT: ("keep",), OPTIMUM: ()}  # which options do anything; with a policy all do
_SOME = ("cheapest", "all")
_MIN_SCALE = "autoscaling.knative.dev/min-scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One that is compared. `kept` are names of variants, `cheapest` or `all`."""

    name: str
    policy: str
    kept: tuple[str, ...] = ()
    may_keep: bool = True
    may_plan: bool = True
    hedge: bool = False

    def world(self, scenario: Scenario) -> World:
        """The scenario's world, with what this contender's operator keeps."""
        if not self.kept:
            return scenario.world
        truths = scenario.world.truths
        names = {truth.variant.name for truth in truths}
        kept = set(self.kept)
        if unknown := sorted(kept - names - set(_SOME)):
            wanted = f"some of {', '.join([*sorted(names), *_SOME])}"
            more = f"; or, after an @, {_OPTIONS}" if "@" in "".join(unknown) else ""
            raise SetupError(f"{self.name}: found {', '.join(unknown)}, wanted {wanted}{more}")
        if "all" in kept:
            kept = set(names)
        if "cheapest" in kept:
            kept = kept - {"cheapest"} | {min(truths, key=lambda truth: truth.memory_mb).variant.name}
        return replace(scenario.world, truths=tuple(_kept(t) if t.variant.name in kept else t for t in truths))

    def settings(self, scenario: Scenario) -> SelectorSettings:
        """What its selectors are told."""
        settings = scenario.settings
        return replace(
            settings, may_keep=settings.may_keep and self.may_keep, dry_run=settings.dry_run or not self.may_plan,
            hedge=settings.hedge or self.hedge,
        )  # fmt: skip

    def selector(self, scenario: Scenario, seed: int) -> Callable[[], Selector]:
        """Makes its selectors, each with a stream of chance of its own. SetupError where no selector runs it.

        The clairvoyant's only says who may be asked, as `effective` would.
        """
        chance = Random(f"{seed}/policy")
        settings = self.settings(scenario)
        name = "effective" if self.policy == CLAIRVOYANT else self.policy
        if name not in POLICIES:
            raise SetupError(f"{self.name}: found no policy of a selector, wanted one of {', '.join(POLICIES)}")
        policy = POLICIES[name]
        return lambda: Selector(policy=policy(rng=Random(chance.random())), settings=settings)

    def play(self, scenario: Scenario, seed: int, *, explain: bool = False) -> Run:
        """One run of the scenario; with `explain` every decision is a row. SetupError where there are none."""
        if self.policy == OPTIMUM:
            raise SetupError(
                f"found {OPTIMUM}, which makes no rows, wanted a policy; `warmfront compare` has its figures"
            )
        world, cases, run_id = self.world(scenario), scenario.cases(seed), f"{scenario.name}/{self.name}/{seed}"
        if self.policy == COCKTAIL:
            if explain:
                raise SetupError(f"found {COCKTAIL}, wanted a policy that decides: its members all answer")
            return cocktail(world, cases, seed=seed, run_id=run_id, until_s=scenario.duration_s)
        selector = self.selector(scenario, seed)
        if self.policy == CLAIRVOYANT:
            hold_s = float(scenario.file.platform.window_s)
            return clairvoyant(
                world, cases, selector, seed=seed, hold_s=hold_s, run_id=run_id, until_s=scenario.duration_s,
                explain=explain,
            )  # fmt: skip
        return simulate(world, cases, selector, seed=seed, run_id=run_id, until_s=scenario.duration_s, explain=explain)


def contender(name: str) -> Contender:
    """The contender of that name. Raises SetupError with what there is."""
    policy, *options = _OPTION.split(name)  # the names of variants may have an @ in them
    known = [*sorted(POLICIES), *BESIDE]
    policy, at, option = policy.partition("@")
    if at:
        raise SetupError(f"{name}: found @{option}, wanted {_OPTIONS}")
    if policy not in known:
        raise SetupError(f"found policy {policy!r}, wanted one of {', '.join(known)}")
    _check(name, policy, options)
    made = Contender(name=name, policy=policy)
    for option in options:
        if option == "no-keep":
            made = replace(made, may_keep=False)
        elif option == "no-plan":
            made = replace(made, may_plan=False)
        elif option == "hedge":
            made = replace(made, hedge=True)
        else:
            made = replace(made, kept=tuple(option.removeprefix("keep:").split("+")))
    return made


def _check(name: str, policy: str, options: Sequence[str]) -> None:
    """SetupError for an option that would do nothing."""
    kinds = [option.partition(":")[0] for option in options]
    for kind, option in zip(kinds, options, strict=True):
        if kind not in _TAKES.get(policy, kinds):
            takes = " or ".join(f"{policy}@{one}:VARIANT+VARIANT" for one in _TAKES[policy])
            wanted = f"{policy} alone" + (f" or {takes}" if takes else "")
            raise SetupError(f"{name}: found @{option}, which does nothing to {policy}; wanted {wanted}")
        if kinds.count(kind) > 1:
            raise SetupError(f"{name}: found @{kind} {kinds.count(kind)} times, wanted it once")
        if kind == "keep" and "" in option.removeprefix("keep:").split("+"):
            raise SetupError(
                f"{name}: found @{option}, wanted names after it: @keep:VARIANT+VARIANT, @keep:cheapest or @keep:all"
            )


def _kept(truth: Truth) -> Truth:
    return replace(truth, annotations={**truth.annotations, _MIN_SCALE: "1"})
