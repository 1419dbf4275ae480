"""Scenario files: what they are made into, and what is said of a wrong one."""

from pathlib import Path
from statistics import mean

import pytest

from warmfront.errors import SetupError
from warmfront.experiments.scenarios import load, names
from warmfront.experiments.scenarios.schema import Trace

LANGID = ["pycld2", "fasttext_ftz", "py3langid", "lingua_high_45"]


@pytest.fixture(autouse=True)
def without_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No measured traces unless a test names a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARMFRONT_DATA", raising=False)


def written(folder: Path, text: str, name: str = "own.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", names())
def test_every_shipped_scenario_can_be_played(name):
    """Without measured data too: requests in order of arrival within the run, the same for the same seed only."""
    scenario = load(name)
    cases = scenario.cases(7)
    arrivals = [case.request.arrival_at for case in cases]
    assert cases
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] <= scenario.duration_s
    assert len({case.request.id for case in cases}) == len(cases)
    assert scenario.cases(7) == cases != scenario.cases(8)
    assert scenario.file.description
    if isinstance(scenario.file.workload, Trace):
        assert scenario.sources["arrivals"].startswith("stand-in for ")


def test_langid_is_as_measured():
    """Starts 1.5 s + the process' (0.037 and 11.0255 s), execution 5 ms + measured; right as often as measured."""
    scenario = load("langid-poisson-0.01")
    truths = {truth.variant.name: truth for truth in scenario.world.truths}
    assert list(truths) == LANGID
    assert [truths[name].load_s.p50 for name in LANGID] == pytest.approx([1.537, 1.849, 2.7595, 12.5255])
    assert [truths[name].memory_mb for name in LANGID] == [61, 78.9, 146, 1088.3]
    assert truths["pycld2"].execution_s.p50 == pytest.approx(0.005005)
    assert truths["pycld2"].load_s.p95 / truths["pycld2"].load_s.p50 == pytest.approx(1.508, abs=0.001)
    assert truths["pycld2"].annotations["autoscaling.knative.dev/window"] == "60s"
    assert truths["pycld2"].annotations["autoscaling.knative.dev/max-scale"] == "5"
    right = [mean(case[1][i] for case in scenario.recorded) for i in range(4)]
    assert right == pytest.approx([0.7579, 0.8265, 0.8544, 0.9141], abs=5e-5)


def test_rates_deadlines_and_inputs_are_drawn_as_said():
    """0.03 per second for 20,000 s are 600 (sd 24.5); five deadlines a fifth each (sd 0.016); texts have sizes."""
    cases = load("langid-poisson-0.03").cases(1)
    budgets = [round(case.request.deadline_at - case.request.arrival_at, 6) for case in cases]
    assert len(cases) == pytest.approx(600, abs=100)
    assert {b: budgets.count(b) / len(budgets) for b in set(budgets)} == pytest.approx(
        dict.fromkeys((0.1, 0.5, 2.0, 5.0, 15.0), 0.2), abs=0.07
    )
    assert len({case.request.size_bytes for case in cases}) > 50
    assert all(case.right is not None and len(case.right) == 4 for case in cases)


def test_timers_and_steps_are_exact():
    """Every 300 s for 60,000 s are 200; a step from 1 to 10 per second is ten times the requests (sd 0.32)."""
    assert [c.request.arrival_at for c in load("langid-timer-300").cases(1)] == [300.0 * i for i in range(1, 201)]
    steps = ['workload={kind="poisson", rate=1.0, steps=[[1000, 10]]}']
    at = [c.request.arrival_at for c in load("langid-poisson-1", overrides=steps).cases(1)]
    before = sum(t < 1000 for t in at)
    assert (len(at) - before) / before == pytest.approx(10, abs=1.5)


def test_copula_errs_together():
    """Two variants right 78 % and 80.2 % of the time, with a common factor, are right or wrong together far more often
    than the 67 % of independent ones.
    """
    cases = load("timm-on-off").cases(3)
    both = mean(case.right[0] == case.right[1] for case in cases)
    assert mean(case.right[0] for case in cases) == pytest.approx(0.78, abs=0.03)
    assert both > 0.78


