"""`warmfront tasks [TASK]`: what can be asked, by which variants, and what to expect of each."""

import json

import click

from warmfront.cli.options import namespace_option, selector_option
from warmfront.cli.selector import Selector, answer


@click.command("tasks")
@click.argument("task", required=False)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people or for programs.")
@namespace_option
@selector_option
def command(task: str | None, output: str, namespace: str | None, selector: str | None) -> None:
    """List the tasks that the selector knows, or the variants of one TASK with their estimates."""
    target = Selector(url=selector, namespace=namespace)
    said = answer(target.request("GET", f"/tasks/{task}" if task else "/tasks", []))
    found = [said] if task else said["tasks"]
    if output == "json":
        click.echo(json.dumps(said, ensure_ascii=False))
        return
    from rich.console import Console

    from warmfront.cli.tables import variants

    console = Console(highlight=False)
    if not found:
        console.print("no tasks: no Service carries the label warmfront.dev/task; apply one with kn service apply -f")
    for one in found:
        console.print(f"{one['task']}  (policy {one['policy']}; * is what a request without a deadline gets)")
        console.print(variants(one))
        for variant in one["variants"]:
            if not variant["available"]:
                console.print(f"{variant['variant']}: {variant['reason']}", style="red", markup=False)
            if variant["kept_until"]:
                console.print(f"{variant['variant']}: kept warm until {variant['kept_until']}", markup=False)
