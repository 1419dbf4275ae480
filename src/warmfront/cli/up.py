"""`warmfront up`: Knative on this machine, and a table of what it is doing."""

import asyncio
import contextlib
import json
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warmfront.cli.options import STATE
from warmfront.errors import SetupError

if TYPE_CHECKING:
    from rich.console import Console, Group

    from warmfront.runtime.runtime import Runtime

_REFRESH_S = 0.5
_READY_S = 20.0


@click.command("up")
@click.option("-f", "--filename", type=click.Path(path_type=Path), help="Manifests to apply.  [default: knative/]")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Ingress; 0: any free.")
@click.option(
    "--api-port", type=click.IntRange(0, 65535), default=0, show_default=True, help="API server; 0: any free."
)
@click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", help="Project folder."
)
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True, help="What is kept.")
@click.option(
    "--network", type=click.Path(exists=True, path_type=Path), help="File of latencies per region and variant."
)
@click.option("--watch", is_flag=True, help="Edit a function, get a new revision within seconds.")
@click.option("--plain", is_flag=True, help="Lines instead of a live table (always when not a terminal).")
def command(
    *,
    filename: Path | None,
    port: int,
    api_port: int,
    root: Path,
    state: Path,
    network: Path | None,
    watch: bool,
    plain: bool,
) -> None:
    """Run the embedded Knative, apply manifests and stay until Ctrl-C.

    `kn`, `kubectl` and `warmfront` then work against it: export KUBECONFIG=.warmfront/kubeconfig
    """
    import uvloop
    from rich.console import Console

    from warmfront.runtime.runtime import Runtime, RuntimeSettings

    console = Console(highlight=False)
    settings = RuntimeSettings(root=root.resolve(), state=state, port=port, api_port=api_port, network=network)
    manifests = filename or (root / "knative" if (root / "knative").is_dir() else None)
    live = console.is_terminal and not plain
    runtime = Runtime(settings, on_line=_printer(console))
    uvloop.run(_up(console, runtime, manifests, root, watch=watch, live=live))


def _printer(console: "Console") -> Callable[[str, str], None]:
    from rich.text import Text

    def print_line(revision: str, line: str) -> None:
        # as Text: options of a print hold for the live table that it moves, too
        console.print(Text(f"{revision}: {_message(line)}", style="dim"), soft_wrap=True)

    return print_line


def _message(line: str) -> str:
    """What a log line says; of a JSON line its message, with the severity when it is not the ordinary one."""
    try:
        entry = json.loads(line) if line.startswith("{") else None
    except ValueError:
        entry = None
    if not isinstance(entry, dict) or "message" not in entry:
        return line
    severity = entry.get("severity", "INFO")
    return str(entry["message"]) if severity == "INFO" else f"{severity} {entry['message']}"


async def _up(
    console: "Console", runtime: "Runtime", manifests: Path | None, root: Path, *, watch: bool, live: bool
) -> None:
    from warmfront.kube.files import load_manifests
    from warmfront.kube.resources import SERVICES
    from warmfront.runtime.readiness import wait_ready
    from warmfront.runtime.sources import SourceWatch

    objects = load_manifests(manifests) if manifests else []
    if manifests is None and not (runtime.settings.state / "objects.db").exists():
        raise _nothing_to_run(root)
    await runtime.start()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    tasks: list[asyncio.Task[None]] = []
    try:
        if manifests is None and not runtime.store.list(SERVICES, None)[0]:
            raise _nothing_to_run(root)
        for line in runtime.apply(objects):
            console.print(line, markup=False, soft_wrap=True)
        for line in await wait_ready(runtime.store, _READY_S):
            console.print(f"not ready: {line}", style="red", markup=False, soft_wrap=True)
        for line in (
            f"ingress   http://NAME.NAMESPACE.localhost:{runtime.addresses.port}",
            f"broker    {runtime.addresses.broker('default', 'default')}",
            f"kn        export KUBECONFIG={shlex.quote(str(runtime.kubeconfig))}",
        ):
            console.print(line, markup=False, soft_wrap=True)  # to be copied: never cut
        if watch:
            seen = SourceWatch(
                runtime.store,
                runtime.settings.root,
                lambda name, folder: console.print(f"{folder.name} edited: {name}"),
            )
            tasks.append(asyncio.create_task(seen.run()))
        tasks.append(asyncio.create_task(_show(console, runtime, live=live)))
        await _until(ended, tasks)
        console.print("draining ...")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runtime.stop()


def _nothing_to_run(root: Path) -> SetupError:
    return SetupError(
        f"found no manifests in {'.' if root == Path() else root}/knative; run it in the project's folder, "
        "or name it with --root or manifests with -f"
    )


async def _until(ended: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Until Ctrl-C, or until one of the tasks breaks: its error is raised."""
    waiting = asyncio.create_task(ended.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done:
        if task is not waiting and (error := task.exception()) is not None:
            raise error


async def _show(console: "Console", runtime: "Runtime", *, live: bool) -> None:
    if live:
        from rich.live import Live

        with Live(console=console, auto_refresh=False) as display:
            while True:
                display.update(_table(runtime), refresh=True)
                await asyncio.sleep(_REFRESH_S)
    said: dict[str, tuple[str, str]] = {}
    while True:
        for one in runtime.snapshot():
            state = (one.warmth.value, one.message)
            if said.get(one.name) != state:
                said[one.name] = state
                console.print(f"{one.name}: {one.message or one.warmth.value}", markup=False, soft_wrap=True)
        await asyncio.sleep(_REFRESH_S)


def _table(runtime: "Runtime") -> "Group":
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from warmfront.cli.tables import STYLES, milliseconds

    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("service", "state", "replicas", "in flight", "requests", "accuracy", "p50", "p95"):
        table.add_column(heading, justify="left" if heading in {"service", "state"} else "right", no_wrap=True)
    accuracies = _declared_accuracies(runtime)
    statuses = runtime.snapshot()
    for one in statuses:
        warmth = one.warmth.value
        accuracy = accuracies.get((one.namespace, one.name))
        table.add_row(
            one.name,
            "[red]not ready[/]" if one.message else f"[{STYLES[warmth]}]{warmth}[/]",
            f"{one.ready}+{one.starting}" if one.starting else str(one.ready),
            f"{one.in_flight}+{one.queued}" if one.queued else str(one.in_flight),
            str(one.requests),
            "" if accuracy is None else f"{accuracy:.1%}",
            "" if one.p50_s is None else milliseconds(one.p50_s * 1000),
            "" if one.p95_s is None else milliseconds(one.p95_s * 1000),
        )
    troubles = [Text(f" {one.name}: {one.message}", style="red") for one in statuses if one.message]
    return Group(table, *troubles)


def _declared_accuracies(runtime: "Runtime") -> dict[tuple[str, str], float | None]:
    from warmfront.errors import InvalidRequest
    from warmfront.kube.manifests import TASK_LABEL, variant_of
    from warmfront.kube.resources import SERVICES

    found: dict[tuple[str, str], float | None] = {}
    for service in runtime.store.list(SERVICES, None, labels=TASK_LABEL)[0]:
        with contextlib.suppress(InvalidRequest):  # the selector's /tasks says what is wrong with it
            found[service["metadata"]["namespace"], service["metadata"]["name"]] = variant_of(service).profile.accuracy
    return found
