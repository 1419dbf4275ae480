"""What `infer` and `explain` have in common: the text, the objective of a request, and how a decision is told."""

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


def headers(objective: Mapping[str, str]) -> "Headers":
    """The headers of a plain request with this objective."""
    plain = [(f"warmfront-{name.lower()}".encode(), value.encode()) for name, value in objective.items()]
    return [*plain, (b"content-type", b"text/plain; charset=utf-8")]


def body_of(text: str) -> bytes:
    """The text, or what standard input holds when it is `-`."""
    return (sys.stdin.read() if text == "-" else text).encode()


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
