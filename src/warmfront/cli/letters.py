"""`warmfront letters`: events that nobody took and no dead-letter sink received, with the reason."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import click

from warmfront.cli.options import STATE
from warmfront.errors import SetupError


@click.command("letters")
@click.option(
    "--state", type=click.Path(path_type=Path), default=STATE, show_default=True, help="State folder of `up`."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people or for programs.")
def command(state: Path, output: str) -> None:
    """List the dead letters that the embedded Broker keeps, oldest first; `up` may be running or not."""
    from warmfront.runtime.eventing import read_dead_letters

    if not state.is_dir():
        raise SetupError(f"{state}: no such folder; give the state folder of a `warmfront up` with --state")
    letters = read_dead_letters(state / "events.db")
    if output == "text" and not letters:
        click.echo("no dead letters")
    for letter in letters:
        event, at = letter.event, datetime.fromtimestamp(letter.buried_at, UTC).isoformat(timespec="seconds")
        if output == "text":
            click.echo(f"{at}  {letter.namespace}/{letter.trigger}  {event.type} {event.id} from {event.source}")
            click.echo(f"  {letter.failure.code} of {letter.failure.destination}: {letter.failure.reason}")
            continue
        attributes = {**dict(event.attributes()), "data_base64": base64.b64encode(event.data).decode()}
        found = letter.failure
        failure = {"destination": found.destination, "code": found.code, "reason": found.reason}
        row = {"at": at, "namespace": letter.namespace, "broker": letter.broker, "trigger": letter.trigger}
        click.echo(json.dumps({**row, "failure": failure, "event": attributes}, ensure_ascii=False))
