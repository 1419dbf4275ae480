"""A scenario played on the embedded Knative, with real processes of dummy_model_fn."""

import asyncio
from pathlib import Path

from warmfront.experiments.contenders import contender
from warmfront.experiments.live import embedded, fidelity
from warmfront.experiments.live.dummies import Planned
from warmfront.experiments.scenarios import load
from warmfront.experiments.scenarios.variants import COLUMNS

ROOT = Path(__file__).parents[2]
SEEN_LATE_S = 0.05  # a start is counted from when the watch shows it
SCENARIO = """
extends = "live-steady"
duration_s = 6

[variants]
table = "variants.csv"

[[objective]]
deadlines_s = [4.0]
"""
VARIANTS = f"""{",".join(COLUMNS)}
weak_one,0.5,0.01,0.011,0.3,0.4,60,4,1
strong_one,0.9,0.02,0.022,0.6,0.7,200,4,1
"""


def test_every_request_is_answered_and_judged_as_the_simulation_would(tmp_path: Path) -> None:
    """As many rows as requests, all answered; right is exactly who is above the hardness that the twin plays with."""
    (tmp_path / "own.toml").write_text(SCENARIO)
    (tmp_path / "variants.csv").write_text(VARIANTS)
    planned = Planned(scenario=load(tmp_path / "own.toml"), contender=contender("most-accurate"), seed=5, root=ROOT)
    seen: list[tuple[int, int]] = []
    live = asyncio.run(embedded.run(planned, lambda sent, answered: seen.append((sent, answered))))
    hardness = {case.request.id: case.hardness for case, _ in planned.inputs()}
    assert sorted(row.request_id for row in live.requests) == sorted(hardness)
    assert seen[-1] == (len(hardness), len(hardness))
    assert {row.status for row in live.requests} <= {"ok", "late"}
    for row in live.requests:
        assert row.correct == (hardness[row.request_id] < {"weak_one": 0.5, "strong_one": 0.9}[row.variant])
        assert row.probability is not None
    assert any(row.cold for row in live.requests)
    (strong,) = (one for one in live.replicas if one.variant == "strong_one")
    assert strong.ready_s - strong.requested_s >= 0.6 - SEEN_LATE_S
    assert strong.stopped_s == live.end_s
    assert strong.memory_mb == 200
    twin = fidelity.twin(planned, live, planned.scenario.settings.platform_start_s)
    figures = {gap.figure: gap for gap in fidelity.gaps(live, twin)}
    assert len(twin.requests) == len(live.requests)
    assert abs(figures["right and on time"].gap) < 0.2
