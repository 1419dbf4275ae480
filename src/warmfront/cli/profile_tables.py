"""How a profile is shown in a terminal: tables that fit 80 columns."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from warmfront.cli.tables import milliseconds
from warmfront.experiments.profiling.figures import Figures
from warmfront.experiments.profiling.statistics import Share, Times

_NONE = "-"
_TICK, _TICK_S = "<10 ms", 0.01  # a process knows its age to that


def front(figures: Sequence[Figures], beaten: Mapping[str, str]) -> Table:
    """Every variant, the most accurate first: what counts for the Pareto front; * is on it."""
    table = _table("", "variant", "accuracy (95 %)", "from zero", "warm p50", "warm p95", "memory")
    ranked = sorted(figures, key=lambda one: -(one.accuracy.value if one.accuracy else 0.0))
    for one in ranked:
        memory = _NONE if one.memory_mb is None else f"{one.memory_mb:.0f} MB"
        if one.memory_mb is None and one.declared.memory_mb is not None:
            memory = f"({one.declared.memory_mb:.0f} MB)"
        table.add_row(
            "" if one.variant in beaten else "*", one.variant, _share(one.accuracy),
            _time(one.total), _time(one.warm), _time(one.warm, "p95"),
            memory, style="dim" if one.variant in beaten else None,
        )  # fmt: skip
    return table


def details(figures: Sequence[Figures]) -> Iterator[tuple[str, Table]]:
    """Starts, sizes, concurrency and groups, each with its title; what was not measured is left out."""
    if any(one.total for one in figures):
        yield "Cold starts: medians, and the slowest of all", _starts(figures)
    if any(one.by_size for one in figures):
        yield "By input size: accuracy (95 %) and warm latency", _sizes(figures)
    if any(one.by_load for one in figures):
        yield "By requests at once: round trips, and answers per second", _loads(figures)
    if any(one.by_group for one in figures):
        yield "Accuracy (95 %) by group", _groups(figures)


def _starts(figures: Sequence[Figures]) -> Table:
    table = _table("variant", "n", "platform", "load", "first answer", "whole", "slowest")
    for one in figures:
        if one.total is not None:
            platform = _TICK if one.platform and one.platform.p50 < _TICK_S else _time(one.platform)
            parts = [platform, *(_time(part) for part in (one.load, one.answer))]
            table.add_row(one.variant, str(one.total.n), *parts, _time(one.total.p50), _time(one.total.p95))
    return table


def _sizes(figures: Sequence[Figures]) -> Table:
    table = _table("variant", "bytes", "n", "accuracy (95 %)", "p50", "p95")
    for one in figures:
        for i, size in enumerate(one.by_size):
            table.add_row(
                one.variant if i == 0 else "", f"{size.above + 1}-{size.up_to}", str(size.accuracy.total),
                _share(size.accuracy), _time(size.warm.p50), _time(size.warm.p95),
            )  # fmt: skip
    return table


def _loads(figures: Sequence[Figures]) -> Table:
    table = _table("variant", "at once", "n", "p50", "p95", "model p50", "per second")
    for one in figures:
        for i, load in enumerate(one.by_load):
            table.add_row(
                one.variant if i == 0 else "", str(load.in_flight), str(load.round_trip.n), _time(load.round_trip.p50),
                _time(load.round_trip.p95), _time(load.execution), f"{load.per_second:.0f}",
            )  # fmt: skip
    return table


def _groups(figures: Sequence[Figures]) -> Table:
    table = _table("variant", "group", "n", "accuracy (95 %)")
    for one in figures:
        for i, (name, share) in enumerate(one.by_group.items()):
            table.add_row(one.variant if i == 0 else "", name, str(share.total), _share(share))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in {"", "variant", "group"} else "right", no_wrap=True)
    return table


def _time(value: Times | float | None, field: str = "p50") -> str:
    """A duration in s, or that quantile of several."""
    if value is None:
        return _NONE
    seconds: float = value if isinstance(value, float) else getattr(value, field)
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-4 else milliseconds(seconds * 1000)


def _share(share: Share | None) -> str:
    if share is None:
        return _NONE
    low, high = share.interval
    return f"{share.value:.1%} ({low * 100:.1f}-{high * 100:.1f})"
