"""The plots of a comparison, each drawn from what was summed up and nothing else. Matplotlib draws; nothing is shown.

A policy has one colour, mark and kind of line in all plots. What must not live here: computing figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from warmfront.experiments.comparison import Comparison, Result
from warmfront.experiments.metrics import Interval
from warmfront.telemetry.records import ReplicaRow

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7a5195")  # Okabe and Ito
_MARKS = "osD^vP*Xph<>"
_LEAST_SHARE = 0.01  # of the requests that a decile must hold to be drawn
_LINES = ("-", "--", ":", "-.")  # another one when the colours begin anew
_LEGEND_ROW = 0.18  # inches of one policy
_TIME_LINES = 4  # policies whose replicas are drawn: the best ones
_WIDE = 30.0  # costs that differ by more than this factor are drawn on a logarithmic axis

_FRONT = "Up and to the left is better. Nothing is both cheaper and more accurate than the steps."
_DOTTED = " Utility is the same along a dotted line."
_CALIBRATION = (
    "What was promised against what came true, by decile of the promise; deciles with less than 1 % of a policy's "
    "requests are left out. On the diagonal promises are kept."
)


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure with its name, fit for a file, and what it shows."""

    name: str
    caption: str
    figure: Figure


def plots(comparison: Comparison, results: Sequence[Result]) -> list[Plot]:
    """Every plot that the comparison has data for."""
    drawn = [
        Plot("front", _FRONT + (_DOTTED if plain(comparison) else ""), _front(comparison)),
        Plot("attainment", "Answers by the time a request allows.", _attainment(comparison)),
        Plot("over-time", "Share right and on time, by 24ths of the run.", _over_time(comparison)),
        Plot("calibration", _CALIBRATION, _calibration(comparison)),
        Plot("regret", f"By how much {comparison.reference} was better per request.", _regret(comparison)),
    ]
    first = [r for r in results if r.seed == comparison.seeds[0] and r.replicas]
    there = [r for name in comparison.policies for r in first if r.policy == name]
    if there:
        caption = (
            f"Which replicas there were and when (seed {comparison.seeds[0]}): light while starting, full when ready."
        )
        if len(there) > _TIME_LINES:
            caption += f" The best {_TIME_LINES} of {len(there)} policies."
        drawn.insert(3, Plot("warm-set", caption, _time_lines(there[:_TIME_LINES])))
    return drawn


def plain(comparison: Comparison) -> bool:
    """Whether utility is the share right and on time less the price of memory and nothing else."""
    return not comparison.weighted and comparison.waiting_price_per_s is None


