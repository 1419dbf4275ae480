"""`warmfront warm-set TASK`: which variants are awake, which should be, and why."""

import json

import click

from warmfront.cli.options import namespace_option, selector_option
from warmfront.cli.selector import Selector, answer


@click.command("warm-set")
@click.argument("task")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people or for programs.")
@namespace_option
@selector_option
def command(task: str, output: str, namespace: str | None, selector: str | None) -> None:
    """Show the present and the proposed warm set of TASK, with the numbers behind it.

    The selector starts, keeps and lets go by this plan once a second; with WARMFRONT_PLAN=dry-run it only shows it.
    """
    said = answer(Selector(url=selector, namespace=namespace).request("GET", f"/tasks/{task}/warm-set", []))
    if output == "json":
        click.echo(json.dumps(said))
        return
    from rich.console import Console

    from warmfront.cli.tables import milliseconds, warm_set

    console = Console(highlight=False)
    idle = "no request yet" if said["idle_ms"] is None else f"last request {milliseconds(said['idle_ms'])} ago"
    console.print(f"{said['task']}  ({idle}; the plan {said['acting']})", markup=False)
    console.print(warm_set(said))
    console.print(said["reason"], markup=False)
    for one in said["variants"]:
        console.print(f"{one['variant']}: {one['reason']}", style="dim", markup=False)
