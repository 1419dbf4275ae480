"""`warmfront compare SCENARIO`: policies with the same requests, seed by seed; a table, summary.json and a report."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warmfront.cli.evaluation import FOLDER, PolicyOption, Seeds, counted, scenario_options
from warmfront.errors import SetupError

if TYPE_CHECKING:
    from rich.console import Console

    from warmfront.experiments.comparison import Comparison, Result

_POLICIES = "effective,effective@no-keep@keep:cheapest,fastest,most-accurate,round-robin,random"


@click.command("compare")
@scenario_options
@click.option(
    "--policies",
    cls=PolicyOption,
    default=_POLICIES,
    show_default=True,
    help="Which; also cocktail, a vote of several variants, and the oracles clairvoyant and offline-optimum.",
)
@click.option("--seeds", type=Seeds(), default="10", show_default=True, help="How many from 0, or a range: 100-109.")
@click.option("--out", type=FOLDER, required=True, help="Folder for summary.json, report.html and all runs.")
@click.option("--workers", type=click.IntRange(1), help="Processes at once.  [default: one per core]")
@click.option("--plots", type=click.Choice(["png", "svg"]), multiple=True, help="Also write each plot to a file.")
def command(
    *, scenario: str, overrides: tuple[str, ...], data: Path | None, policies: str, seeds: list[int], out: Path,
    workers: int | None, plots: tuple[str, ...],
) -> None:  # fmt: skip
    """Compare policies on SCENARIO: the same requests and the same chance for all, seed by seed.

    SCENARIO is a shipped name, such as langid-poisson-0.01, or a scenario.toml of your own. A comparison that was
    interrupted goes on where it stopped. Intervals are bootstrap intervals of 95 % over seeds, those of regret over
    the differences seed by seed; one seed has none.
    """
    from rich.console import Console

    from warmfront.cli.standings import standings
    from warmfront.experiments import comparison
    from warmfront.experiments.scenarios import load

    console = Console(highlight=False)
    loaded = load(scenario, data, overrides)
    names = list(dict.fromkeys(name.strip() for name in policies.split(",") if name.strip()))
    if not names:
        raise SetupError(f"--policies: found {policies!r}, wanted names such as effective,fastest")
    for seed in seeds:
        loaded.arrivals(seed)  # raises when there are none, before anything runs
    console.print(f"{loaded.file.description}.", markup=False)
    for what, source in loaded.sources.items():
        console.print(f"{what}: {source}", style="dim", markup=False)
    runs = comparison.compare(
        loaded, names, seeds, out, overrides=overrides, data=data, workers=workers or os.cpu_count() or 1
    )
    try:
        results = _shown(console, runs, len(names) * len(seeds))
        summary = comparison.summarise(loaded, overrides, results)
        comparison.write(summary, out)
        console.print(standings(summary))
        console.print(f"{counted(len(seeds))}; regret against {summary.reference}; {out / 'summary.json'}", style="dim")
        _report(console, summary, results, out, plots)
    except KeyboardInterrupt:
        console.print(f"stopped; the same command goes on from {out}", markup=False, soft_wrap=True)
        raise SystemExit(130) from None


def _shown(console: "Console", runs: "Iterable[Result]", total: int) -> "list[Result]":
    """All results, with a bar that moves in a terminal and a line per quarter elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    results: list[Result] = []
    columns = (
        TextColumn("{task.description:<28.28}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("runs", total=total)
        for result in runs:
            results.append(result)
            bar.update(task, advance=1, description=result.policy)
            if not console.is_terminal and len(results) * 4 // total > (len(results) - 1) * 4 // total:
                console.print(f"{len(results)} of {total} runs", style="dim")
    return results


def _report(
    console: "Console", summary: "Comparison", results: "list[Result]", out: Path, plots: tuple[str, ...]
) -> None:
    try:
        from warmfront.experiments.report import write
    except ImportError:
        console.print("no report: it needs matplotlib; pip install 'warmfront[report]'", style="yellow", markup=False)
        return
    console.print(f"report: {write(summary, results, out, plots)}", style="dim", markup=False)