def _style(comparison: Comparison) -> dict[str, tuple[str, str, str]]:
    """Colour, mark and line of every policy; 96 of them are all different."""
    return {
        name: (
            _COLOURS[i % len(_COLOURS)], _MARKS[i % len(_MARKS)], _LINES[i // len(_COLOURS) % len(_LINES)],
        )
        for i, name in enumerate(comparison.policies)
    }  # fmt: skip


def _figure(comparison: Comparison, height: float = 4.2, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """As high as the legend of all policies needs, `height` at least."""
    figure = Figure(figsize=(9.0, max(height, _LEGEND_ROW * len(comparison.policies) + 0.3)), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, sharey=columns > 1)[0]
    for one in axes:
        one.grid(visible=True, color="#dddddd", linewidth=0.6)
        one.set_axisbelow(b=True)
        one.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def _legend(figure: Figure, axes: Axes) -> None:
    """All policies, to the right of the plot."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False, handlelength=3.5)


def _bars(value: Interval) -> list[list[float]]:
    return [[max(value.mean - value.low, 0.0)], [max(value.high - value.mean, 0.0)]]


def _front(comparison: Comparison) -> Figure:
    figure, (axes,) = _figure(comparison)
    points = []
    for name, (colour, mark, _) in _style(comparison).items():
        one = comparison.policies[name]
        cost, accuracy = one.gb_s_per_request, one.effective_accuracy
        points.append((cost.mean, accuracy.mean))
        axes.errorbar(
            cost.mean, accuracy.mean, xerr=_bars(cost), yerr=_bars(accuracy), fmt=mark, color=colour, label=name,
            elinewidth=0.8,
        )  # fmt: skip
    dearest, cheapest = max(cost for cost, _ in points), min(cost for cost, _ in points)
    if cheapest > 0 and dearest / cheapest > _WIDE:
        axes.set_xscale("log")
    steps = [point for point in sorted(points) if all(point[1] > a for c, a in points if c < point[0])]
    axes.step(*zip(*steps, strict=True), where="post", color="#999999", linewidth=0.9, zorder=0)
    low, high = axes.get_ylim()
    grid = [cheapest + (dearest - cheapest) * i / 60 for i in range(61)]
    for i in range(-10, 11) if plain(comparison) else ():
        utility = round(high, 1) + i * 0.05
        axes.plot(grid, [utility + comparison.price_per_gb_s * cost for cost in grid], ":", color="#bbbbbb", lw=0.8)
    axes.set_ylim(low, high)
    axes.set_xlabel("GB-seconds per request")
    axes.set_ylabel("share right and on time")
    _legend(figure, axes)
    return figure


def _attainment(comparison: Comparison) -> Figure:
    figure, panels = _figure(comparison, columns=2)
    shares = {"on time": "on_time", "right and on time": "effective_accuracy"}
    for axes, (title, share) in zip(panels, shares.items(), strict=True):
        labels: Mapping[float | None, int] = {}
        for name, (colour, mark, line) in _style(comparison).items():
            found = comparison.policies[name].attainment
            if found:
                labels = {one.deadline_s: i for i, one in enumerate(found)}
                values = [getattr(one, share) for one in found]
                axes.plot(
                    range(len(found)), values, f"{line}{mark}", color=colour, label=name, markersize=4, linewidth=1
                )
        axes.set_xticks(list(labels.values()), ["any" if d is None else f"{d:.3g} s" for d in labels], fontsize=8)
        axes.set_xlabel("deadline")
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_ylim(-0.02, 1.02)
    panels[0].set_ylabel("share of requests")
    _legend(figure, panels[0])
    return figure


def _over_time(comparison: Comparison) -> Figure:
    figure, (axes,) = _figure(comparison, 3.4)
    for name, (colour, mark, line) in _style(comparison).items():
        parts = comparison.policies[name].over_time
        if parts:
            instants, values = [one.from_s for one in parts], [one.effective_accuracy for one in parts]
            axes.plot(instants, values, f"{line}{mark}", color=colour, label=name, markersize=3, linewidth=1)
    axes.set_xlabel("seconds of the run")
    axes.set_ylabel("share right and on time")
    _legend(figure, axes)
    return figure


def _calibration(comparison: Comparison) -> Figure:
    figure, (axes,) = _figure(comparison)
    axes.plot([0, 1], [0, 1], "-", color="#999999", linewidth=0.9)
    for name, (colour, mark, line) in _style(comparison).items():
        bins = comparison.policies[name].calibration
        total = sum(one.requests for one in bins)
        shown = [one for one in bins if one.requests >= _LEAST_SHARE * total]
        if shown:
            promised, realised = [one.promised for one in shown], [one.realised for one in shown]
            axes.plot(promised, realised, f"{line}{mark}", color=colour, label=name, markersize=5, linewidth=1)
    axes.set_xlabel("promised probability of being on time")
    axes.set_ylabel("share that was on time")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    _legend(figure, axes)
    return figure


def _regret(comparison: Comparison) -> Figure:
    figure, (axes,) = _figure(comparison, 0.9 + 0.32 * len(comparison.policies))
    for i, (name, (colour, _, _)) in enumerate(_style(comparison).items()):
        regret = comparison.policies[name].regret
        axes.barh(i, regret.mean, xerr=_bars(regret), color=colour, height=0.6, error_kw={"elinewidth": 0.8})
    axes.set_yticks(range(len(comparison.policies)), list(comparison.policies), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("regret in utility per request")
    return figure


def _time_lines(results: Sequence[Result]) -> Figure:
    variants = sorted({one.variant for result in results for one in result.replicas})
    figure = Figure(figsize=(9.0, (0.7 + 0.28 * len(variants)) * len(results) + 0.5), layout="constrained")
    panels = figure.subplots(len(results), 1, squeeze=False, sharex=True)[:, 0]
    for axes, result in zip(panels, results, strict=True):
        for i, variant in enumerate(variants):
            mine = [one for one in result.replicas if one.variant == variant]
            _lane(axes, i, mine, _COLOURS[i % len(_COLOURS)])
        axes.set_yticks(range(len(variants)), variants, fontsize=8)
        axes.set_ylim(len(variants) - 0.4, -0.6)
        axes.set_title(result.policy, fontsize=10, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("seconds of the run")
    panels[0].legend(
        handles=[Patch(color="#555555", alpha=0.3, label="starting"), Patch(color="#555555", label="ready")],
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8, frameon=False,
    )  # fmt: skip
    return figure


def _lane(axes: Axes, row: int, replicas: Sequence[ReplicaRow], colour: str) -> None:
    """One variant's replicas; where there are several at once they are drawn over each other."""
    starting = [(one.requested_s, one.ready_s - one.requested_s) for one in replicas]
    ready = [(one.ready_s, one.stopped_s - one.ready_s) for one in replicas]
    axes.broken_barh(starting, (row - 0.35, 0.7), facecolors=colour, alpha=0.3, linewidth=0)
    axes.broken_barh(ready, (row - 0.35, 0.7), facecolors=colour, linewidth=0)