def test_a_trace_is_read_where_it_is(tmp_path):
    """Two requests in minute 1, three in minute 3, evenly: at 75 and 105 s, then at 190, 210 and 230 s."""
    traces = tmp_path / "data" / "traces"
    traces.mkdir(parents=True)
    written(traces, "function,minute,invocations\nf1,1,2\nf2,1,9\nf1,3,3\n", "counts.csv")
    text = """
extends = "langid-azure-f199"
duration_s = 600
[workload]
file = "traces/counts.csv"
function = "f1"
"""
    scenario = load(written(tmp_path, text), tmp_path / "data")
    assert [c.request.arrival_at for c in scenario.cases(1)] == pytest.approx([75, 105, 190, 210, 230])
    assert scenario.sources["arrivals"] == "traces/counts.csv"
    later = load(tmp_path / "own.toml", tmp_path / "data", ["workload.from_s=120"])
    assert [c.request.arrival_at for c in later.cases(1)] == pytest.approx([70, 90, 110])


@pytest.mark.parametrize(
    ("table", "arrivals"),
    [
        ("arrival_s,tokens\n1.5,3\n9,4\n99,4\n", [(1.5, 12), (9.0, 16)]),
        ("arrival_s,tokens\n9,4\n99,4\n1.5,3\n", [(1.5, 12), (9.0, 16)]),
        ("arrival_ms,tokens\n1500,3\n", [(1.5, 12)]),
        ("second,requests\n2,1\n20,5\n", [(2.5, 100)]),
        ("requests\n0\n1\n", [(1.5, 100)]),
    ],
)
def test_other_formats_of_traces(tmp_path, table, arrivals):
    """Single arrivals, sorted, with sizes in units of 4 bytes, counts per second; what comes after 10 s is left out."""
    written(tmp_path, table, "trace.csv")
    size = 'size_column = "tokens"\nbytes_per_unit = 4' if "tokens" in table else ""
    text = f"""
extends = "langid-azure-f199"
duration_s = 10
[variants]
correctness = "nested"
[workload]
file = "trace.csv"
{size}
"""
    cases = load(written(tmp_path, text), tmp_path).cases(1)
    assert [(c.request.arrival_at, c.request.size_bytes) for c in cases] == arrivals


def test_profiles_may_be_wrong_and_variants_may_drift(tmp_path):
    """Declared twice as fast and in reversed order of accuracy; one slows down, one disappears, one appears."""
    text = """
extends = "langid-poisson-1"
declared = [{execution_factor = 0.5, accuracies = "reversed"}]
drift = [
  {at_s = 100, variant = "pycld2", execution_factor = 4, accuracy = 0.5},
  {at_s = 200, variant = "pycld2", gone = true},
  {at_s = 150, variant = "lingua_high_45", appears = true},
]
[variants]
correctness = "nested"
"""
    scenario = load(written(tmp_path, text))
    truths = {truth.variant.name: truth for truth in scenario.world.truths}
    assert list(truths) == LANGID[:3]
    cld2 = truths["pycld2"]
    assert cld2.variant.profile.latency_s.p50 == pytest.approx(cld2.execution_s.p50 / 2)
    assert (cld2.accuracy, cld2.variant.profile.accuracy) == (0.7579, 0.9141)
    slow, new, gone = scenario.world.changes
    assert (slow.at_s, slow.truth.accuracy) == (100, 0.5)
    assert slow.truth.execution_s.p50 == pytest.approx(4 * cld2.execution_s.p50)
    assert (new.name, new.truth.accuracy, scenario.order[-1]) == ("lingua_high_45", 0.9141, "lingua_high_45")
    assert (gone.name, gone.truth) == ("pycld2", None)


def test_phases_follow_each_other_or_are_mixed(tmp_path):
    """Weights by the part of the run; then two deadlines, three to one (sd 0.01)."""
    text = """
extends = "langid-poisson-1"
objective = [{from_share = 0, latency_weight = 1.0, deadlines_s = [1]}, {from_share = 0.25, latency_weight = 0.0}]
"""
    for case in load(written(tmp_path, text)).cases(1):
        early = case.request.arrival_at < 500
        assert case.request.weights.latency == (1.0 if early else 0.0)
        assert (case.request.deadline_at is None) == (not early)
    mixed = ["objective=[{share=3, deadlines_s=[1]}, {share=1, deadlines_s=[2], min_accuracy=0.9}]"]
    cases = load("langid-poisson-1", overrides=mixed).cases(1)
    floors = [case.request.min_accuracy for case in cases]
    assert floors.count(None) / len(floors) == pytest.approx(0.75, abs=0.05)


