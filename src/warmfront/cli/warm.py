"""`warmfront warm VARIANT --for 10m`: keep a variant warm for a while, through the selector."""

import json

import click

from warmfront.cli.options import Duration, namespace_option, selector_option
from warmfront.cli.selector import Selector, answer
from warmfront.domain import LONGEST_KEEP_S

_LONGEST_H = LONGEST_KEEP_S // 3600


@click.command("warm")
@click.argument("variant")
@click.option(
    "--for",
    "for_s",
    type=Duration(at_most=_LONGEST_H),
    required=True,
    help=f"How long, such as 10m or 2h; at most {_LONGEST_H}h.",
)
@click.option(
    "--replicas", type=click.IntRange(min=1), default=1, show_default=True, help="How many; at most its max-scale."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people or for programs.")
@namespace_option
@selector_option
def command(
    *, variant: str, for_s: float, replicas: int, output: str, namespace: str | None, selector: str | None
) -> None:
    """Keep VARIANT warm, whether or not anybody asks it, then let it go. Said again, the latest word counts.

    The selector does it, and ends it; it must run with WARMFRONT_KEEP_WARM=on.
    """
    target = Selector(url=selector, namespace=namespace)
    said = answer(target.request("POST", f"/warm/{variant}?for={for_s:.3f}&replicas={replicas}", []))
    if output == "json":
        click.echo(json.dumps(said))
        return
    count = "1 replica" if said["replicas"] == 1 else f"{said['replicas']} replicas"
    click.echo(f"{said['variant']} ({said['revision']}) is kept warm until {said['kept_until']}, {count}")
