"""What is said of a wrong table, trace or scenario file: which file, which line or field, what was found and wanted."""

from pathlib import Path

import msgspec
import pytest

from warmfront.errors import SetupError
from warmfront.experiments import csv_file
from warmfront.experiments.scenarios import load
from warmfront.experiments.scenarios.schema import Selector
from warmfront.selection.settings import SelectorSettings

HEADER = "name,accuracy,latency_p50_s,latency_p95_s,cold_start_p50_s,cold_start_p95_s,memory_mb,concurrency,max_scale"
GOOD = "a,0.8,1,2,1,2,50,1,2"
OWN = 'extends = "langid-poisson-1"\nvariants = {table = "v.csv", correctness = "nested"}\n'


@pytest.fixture(autouse=True)
def without_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No measured traces unless a test names a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARMFRONT_DATA", raising=False)


def scenario(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text)
    return path


def said(path: Path, *overrides: str, data: Path | None = None) -> str:
    with pytest.raises(SetupError) as told:
        load(path, data, overrides)
    return str(told.value)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([], "v.csv: found no rows below the header, wanted one per variant"),
        (["b,nan,1,2,1,2,50,1,2"], "v.csv: line 2: accuracy: found 'nan', wanted a number from 0 to 1"),
        (["b,91.4,1,2,1,2,50,1,2"], "v.csv: line 2: accuracy: found '91.4', wanted a number from 0 to 1"),
        (["b,0.9,1,2,1,2,nan,1,2"], "v.csv: line 2: memory_mb: found 'nan', wanted a number above 0"),
        (["b,0.9,1,2,1,2,inf,1,2"], "v.csv: line 2: memory_mb: found 'inf', wanted a number above 0"),
        (["b,0.9,1,2,1,2,0,1,2"], "v.csv: line 2: memory_mb: found '0', wanted a number above 0"),
        (["b,0.9,1,2,1,2,-5,1,2"], "v.csv: line 2: memory_mb: found '-5', wanted a number above 0"),
        (["b,0.9,1,inf,1,2,50,1,2"], "v.csv: line 2: latency_p95_s: found 'inf', wanted a number above 0"),
        (["b,0.9,1,2,3,2,50,1,2"], "line 2: cold_start_p95_s: found 2, wanted cold_start_p50_s, which is 3, or more"),
        (["b,0.9,1,2,1,2,50,inf,2"], "v.csv: line 2: concurrency: found 'inf', wanted a whole number, 0 or more"),
        (["b,0.9,1,2,1,2,50,1.7,2"], "v.csv: line 2: concurrency: found '1.7', wanted a whole number, 0 or more"),
        ([GOOD, GOOD], "v.csv: line 3: name: found a second row of 'a', wanted a name of its own"),
        ([GOOD, ",0.9,1,2,1,2,50,1,2"], "v.csv: line 3: name: found no name, wanted a name of its own"),
        ([GOOD, "b,0,9,1,2,1,2,50,1,2"], "v.csv: line 3: found 10 cells, wanted 9 as in the header"),
    ],
)
def test_variants(tmp_path, rows, wanted):
    """File, line and column."""
    (tmp_path / "v.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    assert wanted in said(scenario(tmp_path, OWN))


def test_published_figures(tmp_path):
    """Of timm's table too."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/timm_imagenet_dev.csv").write_text(
        "model,img_size,top1_pct,params_m,cpu_b1_ms_i7_12700h\nm,224,80,few,10\n"
    )
    told = said(scenario(tmp_path, 'extends = "timm-on-off"\nvariants = {only = ["m@224"]}\n'), data=tmp_path)
    assert "timm_imagenet_dev.csv: line 2: params_m: found 'few', wanted a number above 0" in told


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ("arrival_s\n1\nnan\n", "t.csv: line 3: arrival_s: found 'nan', wanted a number, 0 or more"),
        ("arrival_s\n1\n\n\nsoon\n", "t.csv: line 5: arrival_s: found 'soon', wanted a number, 0 or more"),
        ("arrival_s\n1\ninf\n", "t.csv: line 3: arrival_s: found 'inf', wanted a number, 0 or more"),
        ("arrival_s\n-1\n2\n", "t.csv: line 2: arrival_s: found '-1', wanted a number, 0 or more"),
        ("arrival_s,size\n1,nan\n", "t.csv: line 2: size: found 'nan', wanted a number, 0 or more"),
        ("arrival_s,size\n1,-4\n", "t.csv: line 2: size: found '-4', wanted a number, 0 or more"),
    ],
)
def test_traces(tmp_path, rows, wanted):
    """No row is dropped in silence."""
    (tmp_path / "t.csv").write_text(rows)
    size = ', size_column = "size"' if "size" in rows else ""
    text = f'extends = "langid-poisson-1"\nworkload = {{kind = "trace", file = "t.csv"{size}}}\n'
    assert wanted in said(scenario(tmp_path, text))


def test_traces_lie_beside_the_scenario_or_in_the_data_folder(tmp_path):
    """Beside it first; nowhere is an error where the scenario itself names it, unless it has its own stand-in."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "t.csv").write_text("arrival_s\n7\n")
    named = 'extends = "langid-nasa"\nworkload = {kind = "trace", file = "t.csv", from_s = 0}\n'
    path = scenario(tmp_path, named)
    told = said(path)
    assert told.startswith(f"{path}: workload.file: found no 't.csv' beside the scenario, nor in a data folder")
    assert [one.at_s for one in load(path, data).arrivals(0)] == [7.0]
    (tmp_path / "t.csv").write_text("arrival_s\n5\n3\n")
    assert [one.at_s for one in load(path, data).arrivals(0)] == [3.0, 5.0]
    assert load("langid-nasa").sources["arrivals"].startswith("stand-in for")
    own = (
        'extends = "langid-nasa"\nworkload = {kind = "trace", file = "u.csv", stand_in = {kind = "timer", every_s = 9}}'
    )
    assert load(scenario(tmp_path, own)).sources["arrivals"] == "stand-in for u.csv"
    assert said(Path("langid-nasa"), "workload.file='u.csv'").startswith("--set workload.file='u.csv': workload.file: ")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"extends = 5", "extends: found 5, wanted the name of a scenario or a list of names"),
        (b'task = "\xe9"', f"not UTF-8 at byte {len(OWN) + 8}; wanted TOML, in UTF-8"),
        (b'drift = [{at_s = 5, variant = "a", appears = true}]', "drift: found that every variant appears later"),
        (
            b'drift = [{at_s = 5, variant = "a", gone = true}, {at_s = 9, variant = "a", execution_factor = 2}]',
            "drift: found a at 9 s, after it is gone",
        ),
        (b"duration_s = nan", "duration_s: found nan, wanted a finite number"),
        (b"selector = {hedge = 7}", "selector.hedge: found 7: Expected `bool`"),
    ],
)
def test_scenario_files(tmp_path, text, wanted):
    """What is wrong in a file is blamed on the file, also when an override is right."""
    (tmp_path / "v.csv").write_text(f"{HEADER}\n{GOOD}\n")
    path = tmp_path / "own.toml"
    path.write_bytes(text if b"extends" in text else OWN.encode() + text)
    for overrides in ([], ["platform.window_s=10"]):
        told = said(path, *overrides)
        assert told.startswith(f"{path}: ")
        assert wanted in told


