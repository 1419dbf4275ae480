"""`warmfront explain TASK TEXT`: which variant would answer and why, without asking any."""

import json

import click

from warmfront.cli.options import namespace_option, selector_option
from warmfront.cli.question import content_type_option, given, headers, input_of, objective_options, tell
from warmfront.cli.selector import Selector, answer


@click.command("explain")
@click.argument("task")
@click.argument("text")
@objective_options
@content_type_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people or for programs.")
@namespace_option
@selector_option
def command(
    *,
    task: str,
    text: str,
    deadline: float | None,
    min_accuracy: float | None,
    on_miss: str | None,
    weights: str | None,
    content_type: str | None,
    output: str,
    namespace: str | None,
    selector: str | None,
) -> None:
    """Show the decision for TEXT (`-`: the bytes of standard input) with all candidates; nothing is invoked or woken.

    Such as: warmfront explain langid "Guten Morgen" --deadline 300ms
    """
    objective = given(deadline=deadline, min_accuracy=min_accuracy, on_miss=on_miss, weights=weights)
    body, kind = input_of(text, content_type)
    target = Selector(url=selector, namespace=namespace)
    decision = answer(target.request("POST", f"/decide/{task}", headers(objective, kind), body))
    if output == "json":
        click.echo(json.dumps(decision, ensure_ascii=False))
        return
    from rich.console import Console

    tell(Console(highlight=False), decision)
