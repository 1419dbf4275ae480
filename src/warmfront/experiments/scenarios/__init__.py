"""Scenarios: `load(name)` gives a world and, per seed, the requests. The files are in data/scenarios."""

from warmfront.experiments.scenarios.files import names
from warmfront.experiments.scenarios.scenario import Scenario, load

__all__ = ["Scenario", "load", "names"]
