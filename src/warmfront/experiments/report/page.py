"""One HTML file with everything: table, plots and how it was made. It loads nothing from anywhere."""

import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import matplotlib as mpl

from warmfront.experiments.comparison import Comparison, Result, Standing
from warmfront.experiments.metrics import Interval
from warmfront.experiments.report.figures import Plot, plain, plots

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
.facts { color: #555; margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { padding: .35rem .7rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
tbody tr:first-child { font-weight: 600; }
small { display: block; color: #666; font-weight: 400; white-space: nowrap; }
figure { margin: 0; }
figcaption { color: #444; font-size: .9rem; margin-bottom: .3rem; }
svg { max-width: 100%; height: auto; }
"""
_COLUMNS = (
    ("utility", "utility", 3),
    ("effective_accuracy", "right and on time", 3),
    ("on_time", "on time", 3),
    ("gb_s_per_request", "GB-s per request", 2),
    ("cold_wait_share", "waited for a start", 3),
    ("starts_per_1000", "starts per 1000", 0),
    ("regret", "regret", 3),
)
_TITLES = {
    "front": "Accuracy against cost",
    "attainment": "Attainment by deadline",
    "over-time": "Answers over time",
    "warm-set": "Warm set over time",
    "calibration": "Calibration",
    "regret": "Regret",
}


def write(comparison: Comparison, results: Sequence[Result], folder: Path, formats: Sequence[str] = ()) -> Path:
    """Write `report.html` to the folder, and each plot beside it in these formats (png, svg). Its path."""
    with mpl.rc_context({"svg.hashsalt": comparison.digest, "svg.fonttype": "path", "font.size": 10}):
        drawn = plots(comparison, results)
        pictures = [_svg(plot) for plot in drawn]
        for plot, picture in zip(drawn, pictures, strict=True):
            if "svg" in formats:
                (folder / f"{plot.name}.svg").write_text(picture, "utf-8")
            if "png" in formats:
                plot.figure.savefig(folder / f"{plot.name}.png", dpi=150, metadata={"Software": None})
    path = folder / "report.html"
    path.write_text(_page(comparison, drawn, pictures), "utf-8")
    return path


def _svg(plot: Plot) -> str:
    """The figure as SVG, the same bytes for the same figures."""
    out = io.StringIO()
    plot.figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _page(comparison: Comparison, drawn: Sequence[Plot], pictures: Sequence[str]) -> str:
    sections = "\n".join(
        f"<h2>{_TITLES[plot.name]}</h2>\n<figure><figcaption>{escape(plot.caption)}</figcaption>\n"
        f"{_inline(plot.name, picture)}</figure>"
        for plot, picture in zip(drawn, pictures, strict=True)
    )
    title = f"{escape(comparison.scenario)}: {len(comparison.policies)} policies"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p>{escape(comparison.description)}.</p>
{_facts(comparison)}
<div class="wide">{_table(comparison)}</div>
{sections}
</body>
</html>
"""


def _inline(name: str, picture: str) -> str:
    """The svg element alone, its ids made the page's own so that two pictures do not share clip paths."""
    svg = picture[picture.index("<svg") :]
    for mark in ('id="', "url(#", 'href="#'):
        svg = svg.replace(mark, f"{mark}{name}-")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{_TITLES[name]}" ', 1)


def _facts(comparison: Comparison) -> str:
    seeds = comparison.seeds
    lines = [
        f"{len(seeds)} seeds, {seeds[0]} to {seeds[-1]}; means, and beneath them bootstrap intervals of 95 % over "
        "seeds, those of regret over the differences seed by seed."
        if len(seeds) > 1
        else f"One seed, {seeds[0]}: no intervals.",
        _utility(comparison),
        f"Regret is against {comparison.reference}.",
        *(f"{what.capitalize()} from {source}." for what, source in comparison.sources.items()),
        *(f"Changed: {change}." for change in comparison.overrides),
    ]
    return "\n".join(f'<p class="facts">{escape(line)}</p>' for line in lines)


def _utility(comparison: Comparison) -> str:
    """What utility is in this scenario."""
    price, waiting = f"less {comparison.price_per_gb_s:g} for each GB-second of replicas", ""
    if plain(comparison):
        return f"Utility is the share right and on time {price}."
    gains = "1 when right"
    if comparison.weighted:
        gains += "; with weights, latency's weight in any case and the rest when right"
    if comparison.waiting_price_per_s is not None:
        times = ", with weights times latency's" if comparison.weighted else ""
        waiting = f" Without a deadline each second of waiting costs {comparison.waiting_price_per_s:g}{times}."
    return f"Utility is what answers gained per request {price}. An answer on time gains {gains}.{waiting}"


def _table(comparison: Comparison) -> str:
    spread = len(comparison.seeds) > 1
    head = "".join(f"<th>{heading}</th>" for _, heading, _ in _COLUMNS)
    rows = "\n".join(
        f"<tr><td>{escape(name)}</td>{_cells(one, spread)}</tr>" for name, one in comparison.policies.items()
    )
    return f"<table><thead><tr><th>policy</th>{head}</tr></thead>\n<tbody>{rows}</tbody></table>"


def _cells(one: Standing, spread: bool) -> str:
    return "".join(_cell(getattr(one, field), digits, spread) for field, _, digits in _COLUMNS)


def _cell(value: Interval | None, digits: int, spread: bool) -> str:
    """The mean, and where there is a `spread` the interval beneath it."""
    if value is None:
        return "<td>-</td>"
    edges = f"<small>{value.low:.{digits}f} to {value.high:.{digits}f}</small>" if spread else ""
    return f"<td>{value.mean:.{digits}f}{edges}</td>"
