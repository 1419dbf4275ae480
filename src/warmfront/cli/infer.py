"""`warmfront infer TASK TEXT`: the answer, the chosen variant and why, and all candidates."""

import json
import secrets
from typing import Any

import click

from warmfront.cli.options import namespace_option, selector_option
from warmfront.cli.question import content_type_option, given, headers, input_of, objective_options, tell
from warmfront.cli.selector import Selector, answer


@click.command("infer")
@click.argument("task")
@click.argument("text")
@objective_options
@content_type_option
@click.option("--event", is_flag=True, help="Send a CloudEvent and read the reply event, instead of plain HTTP.")
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
    event: bool,
    output: str,
    namespace: str | None,
    selector: str | None,
) -> None:
    """Ask TASK about TEXT (`-`: the bytes of standard input).

    Such as: warmfront infer langid "Guten Morgen" --deadline 300ms
    """
    body, kind = input_of(text, content_type)
    objective = given(deadline=deadline, min_accuracy=min_accuracy, on_miss=on_miss, weights=weights)
    target = Selector(url=selector, namespace=namespace)
    plain = headers(objective, kind)
    decision = answer(target.request("POST", f"/decide/{task}", plain, body))
    if event:
        extensions = {name.lower().replace("-", ""): value for name, value in objective.items()}
        said, result = _by_event(target, task, body, kind, extensions)
    else:
        response = target.request("POST", f"/tasks/{task}", plain, body)
        result = answer(response)
        said = {name.decode().removeprefix("warmfront-"): value.decode() for name, value in response.headers}
    if output == "json":
        click.echo(json.dumps({"answer": result, "reply": said, "decision": decision}, ensure_ascii=False))
    else:
        _show(result, said, decision)


def _by_event(
    target: Selector, task: str, body: bytes, content_type: str, extensions: dict[str, str]
) -> tuple[dict[str, str], Any]:
    from warmfront.cloudevents import CloudEvent, Mode, decode, encode

    request = CloudEvent(
        id=secrets.token_hex(8),
        source="/warmfront/cli",
        type="dev.warmfront.inference.request",
        subject=task,
        datacontenttype=content_type,
        extensions=extensions,
        data=body,
    )
    response = target.request("POST", "/", *encode(request, Mode.BINARY))
    if response.status >= 400:
        answer(response)
    reply = decode(response.headers, response.body)
    result = json.loads(reply.data)
    if reply.type.endswith(".rejected"):
        raise click.ClickException(result.get("detail", "rejected"))
    said = dict(reply.extensions)
    said["cold-start"] = said.get("coldstart", "")
    said["predicted-ms"] = said.get("predictedms", "")
    return said, result


def _show(result: Any, said: dict[str, str], decision: dict[str, Any]) -> None:
    from rich.console import Console

    from warmfront.cli.tables import milliseconds

    console = Console(highlight=False)
    label = result.get("label") if isinstance(result, dict) else None
    console.print(label if label is not None else json.dumps(result, ensure_ascii=False), style="bold", markup=False)
    how = "waited for a cold start" if said.get("cold-start") == "true" else "warm"
    took = said.get("latencyms") or _upstream(said.get("server-timing", ""))
    console.print(f"by {said['variant']}, {how}" + (f", {milliseconds(float(took))}" if took else ""))
    tell(console, decision)


def _upstream(server_timing: str) -> str:
    for part in server_timing.split(","):
        name, _, duration = part.strip().partition(";dur=")
        if name == "upstream":
            return duration
    return ""
