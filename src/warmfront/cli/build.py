"""`warmfront build [FUNCTION...]`: make the environments that functions need, once, so that `up` installs nothing."""

import asyncio
from pathlib import Path

import click

from warmfront.cli.options import STATE
from warmfront.errors import SetupError


@click.command("build")
@click.argument("functions", nargs=-1)
@click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", help="Project folder."
)
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True, help="Where they are kept.")
def command(functions: tuple[str, ...], root: Path, state: Path) -> None:
    """Make one cached environment per FUNCTION folder (default: all) from its requirements.txt.

    A folder whose requirements this environment meets needs none.
    """
    from warmfront.runtime.environments import Environments

    root = root.resolve()
    names = functions or tuple(sorted(_folders(root)))
    if not names:
        raise SetupError(f"{root}: no folder with a Procfile in functions/ or here; nothing to build")
    environments = Environments(root=root, state=state.resolve())
    for name in names:
        asyncio.run(environments.build(name, click.echo))


def _folders(root: Path) -> set[str]:
    return {
        procfile.parent.name for pattern in ("functions/*/Procfile", "*/Procfile") for procfile in root.glob(pattern)
    }
