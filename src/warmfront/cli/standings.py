"""How runs and comparisons are shown in a terminal: tables that fit 80 columns."""

import re
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from warmfront.experiments.comparison import Comparison, Standing
from warmfront.experiments.metrics import Interval, Summary

_POLICY = 17  # characters: what is left of 80
_WORDS = {
    "requests": "requests",
    "utility": "utility per request",
    "effective_accuracy": "right and on time",
    "on_time": "on time",
    "gb_s_per_request": "GB-seconds per request",
    "cold_wait_share": "waited for a start",
    "starts_per_1000": "starts per 1000 requests",
    "background_starts_per_1000": "of them nobody waited for",
    "objective_met": "on time, floor met",
    "accuracy": "right, of those answered",
    "rejected": "rejected",
    "failed": "failed",
    "hedged": "hedged",
    "unused_warm_share": "memory nobody used",
    "latency_p50_s": "latency p50",
    "latency_p95_s": "latency p95",
    "latency_p99_s": "latency p99",
    "brier": "Brier score of the promises",
}
_SHARES = {
    "effective_accuracy", "on_time", "cold_wait_share", "objective_met", "accuracy", "rejected", "failed", "hedged",
    "unused_warm_share",
}  # fmt: skip


def facts(summary: Summary) -> Table:
    """Every figure of one run."""
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for field, words in _WORDS.items():
        value = getattr(summary, field)
        if value is None:
            text = "-"
        elif field in _SHARES:
            text = f"{value:.1%}"
        elif field.endswith("_s"):
            text = f"{value:.3f} s"
        else:
            text = f"{value:g}" if isinstance(value, int) else f"{value:.4g}"
        table.add_row(words, text)
    return table


def standings(comparison: Comparison) -> Table:
    """Every policy, the best first: means, and beneath utility and regret their 95 % intervals over several seeds."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("policy", width=_POLICY, overflow="fold")
    for heading in (
        "utility",
        "right\non\ntime",
        "on\ntime",
        "GB-s\nper\nreq.",
        "cold\nwaits",
        "starts\nof\n1000",
        "regret",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, one in comparison.policies.items():
        best = name == next(iter(comparison.policies))
        table.add_row(folded(name), *_cells(one, len(comparison.seeds) > 1), style="bold" if best else None)
    return table


def folded(name: str, width: int = _POLICY) -> str:
    """A contender's name on lines of this width, broken before @, +, - or _; the former two if that will do."""
    lines = [""]
    for part in _wholes(name, width):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _wholes(name: str, width: int) -> Iterator[str]:
    """What is kept together."""
    for part in re.split("(?=[@+])", name):
        yield from [part] if len(part) <= width else re.split("(?<=.)(?=[-_])", part)


def _cells(one: Standing, spread: bool) -> list[Text]:
    plain = [
        f"{one.effective_accuracy.mean:.3f}", f"{one.on_time.mean:.3f}", f"{one.gb_s_per_request.mean:.1f}",
        "-" if one.cold_wait_share is None else f"{one.cold_wait_share.mean:.1%}",
        "-" if one.starts_per_1000 is None else f"{one.starts_per_1000.mean:.0f}",
    ]  # fmt: skip
    return [_cell(one.utility, spread), *map(Text, plain), _cell(one.regret, spread)]


def _cell(value: Interval, spread: bool) -> Text:
    """The mean, and beneath it, if there is a `spread`, the interval without the zeros before the points."""
    text = Text(f"{value.mean:z.3f}")
    if spread:
        text.append(f"\n{_edge(value.low)} to {_edge(value.high)}", style="dim not bold")
    return text


def _edge(value: float) -> str:
    """Five characters at most, a sign included, up to 99."""
    if abs(value) < 0.9995:
        return f"{value:z.3f}".replace("0.", ".", 1)
    return f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}"
