"""What can be set of each variant, a whole setting as one value, and how a scenario looks under it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from warmfront.autoscaling import ScalingSpec
from warmfront.experiments.scenarios import Scenario
from warmfront.experiments.simulation.world import Truth

SCALING = "autoscaling.knative.dev/"
WINDOWS_S = (10, 30, 60, 120)
CONCURRENCIES = (1, 2, 4, 8)
MOST_SUBSETS = 5  # variants of which all subsets are tried; of more, the warm set grows one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How one variant scales: replicas that always are, the window in seconds, requests at once (0: no limit)."""

    min_scale: int = 0
    window_s: int = 60
    concurrency: int = 0

    @classmethod
    def read(cls, annotations: Mapping[str, str], concurrency: int) -> "Setting":
        """From Knative's annotations; what they do not say is Knative's default."""
        spec = ScalingSpec.from_annotations(annotations, concurrency)
        return cls(min_scale=spec.min_scale or 0, window_s=round(spec.stable_window_s), concurrency=concurrency)


@dataclass(frozen=True, slots=True)
class Candidate:
    """The settings of all variants, in the order of the scenario."""

    settings: tuple[tuple[str, Setting], ...]

    @classmethod
    def of(cls, settings: Mapping[str, Setting]) -> "Candidate":
        """From a mapping, in its order."""
        return cls(tuple(settings.items()))

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the variants that always have a replica, once per replica."""
        return tuple(name for name, one in self.settings for _ in range(one.min_scale))

    def keeping(self, kept: Mapping[str, int]) -> "Candidate":
        """With so many replicas of these always there, and none of the others."""
        return Candidate(tuple((name, replace(one, min_scale=kept.get(name, 0))) for name, one in self.settings))

    def windowed(self, window_s: int) -> "Candidate":
        """With this window for all."""
        return Candidate(tuple((name, replace(one, window_s=window_s)) for name, one in self.settings))

    def concurrent(self, concurrency: int) -> "Candidate":
        """With this limit for all."""
        return Candidate(tuple((name, replace(one, concurrency=concurrency)) for name, one in self.settings))

    def having(self, name: str, setting: Setting) -> "Candidate":
        """With this setting of one variant."""
        return Candidate(tuple((other, setting if other == name else one) for other, one in self.settings))

    def applied(self, scenario: Scenario) -> Scenario:
        """The scenario with these settings."""
        by_name = dict(self.settings)
        truths = tuple(_set(truth, by_name[truth.variant.name]) for truth in scenario.world.truths)
        return replace(scenario, world=replace(scenario.world, truths=truths))


def warm_sets(candidate: Candidate) -> Iterator[Candidate]:
    """Every subset of the variants kept with one replica, the smallest first."""
    names = [name for name, _ in candidate.settings]
    for size in range(len(names) + 1):
        for subset in combinations(names, size):
            yield candidate.keeping(dict.fromkeys(subset, 1))


def one_more(candidate: Candidate) -> Iterator[Candidate]:
    """The warm set with one replica more: of a variant not kept yet, or a second one of one that is."""
    kept = {name: one.min_scale for name, one in candidate.settings if one.min_scale}
    for name, _ in candidate.settings:
        yield candidate.keeping({**kept, name: kept.get(name, 0) + 1})


def present(scenario: Scenario) -> Candidate:
    """What the scenario itself says."""
    return Candidate.of(
        {
            truth.variant.name: Setting.read(truth.annotations, truth.variant.concurrency)
            for truth in scenario.world.truths
        }
    )


def _set(truth: Truth, setting: Setting) -> Truth:
    annotations = {name: value for name, value in truth.annotations.items() if name != f"{SCALING}min-scale"}
    annotations[f"{SCALING}window"] = f"{setting.window_s}s"
    if setting.min_scale:
        most = int(annotations.get(f"{SCALING}max-scale", "0"))
        annotations[f"{SCALING}min-scale"] = str(min(setting.min_scale, most) if most else setting.min_scale)
    return replace(truth, annotations=annotations, variant=replace(truth.variant, concurrency=setting.concurrency))
