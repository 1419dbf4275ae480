"""The Pareto front as a picture: accuracy over the time to an answer, warm and from zero. Matplotlib draws.

What must not live here: computing figures.
"""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from warmfront.experiments.profiling.front import Point

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7a5195")  # Okabe and Ito


def front(path: Path, task: str, points: Sequence[Point], dominated: Sequence[str]) -> None:
    """Write an SVG: each variant from its warm answer (dot) to its answer from zero (ring as large as its memory)."""
    figure = Figure(figsize=(8.0, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(b=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xscale("log")
    most = max(point.memory_mb for point in points)
    for i, one in enumerate(points):
        colour = "#bbbbbb" if one.variant in dominated else _COLOURS[i % len(_COLOURS)]
        axes.plot([one.warm.p50, one.from_zero.p50], [one.accuracy] * 2, "-", color=colour, linewidth=1.2)
        axes.plot(one.warm.p50, one.accuracy, "o", color=colour, markersize=5)
        axes.scatter(
            one.from_zero.p50, one.accuracy, s=30 + 370 * one.memory_mb / most, facecolors="none", edgecolors=colour,
            linewidths=1.5,
        )  # fmt: skip
        name = f"{one.variant}, {one.memory_mb:.0f} MB" + (", dominated" if one.variant in dominated else "")
        axes.annotate(
            name, (one.warm.p50, one.accuracy), xytext=(0, 7), textcoords="offset points", fontsize=8, color="#333333"
        )
    steps = sorted((p for p in points if p.variant not in dominated), key=lambda p: p.from_zero.p50)
    axes.step(
        [p.from_zero.p50 for p in steps], [p.accuracy for p in steps], where="post", color="#999999", linewidth=0.9,
        linestyle=":", zorder=0,
    )  # fmt: skip
    axes.xaxis.set_major_formatter(lambda seconds, _: _said(seconds))
    axes.margins(x=0.12, y=0.18)
    axes.set_xlabel("time to an answer: dot warm, ring from zero, as large as its memory")
    axes.set_ylabel("share right")
    axes.set_title(f"Variants of {task}", fontsize=10, loc="left")
    figure.savefig(path, format="svg", metadata={"Date": None})


def _said(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:g} s"
    return f"{seconds * 1e3:g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:g} µs"
