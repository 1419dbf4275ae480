"""`warmfront build [FUNCTION...]`: make what functions run in, once: environments for `up`, images for a cluster."""

import asyncio
import shlex
from pathlib import Path

import click
from click.core import ParameterSource

from warmfront.cli.options import STATE

_IMAGES_ONLY = ("tool", "registry", "tag", "dry_run")


@click.command("build")
@click.argument("functions", nargs=-1)
@click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", help="Project folder."
)
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True, help="Where they are kept.")
@click.option("--images", is_flag=True, help="Build container images instead, from each folder's Containerfile.")
@click.option(
    "--tool",
    type=click.Choice(["docker", "podman", "buildah"]),
    help="What builds the images.  [default: the first of these on PATH]",
)
@click.option("--registry", default="dev.local", show_default=True, help="First part of the images' names.")
@click.option("--tag", default="v1", show_default=True, help="Last part of the images' names.")
@click.option("--dry-run", is_flag=True, help="Print the commands that build the images, run none.")
@click.pass_context
def command(
    context: click.Context,
    *,
    functions: tuple[str, ...],
    root: Path,
    state: Path,
    images: bool,
    tool: str | None,
    registry: str,
    tag: str,
    dry_run: bool,
) -> None:
    """Make one cached environment per FUNCTION folder from its requirements.txt.

    Default: the folders whose images knative/ names, and those beside it. A folder whose requirements this
    environment meets needs none. With --images: one container image per folder, named REGISTRY/FUNCTION:TAG
    with hyphens, as the manifests name it.
    """
    if images:
        _build_images(functions, root, tool, registry, tag, dry_run=dry_run)
        return
    given = [name for name in _IMAGES_ONLY if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        raise click.UsageError(f"--{given[0].replace('_', '-')} is about images; add --images")
    _build_environments(functions, root.resolve(), state.resolve())


def _build_environments(functions: tuple[str, ...], root: Path, state: Path) -> None:
    from warmfront.runtime.environments import Environments

    names = functions or _usual(root, "Procfile")
    environments = Environments(root=root, state=state)
    for name in names:
        asyncio.run(environments.build(name, click.echo))


def _build_images(
    functions: tuple[str, ...], root: Path, tool: str | None, registry: str, tag: str, *, dry_run: bool
) -> None:
    from warmfront.runtime.environments import find_folder
    from warmfront.runtime.images import build_command, build_images, find_engine, image_of

    folders = [find_folder(root, name) for name in functions or _usual(root, "Containerfile")]
    engine = tool if tool and dry_run else find_engine(tool)
    commands = [build_command(engine, root, folder, image_of(folder, registry, tag)) for folder in folders]
    if not dry_run:
        build_images(commands, click.echo)
        return
    for line in commands:
        click.echo(shlex.join(line))


def _usual(root: Path, file: str) -> list[str]:
    """What is built when nothing is named."""
    from warmfront.runtime.folders import folders_with, used

    names, wanted = folders_with(root, file), used(root)
    return [name for name in names if wanted is None or name in wanted]
