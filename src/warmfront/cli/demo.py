"""`warmfront demo`: the same inputs and deadlines under several policies, and the comparison."""

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from warmfront.cli.evaluation import PolicyOption
from warmfront.cli.options import STATE
from warmfront.errors import SetupError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID
    from rich.status import Status
    from rich.table import Table

    from warmfront.experiments.demo import Object, Progress, Row

_POLICIES = "effective,fastest,most-accurate,round-robin"


@click.command("demo")
@click.option(
    "--task", type=click.Choice(["langid", "digits"]), default="langid", show_default=True, help="What is asked."
)
@click.option(
    "--without", multiple=True, metavar="PACKAGE", help="Leave out variants that require it: --without tensorflow."
)
@click.option("--requests", type=click.IntRange(1, 100_000), default=400, show_default=True, help="Inputs per policy.")
@click.option("--seconds", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Time they arrive in.")
@click.option("--policies", cls=PolicyOption, default=_POLICIES, show_default=True, help="Which, in this order.")
@click.option("--seed", type=int, default=1, show_default=True, help="Draws arrivals, order of inputs and deadlines.")
@click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", help="Project folder."
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the table there."
)
def command(
    *,
    task: str,
    without: tuple[str, ...],
    requests: int,
    seconds: float,
    policies: str,
    seed: int,
    root: Path,
    json_file: Path | None,
) -> None:
    """Route labelled inputs to the variants of a task under several policies.

    langid: texts to four models that identify languages. digits: images of
    handwritten digits to models in plain Python, LiteRT, ONNX Runtime and
    TensorFlow; what these need and is not there is installed first, once,
    into .warmfront. All start at zero replicas; every policy gets the same
    arrivals, with deadlines of 0.2, 1, 3 and 15 s.
    """
    from rich.console import Console

    from warmfront.experiments.demo import manifests_for

    names = _known(policies)
    console = Console(highlight=False)
    root = root.resolve()
    manifests = _left(console, manifests_for(task, root), root, without)
    _build_missing(console, manifests, root)
    rows = asyncio.run(_run(console, task, manifests, names, requests=requests, seconds=seconds, seed=seed, root=root))
    console.print(_table(rows))
    for row in rows:
        shares = ", ".join(f"{name} {count}" for name, count in row.answered_by.items())
        console.print(f"{row.policy}: {shares or 'no answers'}", style="dim")
    if json_file is not None:
        import msgspec

        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")


def _known(policies: str) -> list[str]:
    """The names in a list of policies, all of which exist."""
    from warmfront.selection.policies import POLICIES

    names = [name.strip() for name in policies.split(",") if name.strip()]
    if unknown := [name for name in names if name not in POLICIES]:
        raise SetupError(f"unknown policies {', '.join(unknown)}; known are {', '.join(sorted(POLICIES))}")
    return names


def _left(console: "Console", manifests: list["Object"], root: Path, without: tuple[str, ...]) -> list["Object"]:
    """The manifests without the variants that require one of the packages."""
    from warmfront.experiments.demo import image_of, variants_of
    from warmfront.runtime.environments import find_folder, needs

    out = {
        package: [obj for obj in variants_of(manifests) if needs(find_folder(root, image_of(obj)), package)]
        for package in without
    }
    for package, variants in out.items():
        if not variants:
            raise SetupError(f"--without {package}: no variant here requires it; name a package of a requirements.txt")
        names = ", ".join(obj["metadata"]["name"] for obj in variants)
        console.print(f"without {package}: {names} left out")
    gone = [obj for variants in out.values() for obj in variants]
    return [obj for obj in manifests if obj not in gone]


