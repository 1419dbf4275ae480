"""The Pareto front as a picture: accuracy over the time to an answer, warm and from zero. Matplotlib draws.

What must not live here: computing figures.
"""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from warmfront.experiments.profiling.front import Point

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7a5195")  # Okabe and Ito
_SMALLEST, _LARGEST = 30, 400  # of a ring, in square points


def front(path: Path, task: str, points: Sequence[Point], dominated: Sequence[str]) -> None:
    """Write an SVG: each variant from its warm answer (dot) to its answer from zero (ring as large as its memory).

    Dominated variants are dashed and pale; the dotted steps join the others.
    """
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(b=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xscale("log")
    most = max(point.memory_mb for point in points)
    for i, one in enumerate(points):
        beaten = one.variant in dominated
        colour, alpha = _COLOURS[i % len(_COLOURS)], 0.45 if beaten else 1.0
        name = f"{one.variant}, {one.memory_mb:.0f} MB" + ("\n(dominated)" if beaten else "")
        ends = [one.warm.p50, one.from_zero.p50]
        axes.plot(
            ends, [one.accuracy] * 2, "--" if beaten else "-", linewidth=1.4, label=name, color=colour, alpha=alpha
        )
        axes.plot(ends[0], one.accuracy, "o", markersize=5, color=colour, alpha=alpha)
        size = _SMALLEST + (_LARGEST - _SMALLEST) * one.memory_mb / most
        axes.scatter(ends[1], one.accuracy, s=size, facecolors="none", edgecolors=colour, alpha=alpha)
    steps = sorted((p for p in points if p.variant not in dominated), key=lambda p: p.from_zero.p50)
    axes.step(
        [p.from_zero.p50 for p in steps], [p.accuracy for p in steps], where="post", color="#999999", linewidth=0.9,
        linestyle=":", zorder=0,
    )  # fmt: skip
    axes.margins(x=0.08, y=0.12)
    axes.xaxis.set_major_formatter(lambda seconds, _: _said(seconds))
    axes.yaxis.set_major_formatter(lambda share, _: f"{share * 100:.3g} %")
    axes.set_xlabel("time to an answer: dot warm, ring from zero, as large as its memory")
    axes.set_ylabel("right answers")
    axes.set_title(f"Variants of {task}", fontsize=10, loc="left")
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _said(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:g} s"
    return f"{seconds * 1e3:g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:g} µs"
