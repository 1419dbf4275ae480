"""`warmfront profile TASK`: measure its variants where they run, and declare what was found."""

import asyncio
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warmfront.cli.api import connected, environment
from warmfront.cli.evaluation import FOLDER
from warmfront.cli.options import Duration
from warmfront.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from warmfront.domain import Profile
    from warmfront.experiments.profiling.labelled import Labelled
    from warmfront.experiments.profiling.profiler import Progress, Wanted
    from warmfront.experiments.profiling.session import Measured


@click.command("profile")
@click.argument("task")
@click.option("--data", type=click.Path(path_type=Path), help="CSV of labelled inputs.  [default: what ships]")
@click.option(
    "--input-column", default="", help="Column of inputs; NAME_base64 is decoded.  [default: input, input_base64]"
)
@click.option("--label-column", default="label", show_default=True, help="Column of right answers.")
@click.option("--by", "group_column", default="", help="Also tell the accuracy by the values of this column.")
@click.option("--content-type", default="", help="Of an input.  [default: text/plain, or octets]")
@click.option("--variants", default="", help="Only these, separated by commas.")
@click.option("--starts", type=click.IntRange(1), default=5, show_default=True, help="Cold starts per variant.")
@click.option("--start-timeout", type=Duration(), default="120s", show_default=True, help="Then a start has failed.")
@click.option("--out", type=FOLDER, default="build/profile", show_default=True, help="Folder of all measurements.")
@click.option("--write", "manifest", type=click.Path(exists=True, path_type=Path), help="Manifests to write into.")
@click.option("--apply", is_flag=True, help="Write the annotations into the Services.")
@click.option("-n", "--namespace", help="Namespace of the variants.  [default: the kubeconfig's]")
def command(
    *, task: str, data: Path | None, input_column: str, label_column: str, group_column: str, content_type: str,
    variants: str, starts: int, start_timeout: float, out: Path, manifest: Path | None, apply: bool,
    namespace: str | None,
) -> None:  # fmt: skip
    """Measure every variant of TASK where it runs: cold starts, warm latency, accuracy and memory.

    Interrupted, the same command goes on where it stopped; a new revision of a variant is measured anew. The first
    start of a variant fills the node's file cache and is not counted.

    Such as: warmfront profile langid --data labelled.csv --apply
    """
    from rich.console import Console

    from warmfront.experiments.profiling import labelled
    from warmfront.experiments.profiling.profiler import Wanted

    console = Console(highlight=False)
    if data is None:
        inputs = labelled.shipped(task, group_column)
    else:
        columns = {"input_column": input_column, "label_column": label_column, "group_column": group_column}
        inputs = labelled.read(data, content_type=content_type, **columns)
    names = [name.strip() for name in variants.split(",") if name.strip()]
    wanted, folder = Wanted(starts=starts, start_timeout_s=start_timeout), out / task
    work = _measure(
        console, task, names=names, inputs=inputs, wanted=wanted, folder=folder, namespace=namespace, apply=apply
    )
    try:
        measured = asyncio.run(work)
    except KeyboardInterrupt:
        console.print(f"stopped; the same command goes on from {folder}", markup=False, soft_wrap=True)
        raise SystemExit(130) from None
    _show(console, task, measured, inputs, folder)
    if manifest is not None:
        _write(console, manifest, {one.variant: profile for one, profile in measured.found})
    if apply:
        console.print(f"declared in the Services of {len(measured.found)} variants", style="dim")
    if measured.troubles:
        raise SystemExit(1)


async def _measure(
    console: "Console", task: str, *, names: list[str], inputs: "Labelled", wanted: "Wanted", folder: Path,
    namespace: str | None, apply: bool,
) -> "Measured":  # fmt: skip
    from warmfront.experiments.profiling.session import measure
    from warmfront.experiments.profiling.site import Site
    from warmfront.kube.connection import Connection

    connection = Connection.load(environment())
    async with connected(connection) as client:
        site = Site(client, namespace or connection.namespace)
        with _shown(console) as changed:
            measured = await measure(
                site, task, names=names, data=inputs, wanted=wanted, folder=folder, changed=changed
            )
        if apply:
            for one, profile in measured.found:
                await site.declare(measured.services[one.variant], profile)
        return measured


@contextmanager
def _shown(console: "Console") -> "Iterator[Callable[[Progress], None]]":
    """A bar with the time that remains in a terminal, a line per stage of a variant elsewhere."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description:<34.34}"), BarColumn(bar_width=16), TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[left]}"),
    )  # fmt: skip
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None, left="")
        said = ""

        def changed(progress: "Progress") -> None:
            nonlocal said
            line = f"{progress.variant}: {progress.stage}"
            left = (
                f"{progress.remaining_s / 60:.0f} min left"
                if progress.remaining_s >= 90
                else (f"{progress.remaining_s:.0f} s left")
            )
            bar.update(task, description=line, completed=progress.share, total=1.0, left=left)
            if not console.is_terminal and line != said and progress.stage != "waiting for zero":
                console.print(f"{line}, {left}", style="dim", markup=False)
            said = line

        yield changed


def _show(console: "Console", task: str, measured: "Measured", inputs: "Labelled", folder: Path) -> None:
    from warmfront.cli import profile_tables
    from warmfront.experiments.profiling.front import dominated, point

    figures = [one for one, _ in measured.found]
    console.print(f"{len(inputs.samples)} labelled inputs of {inputs.source}", style="dim", markup=False)
    if figures:
        points = [place for one in figures if (place := point(one)) is not None]
        beaten = dominated(points)
        console.print(profile_tables.front(figures, {one.variant: one.by for one in beaten}))
        for one in beaten:
            better = " and ".join(one.better)
            console.print(
                f"{one.variant} is dominated: {one.by} has better {better}, and nothing is clearly worse", markup=False
            )
        for title, table in profile_tables.details(figures):
            console.print(f"\n{title}", style="bold")
            console.print(table)
        _draw(console, folder / "front.svg", task, points, [one.variant for one in beaten])
    for name, note in measured.notes.items():
        console.print(f"{name}: {note}", style="yellow", markup=False)
    for name, trouble in measured.troubles.items():
        console.print(f"{name}: not measured: {' '.join(trouble.split())}", style="red", markup=False)
    if not figures:
        raise SetupError(f"none of the variants of {task} could be measured")


def _draw(console: "Console", path: Path, task: str, points: list, beaten: list[str]) -> None:  # type: ignore[type-arg]
    if not points:
        return
    try:
        from warmfront.experiments.profiling.drawing import front
    except ImportError:
        console.print("no picture: it needs matplotlib; pip install 'warmfront[report]'", style="yellow", markup=False)
        return
    front(path, task, points, beaten)
    console.print(f"{path}; rows, figures and tables are beside it", style="dim", markup=False, soft_wrap=True)


def _write(console: "Console", manifest: Path, profiles: "dict[str, Profile]") -> None:
    from warmfront.experiments.profiling.manifest import write

    places = write(manifest, profiles)
    for name in profiles:
        where = places.get(name)
        console.print(f"{name}: {where or 'no manifest found'}", style="dim" if where else "yellow", markup=False)
