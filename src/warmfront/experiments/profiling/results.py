"""What a measurement leaves beside its rows: figures as JSON, and tables that scenarios read. Files, no terminal.

`variants.csv`, `predictions.csv` and `measured.toml` are a scenario's (experiments/scenarios): `extends = "measured"`.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from warmfront.domain import Profile, Variant
from warmfront.experiments.profiling.figures import Figures, platform_share
from warmfront.experiments.profiling.labelled import Labelled
from warmfront.experiments.profiling.measurements import AnswerRow, Row
from warmfront.experiments.scenarios.variants import COLUMNS

_MORE = ("latency_per_kib_s", "slowdown_s")
TABLE, PREDICTIONS, BASE, FIGURES = "variants.csv", "predictions.csv", "measured.toml", "figures.json"


def write(
    folder: Path, task: str, found: Sequence[tuple[Variant, Figures, Profile]], rows: Mapping[str, Sequence[Row]],
    data: Labelled,
) -> None:  # fmt: skip
    """All files of a task. `rows` are those of each revision. A variant whose profile lacks a figure is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    all_figures = [one for _, one, _ in found]
    (folder / FIGURES).write_bytes(
        msgspec.json.format(msgspec.json.encode([_plain(one) for one in all_figures]), indent=1) + b"\n"
    )
    complete = [(v, one, p) for v, one, p in found if _complete(p)]
    if not complete:
        return
    (folder / TABLE).write_text(table([(v, p, one.slowdown_s) for v, one, p in complete]), encoding="utf-8")
    answers = {v.name: _answers(rows[v.revision], data) for v, _, _ in complete}
    predicted = all(len(known) == len(data.samples) for known in answers.values())
    if predicted:
        (folder / PREDICTIONS).write_text(_predictions(answers, data), encoding="utf-8")
    (folder / BASE).write_text(_base(task, all_figures, recorded=predicted), encoding="utf-8")


def table(variants: Sequence[tuple[Variant, Profile, float]]) -> str:
    """A variants table of complete profiles, each with what it slows down by (s per other request at once)."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow((*COLUMNS, *_MORE))
    for variant, profile, slowdown_s in variants:
        latency, cold = profile.latency_s, profile.cold_start_s
        assert latency is not None
        assert cold is not None
        lines.writerow(
            (variant.name, profile.accuracy, latency.p50, latency.p95, cold.p50, cold.p95, profile.memory_mb,
             variant.concurrency, variant.max_replicas, profile.latency_per_kib_s, float(f"{slowdown_s:.2g}"))
        )  # fmt: skip
    return out.getvalue()


def _plain(one: Figures) -> dict[str, Any]:
    """All figures of a variant but which inputs it got right: that is in the predictions."""
    return {name: value for name, value in asdict(one).items() if name != "right"}


def _complete(profile: Profile) -> bool:
    return None not in (profile.accuracy, profile.latency_s, profile.cold_start_s, profile.memory_mb)


def _answers(rows: Sequence[Row], data: Labelled) -> dict[int, str]:
    own = len(data.samples)
    return {
        row.index: row.label or "" for row in rows
        if isinstance(row, AnswerRow) and row.data == data.digest and row.in_flight == 1 and row.index < own
    }  # fmt: skip


def _predictions(answers: Mapping[str, Mapping[int, str]], data: Labelled) -> str:
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(("label", "bytes", *answers))
    for index, sample in enumerate(data.samples):
        lines.writerow((sample.label, len(sample.body), *(labels[index] for labels in answers.values())))
    return out.getvalue()


def _base(task: str, all_figures: Sequence[Figures], *, recorded: bool) -> str:
    lines = [f'# Measured by `warmfront profile {task}`.\ntask = "{task}"\n', "[variants]", f'table = "{TABLE}"']
    if recorded:
        lines += ['correctness = "recorded"', f'predictions = "{PREDICTIONS}"']
    if share := platform_share(all_figures):
        p50 = max(share.p50, 0.001)
        lines += ["", "[platform]", f"start_p50_s = {p50:.3g}", f"start_p95_s = {max(share.p95, p50):.3g}"]
    return "\n".join(lines) + "\n"
