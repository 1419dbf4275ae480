"""The search on worlds whose best setting is plain to see."""

from pathlib import Path

import pytest

from warmfront.experiments.planning import inputs
from warmfront.experiments.planning.candidates import Candidate, present
from warmfront.experiments.planning.inputs import Arrivals, Objective
from warmfront.experiments.planning.search import Plan, search
from warmfront.experiments.planning.trials import Stage, Trial
from warmfront.experiments.scenarios import Scenario

HEAD = "name,accuracy,latency_p50_s,latency_p95_s,cold_start_p50_s,cold_start_p95_s,memory_mb,concurrency,max_scale"
# 5 MB are cheap; 100 GB are not at this price; nobody starts within the deadline
CHEAP, DEAR = "cheap,0.8,0.01,0.02,3,4,5,4,2", "dear,0.95,0.01,0.02,3,4,100000,4,2"


def world(folder: Path, rows: list[str], trace: str, deadline_s: float = 0.5, more: str = "") -> Scenario:
    table = folder / "mine.csv"
    table.write_text("\n".join([HEAD + (",slowdown_s" if more else ""), *(row + more for row in rows)]) + "\n")
    (folder / "trace.csv").write_text(trace)
    inputs.from_table(table, folder / "plan")
    return inputs.scenario(
        folder / "plan", "t", Arrivals(path=folder / "trace.csv"), Objective(deadlines_s=(deadline_s,)), price=0.001,
        measured=False,
    )  # fmt: skip


def planned(scenario: Scenario, policy: str = "effective@no-plan", *, concurrency: bool = False, **changes) -> Plan:
    stage = Stage(scenario, scenario.path.parent, (), None, played=lambda _: None)
    now = changes.get("now") or present(scenario)
    return search(
        stage,
        now,
        policy=policy,
        seeds=[0],
        final_seeds=range(100, 100 + changes.get("judged", 5)),
        concurrency=concurrency,
    )


def sparse() -> str:
    return "arrival_s\n" + "".join(f"{400 * i + 10}\n" for i in range(20))


def test_keep_what_is_cheap_and_not_what_is_dear(tmp_path):
    """One request every 400 s, starts of 4 s and 0.5 s of time: only who is kept answers in time. Keeping the dear one
    costs 400 s * 100 GB * 0.001 = 40 right answers per request, the cheap one 0.002. The dear one is never asked, so
    whatever its window, it stays as it is now.
    """
    plan = planned(world(tmp_path, [CHEAP, DEAR], sparse()))
    assert plan.best.trial.candidate.kept == ("cheap",)
    assert plan.best.on_time.mean == 1.0
    assert plan.best.answers == {"cheap": 1.0}
    assert plan.present.on_time.mean == 0.0
    assert plan.pays
    assert plan.best.gain(plan.present).mean > 0.5
    before = dict(plan.present.trial.candidate.settings)
    assert dict(plan.best.trial.candidate.settings)["dear"] == before["dear"]


@pytest.mark.parametrize("judged", [1, 4])
def test_on_few_seeds_no_gain_is_real(tmp_path, judged):
    """Keeping the cheap one gains more than half a right answer per request, and yet four seeds do not tell."""
    plan = planned(world(tmp_path, [CHEAP, DEAR], sparse()), judged=judged)
    assert plan.best.trial.candidate.kept == ("cheap",)
    assert plan.best.gain(plan.present).low > 0.5
    assert not plan.pays
    assert not plan.keeping_pays


def test_leave_it_as_it_is(tmp_path):
    """Already kept: nothing is better beyond chance."""
    scenario = world(tmp_path, [CHEAP], sparse())
    plan = planned(scenario, now=present(scenario).keeping({"cheap": 1}))
    assert not plan.pays
    assert plan.best.trial.candidate == plan.present.trial.candidate


def test_a_limit_of_one_where_company_costs(tmp_path):
    """Ten at once every 30 s, each other one adds 1 s to an execution of 10 ms: one at a time all ten are done within
    0.2 s; more at once are late.
    """
    trace = "arrival_s\n" + "".join(f"{30 * i + 10 + j / 1e4}\n" for i in range(20) for j in range(10))
    scenario = world(tmp_path, ["only,0.8,0.01,0.011,3,4,5,4,1"], trace, more=",1.0")
    now = present(scenario).keeping({"only": 1})
    plan = planned(scenario, now=now, concurrency=True)
    assert dict(plan.best.trial.candidate.settings)["only"].concurrency == 1
    assert plan.best.on_time.mean > 0.9 > plan.present.on_time.mean


def test_with_many_variants_the_warm_set_grows(tmp_path):
    """Six: the cheapest of the equally right is kept, found without playing all 64 sets."""
    rows = [f"v{i},0.8,0.01,0.02,3,4,{5 + 10 * i},4,2" for i in range(6)]
    plan = planned(world(tmp_path, rows, sparse()))
    assert plan.best.trial.candidate.kept == ("v0",)


def test_trials_are_paired_and_remembered(tmp_path):
    """The same trial twice is played once; the gain over itself is nothing."""
    scenario = world(tmp_path, [CHEAP], sparse())
    count = []
    stage = Stage(scenario, scenario.path.parent, (), None, played=count.append)
    trial = Trial(present(scenario), "fastest")
    first, second = stage.judge([trial, trial], [0, 1])
    assert len(count) == 2
    assert first == second
    assert first.gain(second).mean == 0.0
    assert first.answers == {"cheap": 1.0}


def test_a_candidate_is_hashable_and_compares_by_value():
    """So that it is played once however it was reached."""
    assert len({Candidate.of({}), Candidate.of({})}) == 1


@pytest.mark.parametrize("policy", ["effective", "fastest@no-plan"])
def test_any_contender_can_be_planned_for(tmp_path, policy):
    """Fastest keeps nothing by itself, so keeping pays for it too; effective keeps what pays."""
    plan = planned(world(tmp_path, [CHEAP], sparse()), policy)
    assert plan.best.on_time.mean >= 0.9
