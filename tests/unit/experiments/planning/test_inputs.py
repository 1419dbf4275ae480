"""From profiles, a trace and objectives to a scenario that can be played."""

import gzip
import json

import pytest

from warmfront.domain import Profile, Spread, Variant
from warmfront.errors import SetupError
from warmfront.experiments.planning import inputs
from warmfront.experiments.planning.inputs import Arrivals, Objective

TABLE = (
    "name,accuracy,latency_p50_s,latency_p95_s,cold_start_p50_s,cold_start_p95_s,memory_mb,concurrency,max_scale\n"
    "small,0.8,0.01,0.02,0.3,0.5,50,4,2\nlarge,0.9,0.02,0.05,5,9,1000,4,1\n"
)
WHOLE = Profile(
    accuracy=0.9, latency_s=Spread(p50=0.01, p95=0.02), cold_start_s=Spread(p50=1.0, p95=2.0), memory_mb=100
)


def variant(name: str, profile: Profile = WHOLE) -> Variant:
    return Variant(name=name, task="t", revision=f"{name}-00001", url="", profile=profile, concurrency=4)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TABLE)
    return path


def made(tmp_path, table, trace: str, **arrivals):
    folder = tmp_path / "plan"
    measured = inputs.from_table(table, folder)
    path = tmp_path / "trace.csv"
    path.write_text(trace)
    objective = Objective(deadlines_s=(0.2, 1.0), min_accuracy=0.85)
    return inputs.scenario(
        folder, "t", Arrivals(path=path, **arrivals), objective, price=0.002, measured=measured
    )  # fmt: skip


def test_single_arrivals(tmp_path, table):
    """To the end of the second of the last one."""
    scenario = made(tmp_path, table, "arrival_s\n1.5\n7.25\n")
    assert [arrival.at_s for arrival in scenario.arrivals(0)] == [1.5, 7.25]
    assert scenario.duration_s == 8.0
    assert scenario.price_per_gb_s == 0.002
    case = scenario.cases(3)[0].request
    assert (case.min_accuracy, case.deadline_at in {1.7, 2.5}) == (0.85, True)
    assert [truth.variant.name for truth in scenario.world.truths] == ["small", "large"]


def test_unsorted_arrivals(tmp_path, table):
    """In order, whatever the order of the rows; and nothing of a long trace's times is rounded away."""
    scenario = made(tmp_path, table, "arrival_s\n1234567.5\n3\n20\n")
    assert [arrival.at_s for arrival in scenario.arrivals(0)] == [3, 20, 1234567.5]
    assert scenario.duration_s == 1234568


def test_a_function_of_a_trace_without_functions(tmp_path, table):
    """Would be passed over in silence."""
    with pytest.raises(SetupError, match=r"trace.csv: found no functions, but the columns arrival_s; .*--function f"):
        made(tmp_path, table, "arrival_s\n1\n", function="f")


def test_a_wrong_table_is_named_itself(tmp_path, table):
    """Not its copy."""
    table.write_text(TABLE.replace("0.9", "90"))
    with pytest.raises(SetupError, match=rf"^{table}: line 3: accuracy: found '90', wanted a number from 0 to 1"):
        inputs.from_table(table, tmp_path / "p")


def test_counts_by_the_minute(tmp_path, table):
    """Three in the second minute and one in the fourth, of this function; from the second minute on it is 180 s."""
    trace = "function,minute,invocations\nf,1,3\nf,3,1\ng,9,50\n"
    assert made(tmp_path, table, trace, function="f").duration_s == 240
    scenario = made(tmp_path, table, trace, function="f", from_s=60.0)
    assert scenario.duration_s == 180
    assert len(scenario.arrivals(0)) == 4


def test_a_part_of_a_gzipped_trace(tmp_path, table):
    """Requests per second, the first two seconds of it."""
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"second,requests\n0,2\n1,0\n2,9\n"))
    inputs.from_table(table, tmp_path / "p")
    scenario = inputs.scenario(
        tmp_path / "p", "t", Arrivals(path=path, duration_s=2.0), Objective(), price=0.001, measured=False,
        overrides=["platform.start_p50_s=0.5"],
    )  # fmt: skip
    assert len(scenario.arrivals(0)) == 2
    assert scenario.cases(0)[0].request.deadline_at is None
    assert scenario.world.platform_start_s.p50 == 0.5


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        ("when\n1\n", "found the columns when; wanted arrival_s, or second and requests"),
        ("second,requests\n0,0\n", "found no arrivals from 0 s on"),
        ("arrival_s\n-1\n", "line 2: arrival_s: found '-1', wanted a number, 0 or more"),
        ("arrival_s\nsoon\n", "line 2: arrival_s: found 'soon', wanted a number"),
        ("second,requests\n0,many\n", "line 2: requests: found 'many', wanted a whole number"),
        ("arrival_s\n", "found no rows below a header; wanted arrivals"),
        ("", "found no rows below a header; wanted arrivals"),
        ("function,minute,invocations\nf,0,1\n", "found no '' in it, wanted one such as f"),
    ],
)
def test_traces_that_cannot_be_used(tmp_path, table, trace, said):
    """The file, what was found and what was wanted."""
    with pytest.raises(SetupError, match=rf"trace\.csv: .*{said}"):
        made(tmp_path, table, trace)


def test_declared_profiles_become_a_table(tmp_path):
    """Who lacks a figure is left out and named; when that is everybody it is an error that says what to do."""
    lacking = variant("b", Profile(accuracy=0.9, memory_mb=100))
    told = inputs.from_variants([variant("a"), lacking], tmp_path / "none", tmp_path / "p")
    assert told == (False, {"b": "latency_s, cold_start_s"})
    assert (tmp_path / "p/variants.csv").read_text().splitlines()[1:] == ["a,0.9,0.01,0.02,1.0,2.0,100,4,0,0.0,0.0"]
    with pytest.raises(SetupError, match=r"b \(latency_s, cold_start_s\); measure them: warmfront profile t --apply"):
        inputs.from_variants([lacking], tmp_path / "none", tmp_path / "p")


def test_what_was_measured_wins_if_it_is_of_these_revisions(tmp_path):
    """Of another revision it does not count; nor does it when there is a variant more that declares all of itself. One
    that declares nothing is left out.
    """
    measured = tmp_path / "measured"
    measured.mkdir()
    (measured / "variants.csv").write_text(TABLE.replace("small", "a").replace("large", "b"))
    (measured / "measured.toml").write_text('task = "t"\n[variants]\ntable = "variants.csv"\n')
    figures = [{"variant": name, "revision": f"{name}-00001"} for name in ("a", "b")]
    (measured / "figures.json").write_text(json.dumps(figures))
    there = [variant("a"), variant("b")]

    def taken(*more: Variant):
        return inputs.from_variants([*there, *more], measured, tmp_path / "p")

    assert taken() == (True, {})
    assert (tmp_path / "p/variants.csv").read_text() == (measured / "variants.csv").read_text()
    assert taken(variant("c", Profile(accuracy=0.9))) == (True, {"c": "latency_s, cold_start_s, memory_mb"})
    assert taken(variant("c")) == (False, {})
    figures[0]["revision"] = "a-00002"
    (measured / "figures.json").write_text(json.dumps(figures))
    assert taken() == (False, {})


def test_no_table(tmp_path):
    """Says what was wanted."""
    with pytest.raises(SetupError, match="no such file; wanted a CSV of variants, or the name of a task"):
        inputs.from_table(tmp_path / "gone.csv", tmp_path / "p")