def _build_missing(console: "Console", manifests: list["Object"], root: Path) -> None:
    """Make the environments that variants need and that are not there; says what, how long it took, and pip's lines."""
    from warmfront.experiments.demo import image_of, variants_of
    from warmfront.runtime.environments import Environments

    environments = Environments(root=root, state=root / STATE)
    for image in dict.fromkeys(image_of(obj) for obj in variants_of(manifests)):
        try:
            environments.resolve(image)
            continue
        except SetupError as error:
            said = f"{str(error).partition(';')[0]}; installing it, once (--without PACKAGE leaves a variant out)"
            console.print(said, markup=False, soft_wrap=True)
        began = time.monotonic()
        with console.status("installing ...") as status:
            asyncio.run(environments.build(image, partial(_installing, console, status)))
        environments.resolve(image)  # what is missing besides says so here, before anything starts
        console.print(f"installed in {time.monotonic() - began:.0f} s, kept in {root / STATE}", markup=False)


def _installing(console: "Console", status: "Status", line: str) -> None:
    """A line of pip's: in a terminal the newest stands beside the spinner, elsewhere the milestones are printed."""
    from rich.markup import escape

    if console.is_terminal:
        status.update(escape(line[: console.width - 4]))
    elif line.startswith(("Collecting", "Installing")):
        console.print(line.partition(" (from ")[0][:150], style="dim", markup=False, soft_wrap=True)


async def _run(
    console: "Console",
    task: str,
    manifests: list["Object"],
    policies: list[str],
    *,
    requests: int,
    seconds: float,
    seed: int,
    root: Path,
) -> "list[Row]":
    from warmfront.experiments.demo import Demo
    from warmfront.experiments.profiling.labelled import shipped
    from warmfront.experiments.workload import draw
    from warmfront.runtime.runtime import Runtime, RuntimeSettings

    inputs = shipped(task)
    arrivals = draw(inputs.samples, requests=requests, seconds=seconds, seed=seed)
    console.print(
        f"{requests} {'texts' if task == 'langid' else 'images'} in {seconds:g} s as CloudEvents through a Broker, "
        "per policy; all variants start at zero."
    )
    with tempfile.TemporaryDirectory(prefix="warmfront-demo-") as state, _Display(console, task) as changed:
        runtime = Runtime(RuntimeSettings(root=root, state=Path(state), port=0, api_port=0, built=root / STATE))
        await runtime.start()
        try:
            demo = Demo(runtime, manifests, arrivals, changed, task=task, content_type=inputs.content_type)
            return [await demo.run(policy) for policy in policies]
        finally:
            await runtime.stop()


class _Display:
    """Shows progress: a bar that moves in a terminal, a line per stage and every few seconds elsewhere."""

    def __init__(self, console: "Console", task: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = console
        self._prefix = f"{task}-"
        self._bar = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=16),
            TextColumn("{task.completed:>3.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said = ("", "", -1)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: "Progress") -> None:
        if self._console.is_terminal:
            if progress.policy not in self._tasks:
                self._tasks[progress.policy] = self._bar.add_task(progress.policy, total=progress.total, note="")
            note = progress.stage
            if progress.stage == "sending" and progress.variants:
                note = ", ".join(
                    f"{name.removeprefix(self._prefix)} {n}" for name, n in progress.variants.most_common()
                )
            self._bar.update(self._tasks[progress.policy], completed=progress.answered, note=note)
            return
        step = progress.sent * 4 // max(progress.total, 1)
        line = (progress.policy, progress.stage, step)
        if line != self._said:
            self._said = line
            self._console.print(
                f"{progress.policy}: {progress.stage}, {progress.sent} sent, {progress.answered} answered"
            )


def _table(rows: "list[Row]") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), header_style="bold")
    headings = ("policy", "on time", "correct", "correct and\non time", "cold\nwaits", "replica-\nseconds", "lost")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    best = max((row.correct_on_time for row in rows), default=0.0)
    for row in rows:
        table.add_row(
            row.policy,
            f"{row.on_time:.1%}",
            f"{row.correct:.1%}",
            f"{row.correct_on_time:.1%}",
            str(row.cold_waits),
            f"{row.replica_seconds:.0f}",
            str(row.unanswered),
            style="bold" if row.correct_on_time == best else None,
        )
    return table
