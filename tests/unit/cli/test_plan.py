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
        more = ["--arrivals", "trace.csv", "--workers", "1", "--seeds", "2", *args]
        return CliRunner().invoke(cli, ["plan", "mine.csv", *more], catch_exceptions=False)

    return run


def test_what_to_keep_and_how_to_do_it(plan, tmp_path):
    """Nobody starts in time: the cheap one is kept; the command, the manifest and the scenario say so."""
    done = plan("--deadline-ms", "500", "--policy", "effective@no-plan")
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


def test_nothing_to_change(plan):
    """With a minute of time everybody starts soon enough, and memory costs nothing."""
    done = plan("--deadline-ms", "60000", "--price", "0", "--policy", "effective@no-plan")
    assert done.exit_code == 0
    assert "leave it as it is" in done.output
    assert "kn service update" not in done.output


@pytest.mark.parametrize("given", ["soon", "0", "200,-1", ","])
def test_deadlines_that_are_none(plan, given):
    """Says what to write."""
    done = plan("--deadline-ms", given)
    assert done.exit_code == 2
    assert "are no deadlines; write milliseconds above 0, such as 200 or 200,1000" in " ".join(done.output.split())


def test_a_table_has_no_services(plan):
    """Said before anything is played."""
    with pytest.raises(SetupError, match=r"mine\.csv: a table has no Services to change"):
        plan("--apply")
