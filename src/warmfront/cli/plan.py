"""`warmfront plan TASK|VARIANTS.csv`: which variants to keep warm and how they should scale, by a trace."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from warmfront.cli.api import connected, environment
from warmfront.cli.evaluation import FOLDER, PolicyOption, Seeds
from warmfront.cli.options import Durations, Number
from warmfront.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from warmfront.experiments.planning.candidates import Candidate, Setting
    from warmfront.experiments.planning.search import Plan
    from warmfront.experiments.profiling.site import Subject
    from warmfront.experiments.scenarios import Scenario

_SEARCH_SEEDS = (0, 1)
_LONG_S = 600.0


@click.command("plan")
@click.argument("subject", metavar="TASK|VARIANTS.csv")
@click.option(
    "--arrivals",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV: arrival_s; second, requests; or function, minute, invocations.",
)
@click.option("--function", default="", help="Which one of a trace that counts by function.")
@click.option("--from", "from_s", type=Number(0), default=0.0, help="Second of the trace to begin at.")
@click.option("--duration", "duration_s", type=Number(1), help="Seconds of it to play.  [default: all]")
@click.option("--deadline", "deadlines", type=Durations(), help="One or several, equally likely: 200ms,1s.")
@click.option("--min-accuracy", type=Number(0, 1), help="Floor of every request.")
@click.option("--on-miss", type=click.Choice(["degrade", "reject"]), default="degrade", show_default=True)
@click.option(
    "--price",
    type=Number(0),
    default=0.001,
    show_default=True,
    help="Of a GB-second, in right answers in time.",
)
@click.option("--policy", cls=PolicyOption, default="effective@no-keep", show_default=True, help="How is chosen.")
@click.option(
    "--seeds",
    type=Seeds(),
    default="100-104",
    show_default=True,
    help="On which the best are judged; a gain on fewer than 5 is not taken for real.",
)
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Change a field of the scenario.")
@click.option("--profiles", type=FOLDER, default="build/profile", show_default=True, help="Where profile measured.")
@click.option("--out", type=FOLDER, default="build/plan", show_default=True, help="Folder for scenario and manifests.")
@click.option("--workers", type=click.IntRange(1), help="Processes at once.  [default: one per core]")
@click.option("--apply", is_flag=True, help="Change the Services; each that changes gets a new Revision.")
@click.option("-n", "--namespace", help="Namespace of the variants.  [default: the kubeconfig's]")
def command(
    *, subject: str, arrivals: Path, function: str, from_s: float, duration_s: float | None,
    deadlines: tuple[float, ...] | None, min_accuracy: float | None, on_miss: str, price: float, policy: str,
    seeds: list[int], overrides: tuple[str, ...], profiles: Path, out: Path, workers: int | None, apply: bool,
    namespace: str | None,
) -> None:  # fmt: skip
    """Say which variants to keep warm, their windows and their concurrency, for the arrivals of a trace.

    Candidates are played by the simulator with the same requests and the same chance. Profiles come from what
    `warmfront profile` measured, else from the variants' annotations, or from a table.

    Such as: warmfront plan langid --arrivals trace.csv --deadline 200ms,1s
    """
    from rich.console import Console

    from warmfront.experiments.contenders import contender
    from warmfront.experiments.planning import inputs
    from warmfront.selection.policies import POLICIES

    console = Console(highlight=False)
    if (name := contender(policy).policy) not in POLICIES:
        raise SetupError(f"found policy {name!r}, which no selector runs; wanted one of {', '.join(sorted(POLICIES))}")
    task = _name(Path(subject)) if subject.endswith(".csv") else subject
    folder = out / task
    live: dict[str, Subject] = {}
    now: dict[str, Setting] = {}
    if subject.endswith(".csv"):
        if apply:
            raise SetupError(
                f"{subject}: a table has no Services to change; name the task instead, or leave --apply out"
            )
        measured = inputs.from_table(Path(subject), folder)
    else:
        live, now = asyncio.run(_find(console, task, namespace))
        measured, lacking = inputs.from_variants([one.variant for one in live.values()], profiles / task, folder)
        for name, missing in lacking.items():
            console.print(f"{name}: left out: not measured, and its profile lacks {missing}", style="yellow")
    trace = inputs.Arrivals(path=arrivals, function=function, from_s=from_s, duration_s=duration_s)
    objective = inputs.Objective(deadlines_s=deadlines or (), min_accuracy=min_accuracy, on_miss=on_miss)
    scenario = inputs.scenario(folder, task, trace, objective, price=price, measured=measured, overrides=overrides)
    _introduce(console, scenario, measured=measured)
    where = _Where(scenario, arrivals.resolve().parent, overrides, workers or os.cpu_count() or 1)
    try:
        plan, present = _search(console, where, now, policy=policy, seeds=seeds)
    except KeyboardInterrupt:
        click.echo("stopped; no run is kept, the same command begins anew", err=True)
        raise SystemExit(130) from None
    _conclude(console, plan, present, where, live=live, apply=apply, namespace=namespace)


def _name(table: Path) -> str:
    """What a table's task is called: by its name, or, as `profile` writes it, by its folder's."""
    return table.resolve().parent.name if table.stem == "variants" else table.stem


async def _find(
    console: "Console", task: str, namespace: str | None
) -> "tuple[dict[str, Subject], dict[str, Setting]]":
    """The task's variants and how they scale now, by name; who is not available is named and left out."""
    from warmfront.experiments.planning.advice import setting_of
    from warmfront.experiments.profiling.site import Site
    from warmfront.kube.connection import Connection

    connection = Connection.load(environment())
    async with connected(connection) as client:
        site = Site(client, namespace or connection.namespace)
        found = await site.find(task)
        for name, trouble in found.troubles.items():
            console.print(f"{name}: left out: {' '.join(trouble.split())}", style="yellow", markup=False)
        if not found.subjects:
            raise SetupError(f"none of the variants of {task} is available")
        live = {one.variant.name: one for one in found.subjects}
        return live, {name: setting_of(await site.service(one.service)) for name, one in live.items()}


