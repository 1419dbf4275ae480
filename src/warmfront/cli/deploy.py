"""`warmfront deploy`: everything in knative/ onto a cluster, by kn, until all of it is Ready."""

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warmfront.cli.api import connected, environment
from warmfront.cli.evaluation import PolicyOption
from warmfront.errors import SetupError, WarmfrontError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from warmfront.kube.deployment import Changes, Part
    from warmfront.kube.rollout import Row


@click.command("deploy")
@click.option(
    "-f",
    "--filename",
    type=click.Path(path_type=Path),
    default="knative",
    show_default=True,
    help="Manifests: a YAML file or a folder, with or without a kustomization.",
)
@click.option("-n", "--namespace", help="Where to; created when missing.  [default: the kubeconfig's]")
@click.option("--dry-run", is_flag=True, help="Print the commands that do the same, change nothing.")
@click.option("--target", type=click.Path(file_okay=False, path_type=Path), help="Write files there, for GitOps.")
@click.option("--wait-timeout", type=click.IntRange(1), default=120, show_default=True, help="Seconds until Ready.")
@click.option("--min-scale", type=click.IntRange(0), help="Least replicas of the selector.")
@click.option("--policy", cls=PolicyOption, help="Selection policy of the selector.")
@click.option("--registry", help="Registry of the images named dev.local/... in the manifests.")
@click.option("--tag", help="Tag of these images.")
def command(
    *,
    filename: Path,
    namespace: str | None,
    dry_run: bool,
    target: Path | None,
    wait_timeout: int,
    min_scale: int | None,
    policy: str | None,
    registry: str | None,
    tag: str | None,
) -> None:
    """Deploy broker, triggers, selector and variants with kn, and wait until all are Ready.

    Run again after a change: what is there is updated. `warmfront undeploy` removes what this has created.
    """
    from warmfront.kube.deployment import Changes, parts_of, write

    if policy is not None:
        _check_policy(policy)
    changes = Changes(min_scale=min_scale, policy=policy, registry=registry, tag=tag)
    if target is not None:
        parts = parts_of(filename, place := namespace or _own_namespace() or "default", changes)
        for file in write(parts, place, target):
            click.echo(file)
    elif dry_run:
        asyncio.run(_dry_run(filename, namespace, changes, wait_timeout))
    elif not asyncio.run(_deploy(filename, namespace, changes, wait_timeout)):
        raise SystemExit(1)


def _check_policy(policy: str) -> None:
    from warmfront.selection.policies import POLICIES

    if policy not in POLICIES:
        raise click.UsageError(f"no policy {policy!r}; known are {', '.join(POLICIES)}")


def _own_namespace() -> str | None:
    """The kubeconfig's namespace; files can be written without one."""
    from warmfront.kube.connection import Connection

    try:
        return Connection.load(environment()).namespace
    except SetupError:
        return None


async def _dry_run(filename: Path, namespace: str | None, changes: "Changes", wait_timeout: int) -> None:
    from warmfront.kube.connection import Connection
    from warmfront.kube.deployment import commands_of, parts_of, plan
    from warmfront.kube.rollout import look

    place = namespace or _own_namespace() or "default"
    parts = parts_of(filename, place, changes)
    objects = {}
    try:
        async with connected(Connection.load(environment())) as client:
            live = await look(client, place)
            objects, parts = live.objects, [part for part in parts if part.resource in live.kinds]
    except WarmfrontError as error:
        click.echo(f"# for an empty namespace, since what is there cannot be seen: {error}")
    for line in commands_of((plan(part, objects.get(part.label)) for part in parts), place, wait_s=wait_timeout):
        click.echo(line)


async def _deploy(filename: Path, namespace: str | None, changes: "Changes", wait_timeout: int) -> bool:
    from rich.console import Console

    from warmfront.kube.connection import Connection
    from warmfront.kube.deployment import parts_of
    from warmfront.kube.kn import Kn
    from warmfront.kube.rollout import Rollout, check_kinds, ensure_namespace, look

    console = Console(highlight=False)
    environ = environment()
    kn, connection = Kn.find(environ), Connection.load(environ)
    place = namespace or connection.namespace
    parts = parts_of(filename, place, changes)
    started_at = asyncio.get_running_loop().time()
    async with connected(connection) as client:
        if await ensure_namespace(client, place):
            console.print(f"namespace/{place} created")
        live = await look(client, place)
        check_kinds(parts, live)
        with _shown(console, place, parts) as on_change:
            rollout = Rollout(parts, place, client, kn, on_change)
            done = await rollout.run(live, timeout_s=wait_timeout)
    took_s = asyncio.get_running_loop().time() - started_at
    _sum_up(console, place, rollout.rows, took_s, done=done)
    return done


@contextmanager
def _shown(console: "Console", namespace: str, parts: "list[Part]") -> "Iterator[Callable[[Row], None]]":
    """A live tree in a terminal, lines elsewhere."""
    from warmfront.cli.progress import Lines, Tree

    if not console.is_terminal:
        yield Lines(console).show
        return
    tree = Tree(console, namespace, parts)
    with tree.live():
        yield tree.show


def _sum_up(console: "Console", namespace: str, rows: "list[Row]", took_s: float, *, done: bool) -> None:
    from warmfront.kube.rollout import Phase

    for row in rows:
        if row.phase is Phase.FAILED:
            console.print(f"{row.part.label}: {row.message}", style="red", markup=False, soft_wrap=True)
            if row.remedy:
                console.print(f"  {row.remedy}", markup=False, soft_wrap=True)
    ready = sum(row.phase is Phase.READY for row in rows)
    if done:
        line = f"all {ready} objects ready in {took_s:.1f} s; ask: warmfront infer TASK TEXT -n {namespace}"
    else:
        line = f"{ready} of {len(rows)} objects ready after {took_s:.1f} s; mend the rest and deploy again"
    console.print(line, markup=False, soft_wrap=True)
