"""`python -m benchmarks.choosing`: what choosing gains over the committed list of scenarios -> build/choosing.json.

Per scenario: the default policy; the same with the cheapest variant kept instead of a planned warm set; the best of all
other policies; the best static warm set in hindsight; the offline optimum. Differences are paired over seeds. `off` is
the largest gap between promised and realised share in time over the deciles that hold 1 % of the requests. What was run
before is not run again.
"""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from warmfront.cli.evaluation import Seeds
from warmfront.experiments import comparison, metrics
from warmfront.experiments.contenders import OPTIMUM
from warmfront.experiments.scenarios import Scenario, load
from warmfront.selection.policies import POLICIES

TARGET = Path("build/choosing.json")
OURS, SIMPLE = "effective", "effective@no-keep@keep:cheapest"
STATIC = "effective@no-plan"
MOST_KEPT = 2  # variants of a static warm set
SUITE = (
    *(f"langid-poisson-{rate}" for rate in ("0.003", "0.01", "0.03", "0.1", "1", "20")),
    *(f"langid-azure-{name}" for name in ("f199", "f276", "f107", "f406", "f120", "f431")),
    "langid-poisson-0.03-window-10", "langid-timer-300", "langid-timer-300-window-10", "langid-timer-900",
    "langid-timer-900-window-10", "langid-on-off", "langid-gamma", "langid-nasa", "langid-step",
    "langid-deadlines-tight", "langid-deadlines-loose", "langid-floor", "langid-8-selectors",
    "timm-poisson-0.02", "timm-poisson-0.2", "timm-on-off", "timm-poisson-20-tight", "timm-step", "llm-code",
    "drift-slows", "drift-worse", "drift-gone", "drift-new",
    "wrong-execution-0.25", "wrong-execution-4", "wrong-cold-start-0.25", "wrong-cold-start-4", "wrong-accuracies",
    "underrated",
    *(f"{family}-{use}-{place}" for family in ("thesis", "frontier") for use in ("scp", "mda", "psa", "env")
      for place in ("parity", "hyperlocal", "logical", "arbitrary")),
)  # fmt: skip

Runs = Mapping[str, Sequence[float]]  # utility per seed, by contender


def main() -> None:
    """Run what is asked for, print a line per scenario as it is done, write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choosing", description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=SUITE, help="all of the list when none is named")
    parser.add_argument("--seeds", default="100-109", help="a range, or how many from 0")
    parser.add_argument("--price", default="0.001", help="of a GB-second, in right answers in time")
    parser.add_argument("--policies", default="all", help="the others: all, or names with commas")
    parser.add_argument("--no-static", dest="static", action="store_false", help="without static warm sets")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="in every scenario")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    seeds: list[int] = Seeds()(options.seeds)
    others = sorted(set(POLICIES) - {OURS}) if options.policies == "all" else options.policies.split(",")
    figures = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    print(f"{'scenario':<30} {' '.join(f'{column:>7}' for column in (*_COLUMNS, 'off'))}  ours less the best")
    for name in options.scenarios:
        overrides = [] if name.startswith("thesis-") else [f"selector.price_per_gb_s={options.price}"]
        overrides += options.set
        key = ",".join([f"{name}@{options.price}", *options.set])
        figures[key] = one = _scenario(name, overrides, seeds, others, options)
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(json.dumps(figures, indent=1) + "\n")
        print(f"{name:<30} {_line(one)}", flush=True)


_COLUMNS = ("ours", "simple", "other", "static", "optimum")


def _line(one: Mapping[str, Any]) -> str:
    values = " ".join("      -" if one[key] is None else f"{one[key]:7.4f}" for key in (*_COLUMNS, "off"))
    best = one["less_best"]
    return f"{values}  {best['mean']:+.4f} [{best['low']:+.4f}, {best['high']:+.4f}] {one['best']}"


def _scenario(
    name: str, overrides: Sequence[str], seeds: list[int], others: Sequence[str], options: argparse.Namespace
) -> dict[str, Any]:
    scenario = load(name, overrides=overrides)
    static = _static(scenario) if options.static else []
    contenders = [OURS, SIMPLE, *others, *static, *([OPTIMUM] if _bounded(scenario) else [])]
    folder = Path("build/choosing") / "@".join([name, *overrides])
    utilities: dict[str, dict[int, float]] = {}
    promises: list[list[metrics.Bin]] = []
    results = comparison.compare(scenario, contenders, seeds, folder, overrides=overrides, workers=options.workers)
    for done, result in enumerate(results, 1):
        utilities.setdefault(result.policy, {})[result.seed] = result.summary.utility
        if result.policy == OURS:
            promises.append(result.calibration)
        if sys.stderr.isatty():
            print(
                f"\r{name}: {done} of {len(contenders) * len(seeds)} runs\033[K", end="\r", file=sys.stderr, flush=True
            )
    runs: Runs = {policy: [found[seed] for seed in seeds] for policy, found in utilities.items()}
    means = {policy: sum(values) / len(values) for policy, values in runs.items()}
    best_other, best_static = _best(means, others), _best(means, static)
    rival = _best(means, [SIMPLE, *others, *static])
    assert rival is not None
    deciles = metrics.pool(promises)

    def less(policy: str | None) -> dict[str, float] | None:
        """Ours less its, paired over seeds."""
        if policy is None or policy not in runs:
            return None
        found = metrics.interval([a - b for a, b in zip(runs[OURS], runs[policy], strict=True)])
        return {"mean": found.mean, "low": found.low, "high": found.high}

    return {
        "ours": means[OURS], "simple": means[SIMPLE], "other": best_other and means[best_other],
        "static": best_static and means[best_static], "optimum": means.get(OPTIMUM),
        "best_other": best_other, "best_static": best_static, "best": rival,
        "less_best": less(rival), "less_simple": less(SIMPLE), "less_other": less(best_other),
        "less_static": less(best_static), "less_optimum": less(OPTIMUM), "means": means,
        "off": _off(deciles), "deciles": [(one.requests, one.promised, one.realised) for one in deciles],
        "sources": scenario.sources, "seeds": seeds,
    }  # fmt: skip


def _off(deciles: Sequence[metrics.Bin]) -> float:
    """The largest gap of promise and reality where it matters."""
    whole = sum(one.requests for one in deciles)
    return max(abs(one.promised - one.realised) for one in deciles if one.requests >= whole / 100)


def _static(scenario: Scenario) -> list[str]:
    """Nobody, and every set of up to two variants, kept for the whole run; none where variants are many."""
    names = [truth.variant.name for truth in scenario.world.truths]
    if len(names) > 5:
        return []
    sets = [kept for size in range(1, MOST_KEPT + 1) for kept in itertools.combinations(names, size)]
    return [STATIC, *(f"{STATIC}@keep:{'+'.join(kept)}" for kept in sets)]


def _bounded(scenario: Scenario) -> bool:
    weights = any(phase.latency_weight for phase in scenario.file.objective)
    return not weights and not scenario.world.changes and not scenario.world.streams and len(scenario.order) <= 5


def _best(means: Mapping[str, float], names: Sequence[str]) -> str | None:
    return max(names, key=means.__getitem__, default=None)


if __name__ == "__main__":
    main()