def _introduce(console: "Console", scenario: "Scenario", *, measured: bool) -> None:
    count, length_s = len(scenario.arrivals(0)), scenario.duration_s
    length = f"{length_s / 3600:.2f} h" if length_s >= _LONG_S else f"{length_s:.0f} s"
    console.print(
        f"{count} requests in {length} of {Path(scenario.sources['arrivals']).name}; "
        f"variants as {'measured' if measured else 'declared'}", markup=False,
    )  # fmt: skip
    if not measured:
        start = scenario.file.platform.start_p50_s
        console.print(
            f"the platform's share of a start is taken to be {start:g} s (change it: --set platform.start_p50_s=...), "
            "and limits of concurrency stay, since nobody measured what they cost",
            style="dim", markup=False,
        )  # fmt: skip


class _Where(NamedTuple):
    """What is played, with which data folder and overrides, in how many processes."""

    scenario: "Scenario"
    data: Path
    overrides: tuple[str, ...]
    workers: int


def _search(
    console: "Console", where: _Where, now: "dict[str, Setting]", *, policy: str, seeds: list[int]
) -> "tuple[Plan, Candidate]":
    from warmfront.experiments.planning import candidates
    from warmfront.experiments.planning.search import expected_runs, search
    from warmfront.experiments.planning.trials import Stage, processes

    scenario = where.scenario
    present = candidates.present(scenario)
    if now:
        present = candidates.Candidate.of({name: now[name] for name, _ in present.settings})
    concurrency = any(truth.slowdown_s for truth in scenario.world.truths)
    total = expected_runs(len(present.settings), len(_SEARCH_SEEDS), len(seeds), concurrency=concurrency)
    with processes(where.workers) as executor, _shown(console, total) as played:
        stage = Stage(scenario, where.data, where.overrides, executor, played=played)
        return search(
            stage, present, policy=policy, seeds=_SEARCH_SEEDS, final_seeds=seeds, concurrency=concurrency
        ), present


@contextmanager
def _shown(console: "Console", total: int) -> "Iterator[Callable[[int], None]]":
    """A bar with the time that remains in a terminal, a line per quarter elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.completed:.0f} runs"),
        TimeRemainingColumn(),
    )  # fmt: skip
    done = 0
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("simulating", total=total)

        def played(runs: int) -> None:
            nonlocal done
            done += runs
            bar.update(task, completed=done, total=max(total, done))
            if not console.is_terminal and done * 4 // total > (done - runs) * 4 // total:
                console.print(f"{done} of about {total} runs", style="dim")

        yield played


def _conclude(
    console: "Console", plan: "Plan", present: "Candidate", where: _Where, *,
    live: "dict[str, Subject]", apply: bool, namespace: str | None,
) -> None:  # fmt: skip
    import yaml

    from warmfront.cli import plan_tables
    from warmfront.experiments.planning import advice

    scenario = where.scenario
    per_day = len(scenario.arrivals(0)) * 86_400 / scenario.duration_s
    wanted = plan.best.trial.candidate
    console.print(plan_tables.standings(plan, per_day))
    console.print(plan_tables.variants(plan.best, present))
    for line in plan_tables.verdict(plan):
        console.print(line, markup=False)
    services = {name: live[name].service if name in live else name for name, _ in wanted.settings}
    changed = advice.changes(present, wanted) if plan.pays else {}
    for name, setting in changed.items():
        console.print(advice.kn(services[name], setting, namespace or ""), markup=False, soft_wrap=True)
    file = scenario.path.with_name("plan.yaml")
    parts = [advice.manifest(services[name], one) for name, one in wanted.settings]
    file.write_text(yaml.safe_dump_all(parts, sort_keys=False), encoding="utf-8")
    for line in (
        f"{file}: the best as manifests",
        f"the scenario: warmfront compare {scenario.path} --data {where.data}",
    ):
        console.print(line, style="dim", markup=False, soft_wrap=True)
    if apply:
        asyncio.run(_apply({services[name]: setting for name, setting in changed.items()}, namespace))
        console.print(f"changed {len(changed)} Services" if changed else "nothing changed", style="dim")


async def _apply(changed: "dict[str, Setting]", namespace: str | None) -> None:
    from warmfront.experiments.planning.advice import patch
    from warmfront.experiments.profiling.site import Site
    from warmfront.kube.connection import Connection

    connection = Connection.load(environment())
    async with connected(connection) as client:
        site = Site(client, namespace or connection.namespace)
        for service, setting in changed.items():
            await site.change(service, patch(setting))