def test_settings_and_platform_reach_world_and_selector():
    """Overrides by dotted names, as on the command line."""
    given = ["platform.always=['pycld2']", "platform.window_s=10", "selector.price_per_gb_s=1e-4"]
    scenario = load("langid-on-off", overrides=given)
    assert scenario.world.truths[0].annotations["autoscaling.knative.dev/min-scale"] == "1"
    assert scenario.world.truths[1].annotations["autoscaling.knative.dev/window"] == "10s"
    assert scenario.settings.price_per_gb_s == scenario.price_per_gb_s == 1e-4
    assert scenario.settings.platform_start_s.p50 == 1.5


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("workload.rate=-1", ["workload.rate", "-1", ">= 0"]),
        ("workload.rate='fast'", ["workload.rate", "'fast'", "float"]),
        ("workload.kind='often'", ["workload.kind", "'often'"]),
        ("workload.pace=3", ["workload", "pace", "some of rate, steps"]),
        ("duration_s.foo=3", ["duration_s", "found 2000", "wanted a table"]),
        ("duration_s=inf", ["duration_s", "found inf", "finite"]),
        ("objective.5.share=1", ["objective", "found '5'", "from 0 to 0"]),
        ("objective.x=1", ["objective", "found 'x'", "from 0 to 0"]),
        ("objective=5", ["objective", "found 5", "array"]),
        ("objective.0.deadline_multiple=[1, 2]", ["objective[0].deadline_multiple", "deadlines_s", "one of both"]),
        ("objective=[{deadline_multiple=[5, 1]}]", ["objective[0].deadline_multiple", "[5, 1]", "[low, high]"]),
        ("platform.start_p50_s=3", ["platform.start_p50_s", "found 3", "platform.start_p95_s", "2.263", "set both"]),
        ("selector.platform_start_s=[1]", ["selector.platform_start_s", "found [1]", "length 2"]),
        ("selector.platform_start_s=[3, 1]", ["selector.platform_start_s", "found [3, 1]", "p95 not below p50"]),
        ("selector.max_warm_gb=[1, 2]", ["selector.max_warm_gb", "found [1, 2]", "float"]),
        ("selector.max_warm_gb=-3", ["selector.max_warm_gb", "found -3", ">= 0"]),
        ("selector.price_per_gb_s=nan", ["selector.price_per_gb_s", "found nan", "finite"]),
        ("selector.price_per_gb_s=-1", ["selector.price_per_gb_s", "found -1", ">= 0"]),
        ("selector.price_per_gb_s=true", ["selector.price_per_gb_s", "found True", "float"]),
        ("selector.hedge=7", ["selector.hedge", "found 7", "bool"]),
        ("variants.only=['pycld2', 'pycld2']", ["variants.only", "pycld2 twice"]),
        ("workload={kind='trace', file='gone.csv'}", ["workload.file", "'gone.csv'", "workload.stand_in"]),
        ("duration_s=0", ["duration_s", "found 0", "> 0"]),
        ("platform.always=['cld9']", ["platform.always", "cld9", "pycld2"]),
        ("selector.prise=1", ["selector", "prise", "price_per_gb_s"]),
        ("drift=[{at_s=9, variant='pycld2', accuracy=0.1}]", ["drift.accuracy", "'recorded'", "'nested'"]),
        ("objective=[]", ["objective", "none", "[[objective]]"]),
        ("variants.table='no.csv'", ["no.csv", "name, accuracy"]),
        ("variants.only=['cld9']", ["variants.only", "cld9", "pycld2"]),
        ("variants.predictions='langid_variants.csv'", ["langid_variants.csv", "label"]),
    ],
)
def test_a_wrong_field_is_named_with_what_was_found_and_wanted(change, wanted):
    """In one line each."""
    with pytest.raises(SetupError) as told:
        load("langid-poisson-1", overrides=[change])
    assert all(part in str(told.value) for part in wanted), str(told.value)
    assert str(told.value).startswith(f"--set {change}: ")
    assert ".toml" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_wrong_file_is_named(tmp_path):
    """Neither a name nor a file; no TOML; a circle; a number that is none, with its line."""
    with pytest.raises(SetupError, match=r"no scenario 'langid-fast'.*langid-poisson-1"):
        load("langid-fast")
    with pytest.raises(SetupError, match=r"own.toml.*wanted TOML"):
        load(written(tmp_path, "a = "))
    with pytest.raises(SetupError, match=r"own.toml: extends: found a circle"):
        load(written(tmp_path, 'extends = "own"'))
    written(tmp_path, "name,accuracy,latency_p50_s,latency_p95_s,cold_start_p50_s,cold_start_p95_s,memory_mb,"
            "concurrency,max_scale\na,good,1,2,1,2,5,1,1\n", "v.csv")  # fmt: skip
    with pytest.raises(SetupError, match=r"v.csv: line 2: accuracy: found 'good', wanted a number"):
        load(written(tmp_path, 'extends = "langid-poisson-1"\nvariants = {table = "v.csv"}'))
    with pytest.raises(SetupError, match="data folder: found nothing"):
        load("langid-on-off", tmp_path / "absent")
