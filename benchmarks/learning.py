"""`python -m benchmarks.learning`: what wrong profiles cost, and for how long -> build/learning.json.

The default policy plays each scenario with wrong profiles and the same one with true profiles: the same requests, the
same chance. Printed is the share of answers right and in time that is lost over the whole run, and after how many
requests no more than 0.02 is lost in all that follow, to a twenty-fourth of the run.
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from warmfront.cli.evaluation import Seeds
from warmfront.experiments import comparison, metrics
from warmfront.experiments.metrics import Part
from warmfront.experiments.scenarios import Scenario, load

TARGET = Path("build/learning.json")
OURS = "effective"
MOST_LOST = 0.02
SUITE = (
    "wrong-execution-0.25", "wrong-execution-4", "wrong-cold-start-0.25", "wrong-cold-start-4", "wrong-accuracies",
    "underrated",
)  # fmt: skip


def main() -> None:
    """Run what is asked for, print a line per scenario as it is done, write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=SUITE, help="all of the list when none is named")
    parser.add_argument("--seeds", default="100-109", help="a range, or how many from 0")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="in every scenario")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    seeds: list[int] = Seeds()(options.seeds)
    figures: dict[str, object] = {}
    print(f"{'scenario':<24} {'wrong':>7} {'true':>7} {'lost, with interval':>27} {'after':>7} {'lost then':>9}")
    for name in options.scenarios:
        wrong = _play(load(name, overrides=options.set), options.set, seeds, options.workers)
        true = _play(load(name, overrides=[*options.set, "declared=[]"]), [*options.set, "declared=[]"], seeds,
                     options.workers)  # fmt: skip
        pairs = zip(wrong, true, strict=True)
        lost = metrics.interval([b.summary.effective_accuracy - a.summary.effective_accuracy for a, b in pairs])
        after, then = _learned(*(metrics.pool_parts([run.over_time for run in runs]) for runs in (wrong, true)))
        requests = None if after is None else round(after / len(seeds))
        figures[name] = {"lost": lost.mean, "low": lost.low, "high": lost.high, "after": requests, "lost_then": then}
        shares = [sum(run.summary.effective_accuracy for run in runs) / len(runs) for runs in (wrong, true)]
        told = "never" if requests is None else requests
        interval = f"{lost.mean:+.4f} [{lost.low:+.4f}, {lost.high:+.4f}]"
        print(
            f"{name:<24} {shares[0]:7.4f} {shares[1]:7.4f} {interval:>27} {told:>7} {then:+9.4f}",
            flush=True,
        )
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(figures, indent=1) + "\n")


def _play(scenario: Scenario, overrides: Sequence[str], seeds: list[int], workers: int) -> list[comparison.Result]:
    folder = Path("build/learning") / "@".join([scenario.name, *overrides])
    results = comparison.compare(scenario, [OURS], seeds, folder, overrides=overrides, workers=workers)
    return sorted(results, key=lambda result: result.seed)


def _learned(wrong: Sequence[Part], true: Sequence[Part]) -> tuple[int | None, float]:
    """After how many requests, of all seeds, at most `MOST_LOST` is lost on average in what follows; and how much.

    None if that never comes; then what is lost in the last part.
    """
    lost = [(b.effective_accuracy - a.effective_accuracy) * a.requests for a, b in zip(wrong, true, strict=True)]
    requests = [part.requests for part in wrong]
    shares = [sum(lost[i:]) / sum(requests[i:]) for i in range(len(lost))]
    first = next((i for i, share in enumerate(shares) if share <= MOST_LOST), None)
    return (None, shares[-1]) if first is None else (sum(requests[:first]), shares[first])


if __name__ == "__main__":
    main()
