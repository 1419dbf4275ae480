"""`warmfront experiment SCENARIO`: the scenario on a real Knative, and how far its simulation is from it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warmfront.cli.evaluation import FOLDER, PolicyOption, scenario_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from warmfront.experiments.live.cluster import Target
    from warmfront.experiments.live.dummies import Planned
    from warmfront.experiments.live.fidelity import Gap
    from warmfront.experiments.simulation.simulator import Run

_PLATFORMS = {"embedded": "laptop", "cluster": "cluster"}


@click.command("experiment")
@scenario_options
@click.option(
    "--target", type=click.Choice(["embedded", "cluster"]), default="embedded", show_default=True, help="Where."
)
@click.option(
    "--policy",
    cls=PolicyOption,
    default="effective",
    show_default=True,
    help="A policy, perhaps with @no-keep, @keep:cheapest.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws requests and chance.")
@click.option("--out", type=FOLDER, required=True, help="Folder for the records and fidelity.json.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Project folder, with knative/.  [default: .]",
)
@click.option(
    "-n", "--namespace", default="warmfront-experiment", show_default=True, help="On a cluster: made, and deleted."
)
@click.option("--registry", default="dev.local", show_default=True, help="On a cluster: where the images are.")
@click.option("--tag", default="v1", show_default=True, help="On a cluster: the images' tag.")
def command(
    *, scenario: str, overrides: tuple[str, ...], data: Path | None, target: str, policy: str, seed: int, out: Path,
    root: Path, namespace: str, registry: str, tag: str,
) -> None:  # fmt: skip
    """Play SCENARIO in real time, with dummy models as its variants, and simulate the same beside it.

    Start-up times are measured live and given to the simulation, so that what differs is how well queues, scaling and
    choices are modelled. Takes as long as the scenario says: choose one of minutes, such as live-bursts.
    """
    import msgspec
    from rich.console import Console

    from warmfront.experiments.contenders import contender
    from warmfront.experiments.live import fidelity
    from warmfront.experiments.live.cluster import Target
    from warmfront.experiments.live.dummies import Planned
    from warmfront.experiments.scenarios import load
    from warmfront.gateway.app import PLATFORM_START_S

    console = Console(highlight=False)
    loaded = load(scenario, data, overrides)
    planned = Planned(scenario=loaded, contender=contender(policy), seed=seed, root=root.resolve())
    console.print(f"{loaded.file.description}: {loaded.duration_s:g} s on the {target} platform.", markup=False)
    where = Target(namespace=namespace, registry=registry, tag=tag) if target == "cluster" else None
    live = asyncio.run(_live(console, planned, where))
    twin = fidelity.twin(planned, live, PLATFORM_START_S[_PLATFORMS[target]])
    gaps = fidelity.gaps(live, twin)
    _write(live, out / "live.jsonl")
    _write(twin, out / "simulated.jsonl")
    told = {"scenario": loaded.name, "policy": policy, "seed": seed, "target": target, "gaps": gaps}
    (out / "fidelity.json").write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
    console.print(_table(gaps))
    console.print(f"{len(live.requests)} requests; records and fidelity.json in {out}", style="dim", markup=False)


async def _live(console: "Console", planned: "Planned", target: "Target | None") -> "Run":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from warmfront.experiments.live import cluster, embedded

    columns = (TextColumn("answered"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=len(planned.inputs()))

        def changed(_sent: int, answered: int) -> None:
            bar.update(task, completed=answered)

        if target is None:
            return await embedded.run(planned, changed)
        return await cluster.run(planned, target, changed)


def _write(run: "Run", path: Path) -> None:
    from warmfront.telemetry.records import RecordFile

    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    records = RecordFile(path)
    for request in run.requests:
        records.write(request)
    for replica in run.replicas:
        records.write(replica)
    records.close()


def _table(gaps: "Sequence[Gap]") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("")
    for heading in ("live", "simulated", "gap", "relative"):
        table.add_column(heading, justify="right")
    for one in gaps:
        share = one.figure not in {"replica-seconds", "GB-seconds per request"}
        values = [f"{value:.1%}" if share else f"{value:.2f}" for value in (one.live, one.simulated, one.gap)]
        table.add_row(one.figure, *values, "-" if one.relative is None else f"{one.relative:+.1%}")
    return table
