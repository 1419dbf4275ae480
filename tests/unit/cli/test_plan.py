"""`warmfront plan` with a table of variants: no Knative needed."""

import pytest
import yaml
from click.testing import CliRunner

from warmfront.cli.app import cli
from warmfront.errors import SetupError

TABLE = (
    "name,accuracy,latency_p50_s,latency_p95_s,cold_start_p50_s,cold_start_p95_s,memory_mb,concurrency,max_scale\n"
    "cheap,0.8,0.01,0.02,3,4,5,4,2\ndear,0.95,0.01,0.02,3,4,1000,4,2\n"
)


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Run it there, in 80 columns, with one request every 400 s and half a second of time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "trace.csv").write_text("arrival_s\n" + "".join(f"{400 * i + 10}\n" for i in range(20)))
    (tmp_path / "mine.csv").write_text(TABLE)

    def run(*args: str):
        more = ["--arrivals", "trace.csv", "--workers", "1", "--seeds", "5", *args]
        return CliRunner().invoke(cli, ["plan", "mine.csv", *more], catch_exceptions=False)

    return run


def test_what_to_keep_and_how_to_do_it(plan, tmp_path):
    """Nobody starts in time: the cheap one is kept; the command, the manifest and the scenario say so."""
    done = plan("--deadline", "500ms", "--policy", "effective@no-plan")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert max(len(line) for line in lines if "build/plan" not in line and "kn service" not in line) <= 80
    assert "20 requests in 2.11 h of trace.csv; variants as declared" in lines[0]
    assert [line for line in lines if line.startswith("kn ")] == [
        "kn service update cheap --scale-min 1 --scale-window 60s --concurrency-limit 4"
    ]
    assert "better than now by +0." in done.output
    assert "never asked, so not needed for these arrivals: dear" in done.output
    parts = list(yaml.safe_load_all((tmp_path / "build/plan/mine/plan.yaml").read_text()))
    scaling = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["annotations"] for one in parts}
    assert scaling["cheap"]["autoscaling.knative.dev/min-scale"] == "1"
    assert scaling["dear"]["autoscaling.knative.dev/min-scale"] == "0"


def test_one_seed_tells_nothing(plan):
    """The gain is as large, without an interval and without a command."""
    done = plan("--deadline", "500ms", "--policy", "effective@no-plan", "--seeds", "1")
    said = " ".join(done.output.split())
    assert done.exit_code == 0
    assert "better than now" not in said
    assert "leave it as it is: the best is better by +0." in said
    assert "of utility per request, which 1 seed cannot tell from chance (more: --seeds 100-119; at least 5" in said
    assert " to +0." not in said
    assert not [line for line in done.output.splitlines() if line.startswith("kn ")]
    assert not [line for line in done.output.splitlines() if line.strip().startswith(".")]


def test_nothing_to_change(plan):
    """With a minute of time everybody starts soon enough, and memory costs nothing."""
    done = plan("--deadline", "60s", "--price", "0", "--policy", "effective@no-plan")
    assert done.exit_code == 0
    assert "leave it as it is" in done.output
    assert "kn service update" not in done.output


@pytest.mark.parametrize("given", ["soon", "0s", "200ms,-1s", "200,1000", ","])
def test_deadlines_that_are_none(plan, given):
    """Says what to write."""
    done = plan("--deadline", given)
    assert done.exit_code == 2
    assert "is not a duration; write a number above 0 with ms, s, m or h, such as 300ms" in " ".join(
        done.output.split()
    )


@pytest.mark.parametrize("option", ["--price", "--from", "--duration", "--min-accuracy"])
def test_numbers_that_are_none(plan, option):
    """Neither nan nor without end."""
    done = plan(option, "nan")
    assert done.exit_code == 2
    assert "'nan' is not a finite number" in done.output


def test_a_table_has_no_services(plan):
    """Said before anything is played."""
    with pytest.raises(SetupError, match=r"mine\.csv: a table has no Services to change"):
        plan("--apply")


def test_who_is_not_asked_by_what_is_not_taken_up_is_not_named(plan, tmp_path):
    """One request in time for a cold start of either: five seeds cannot tell a gain from chance, so all stays."""
    (tmp_path / "trace.csv").write_text("arrival_s\n1\n2\n")
    done = plan("--deadline", "5s", "--policy", "effective@no-plan")
    assert "leave it as it is" in done.output
    assert "never asked" not in done.output
    assert "-0.000 " not in done.output


def test_a_table_that_is_none(plan, tmp_path):
    """The file that was given is named, not a copy of it."""
    (tmp_path / "mine.csv").write_text("text,lang\nhallo,de\n")
    with pytest.raises(SetupError, match=r"^mine\.csv: found the columns text, lang; name, accuracy, .* wanted beside"):
        plan()
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("policy", ["clairvoyant", "cocktail"])
def test_a_policy_that_no_selector_runs(plan, policy):
    """What it would recommend could not be had."""
    with pytest.raises(SetupError, match=f"found policy '{policy}', which no selector runs; wanted one of cheapest, "):
        plan("--policy", policy)


def test_ctrl_c(plan, monkeypatch):
    """Status 130, and what becomes of the runs so far."""

    def interrupted(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr("warmfront.cli.plan._search", interrupted)
    done = plan("--deadline", "500ms")
    assert done.exit_code == 130
    assert done.stderr == "stopped; no run is kept, the same command begins anew\n"
