"""`warmfront completion SHELL`: the script that makes a shell complete our commands and options."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL; for bash: `source <(warmfront completion bash)`."""
    from warmfront.cli.app import cli

    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"{shell} is not a shell that can be completed; wanted bash, zsh or fish")
    click.echo(completion(cli, {}, "warmfront", "_WARMFRONT_COMPLETE").source())
