"""How decisions and variants are shown in a terminal: tables that fit 80 columns."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

STYLES = {"warm": "green", "starting": "yellow", "cold": "blue"}


def milliseconds(value: float) -> str:
    """A duration given in milliseconds, as people read it: `0.4 ms`, `35 ms`, `1.2 s`."""
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def candidates(decision: Mapping[str, Any]) -> Table:
    """Every candidate of a decision, best score first, the chosen one marked."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("", "variant", "state", "accuracy", "on time", "expected", "p95", "score"):
        table.add_column(heading, justify="left" if heading in {"", "variant", "state"} else "right", no_wrap=True)
    for one in decision["candidates"]:
        chosen = one["variant"] == decision["chosen"]
        table.add_row(
            "*" if chosen else "",
            one["variant"],
            f"[{STYLES[one['warmth']]}]{one['warmth']}[/]",
            f"{one['accuracy']:.1%}",
            f"{one['probability']:.1%}",
            milliseconds(one["predicted_ms"]),
            milliseconds(one["p95_ms"]),
            f"{one['score']:.3f}",
            style="bold" if chosen else "dim" if one["verdict"] else None,
        )
    return table


def verdicts(decision: Mapping[str, Any]) -> list[str]:
    """Why candidates were not eligible, a line each."""
    return [f"{one['variant']}: {one['verdict']}" for one in decision["candidates"] if one["verdict"]]


def variants(task: Mapping[str, Any]) -> Table:
    """One task's variants: what is there, and what is expected of each for a small input."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("", "variant", "state", "replicas", "accuracy", "expected", "p95"):
        table.add_column(heading, justify="left" if heading in {"", "variant", "state"} else "right", no_wrap=True)
    for one in task["variants"]:
        estimate = one["estimate"] or {}
        warmth = estimate.get("warmth", "cold")
        state = f"[{STYLES[warmth]}]{warmth}[/]" if one["available"] else "[red]unavailable[/]"
        table.add_row(
            "*" if one["variant"] == task["would_choose"] else "",
            one["variant"],
            state,
            f"{one['ready']}+{one['starting']}" if one["starting"] else str(one["ready"]),
            f"{estimate['accuracy']:.1%}" if estimate else "-",
            milliseconds(estimate["predicted_ms"]) if estimate else "-",
            milliseconds(estimate["p95_ms"]) if estimate else "-",
        )
    return table


def warm_set(said: Mapping[str, Any]) -> Table:
    """One task's variants: how each is, and what the plan wants."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("variant", "state", "wanted", "kept until"):
        table.add_column(heading, no_wrap=True)
    for one in said["variants"]:
        awake = one["warmth"] != "cold"
        wanted = ("stay" if awake else "start") if one["wanted"] else ("go" if awake else "sleep")
        table.add_row(one["variant"], f"[{STYLES[one['warmth']]}]{one['warmth']}[/]", wanted, one["kept_until"] or "")
    return table