def test_of_several_overrides_the_wrong_one_is_named():
    """Two that are right only together are right."""
    both = ["platform.start_p50_s=3", "platform.start_p95_s=4"]
    assert load("langid-poisson-1", overrides=both).file.platform.start_p95_s == 4
    wrong = said(Path("langid-poisson-1"), *both, "workload.rate=-1", "duration_s=60")
    assert wrong.startswith("--set workload.rate=-1: workload.rate: found -1")


@pytest.mark.parametrize(
    ("name", "overrides", "remedy"),
    [
        ("langid-poisson-0.01", ["duration_s=60"], "set a longer duration_s or a higher workload.rate"),
        ("langid-poisson-1", ["workload.rate=0"], "set a longer duration_s or a higher workload.rate"),
        ("langid-timer-900", ["duration_s=60"], "set a longer duration_s or a shorter workload.every_s"),
        ("langid-nasa", ["duration_s=0.01"], "set a longer duration_s or a higher workload.stand_in.rate"),
        ("late.toml", [], "set a longer duration_s or another workload.from_s"),
        ("none.toml", [], "set a longer duration_s or another workload.from_s"),
    ],
)
def test_a_run_without_requests(tmp_path, name, overrides, remedy):
    """How long it was, and what to set; a trace may begin after the end, or count nobody."""
    (tmp_path / "late.csv").write_text("arrival_s\n1700000000\n")
    (tmp_path / "none.csv").write_text("second,requests\n0,0\n1,0\n")
    for one in ("late", "none"):
        text = f'extends = "langid-poisson-1"\nworkload = {{kind = "trace", file = "{one}.csv"}}\n'
        (tmp_path / f"{one}.toml").write_text(text)
    loaded = load(name, overrides=overrides)
    with pytest.raises(SetupError) as told:
        loaded.cases(0)
    found = f"{loaded.name}: found no request in the {loaded.duration_s:g} s that are played (seed 0), wanted one"
    assert str(told.value) == f"{found} at least: {remedy}"


def test_selectors_can_be_told_all_there_is():
    """Field by field."""
    assert Selector.__struct_fields__ == tuple(SelectorSettings.__dataclass_fields__)
    assert msgspec.to_builtins(Selector()) == {}


def test_a_row_with_more_cells_than_the_header(tmp_path):
    """In any table that is handed in."""
    (tmp_path / "i.csv").write_text("input,label\nhello, you,en\n")
    with pytest.raises(SetupError, match=r"i.csv: line 2: found 3 cells, wanted 2 as in the header; put quotes"):
        csv_file.read(tmp_path / "i.csv", "a CSV file")
