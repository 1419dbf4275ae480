"""What `infer` and `explain` have in common: the input, the objective of a request, and how a decision is told."""

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from warmfront.cli.options import Duration

if TYPE_CHECKING:
    from rich.console import Console

    from warmfront.cloudevents import Headers


def objective_options(function: Any) -> Any:
    """The options that say what the answer must meet; `given` makes names and values of them."""
    for option in reversed(
        (
            click.option("--deadline", type=Duration(), help="Time the answer is worth waiting for: 300ms, 2s."),
            click.option("--min-accuracy", type=click.FloatRange(0, 1), help="Refuse variants less often right."),
            click.option(
                "--on-miss",
                type=click.Choice(["degrade", "reject"]),
                help="When no variant can.  [default: degrade]",
            ),
            click.option("--weights", metavar="latency=W,accuracy=W", help="Trade-off when both are soft."),
        )
    ):
        function = option(function)
    return function


def given(
    *, deadline: float | None, min_accuracy: float | None, on_miss: str | None, weights: str | None
) -> dict[str, str]:
    """The objective's fields that were given, by the names that headers have after `Warmfront-`."""
    objective = {
        "Deadline-Ms": None if deadline is None else f"{deadline * 1000:g}",
        "Min-Accuracy": None if min_accuracy is None else f"{min_accuracy:g}",
        "On-Miss": on_miss,
        "Weights": weights,
    }
    return {name: value for name, value in objective.items() if value is not None}


def content_type_option(function: Any) -> Any:
    """`--content-type`: what the input is, when it is neither text nor bare octets."""
    return click.option(
        "--content-type",
        metavar="TYPE",
        callback=_media_type,
        help="Of the input, such as application/json.  [default: text/plain; octets when it is no UTF-8]",
    )(function)


def _media_type(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and re.fullmatch(r"[!-.0-~]+/[ -~]+", value) is None:
        raise click.BadParameter(f"{value!r} is not a media type; write one such as application/json")
    return value


def headers(objective: Mapping[str, str], content_type: str) -> "Headers":
    """The headers of a plain request with this objective and such a body."""
    plain = [(f"warmfront-{name.lower()}".encode(), value.encode()) for name, value in objective.items()]
    return [*plain, (b"content-type", content_type.encode())]


def input_of(text: str, content_type: str | None) -> tuple[bytes, str]:
    """The text, or the bytes of standard input when it is `-`, and of which content type they are."""
    # what is no UTF-8 on the command line has come as surrogates
    body = sys.stdin.buffer.read() if text == "-" else text.encode("utf-8", "surrogateescape")
    return body, content_type or ("text/plain; charset=utf-8" if _is_utf8(body) else "application/octet-stream")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def tell(console: "Console", decision: Mapping[str, Any]) -> None:
    """Why a decision fell as it did, and all its candidates."""
    from warmfront.cli.tables import candidates, verdicts

    console.print(f"why: {_why(decision)}", markup=False)
    console.print(candidates(decision))
    for line in verdicts(decision):
        console.print(line, style="dim", markup=False)


def _why(decision: Mapping[str, Any]) -> str:
    from warmfront.cli.tables import milliseconds

    best = next((c for c in decision["candidates"] if c["variant"] == decision["chosen"]), None)
    if best is None:
        return f"{decision['reason']}: no variant was chosen"
    deadline = decision["deadline_ms"]
    limit = f"within {milliseconds(deadline)}" if deadline is not None else "without a deadline"
    return (
        f"{decision['policy']} {decision['reason']} {best['variant']}: accuracy {best['accuracy']:.1%}, "
        f"{best['probability']:.1%} likely {limit}"
    )
