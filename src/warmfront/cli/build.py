"""`warmfront build [FUNCTION...]`: make what functions run in, once: environments for `up`, images for a cluster."""

import asyncio
import shlex
from pathlib import Path

import click
from click.core import ParameterSource

from warmfront.cli.options import STATE
from warmfront.errors import SetupError

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
    """Make one cached environment per FUNCTION folder (default: all) from its requirements.txt.

    A folder whose requirements this environment meets needs none. With --images: one container image per
    folder, named REGISTRY/FUNCTION:TAG with hyphens, as the manifests name it.
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

    names = functions or _folders_with(root, "Procfile")
    environments = Environments(root=root, state=state)
    for name in names:
        asyncio.run(environments.build(name, click.echo))


def _build_images(
    functions: tuple[str, ...], root: Path, tool: str | None, registry: str, tag: str, *, dry_run: bool
) -> None:
    from warmfront.runtime.environments import find_folder
    from warmfront.runtime.images import build_command, build_images, find_engine, image_of

    folders = [find_folder(root, name) for name in functions or _folders_with(root, "Containerfile")]
    engine = tool if tool and dry_run else find_engine(tool)
    commands = [build_command(engine, root, folder, image_of(folder, registry, tag)) for folder in folders]
    if not dry_run:
        build_images(commands, click.echo)
        return
    for line in commands:
        click.echo(shlex.join(line))


def _folders_with(root: Path, file: str) -> list[str]:
    names = sorted({path.parent.name for pattern in ("functions/*", "*") for path in root.glob(f"{pattern}/{file}")})
    if not names:
        raise SetupError(f"{root.resolve()}: no folder with a {file} in functions/ or here; nothing to build")
    return names
