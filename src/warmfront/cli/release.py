"""`warmfront release VARIANT`: keep a variant warm no longer."""

import json

import click

from warmfront.cli.options import namespace_option, selector_option
from warmfront.cli.selector import Selector, answer


@click.command("release")
@click.argument("variant")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people or for programs.")
@namespace_option
@selector_option
def command(*, variant: str, output: str, namespace: str | None, selector: str | None) -> None:
    """Let VARIANT scale by its traffic again, with the min-scale that it had."""
    said = answer(Selector(url=selector, namespace=namespace).request("DELETE", f"/warm/{variant}", []))
    if output == "json":
        click.echo(json.dumps(said))
    elif said["released"]:
        click.echo(f"{variant} is released")
    else:
        click.echo(f"{variant} was not kept warm; nothing changed")
