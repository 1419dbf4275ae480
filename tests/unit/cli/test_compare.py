"""`simulate` and `compare` as they are typed."""

import io
import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from rich.console import Console

from warmfront.cli.app import cli
from warmfront.cli.standings import folded, standings
from warmfront.errors import SetupError
from warmfront.experiments import comparison
from warmfront.experiments.comparison import Comparison, Standing
from warmfront.experiments.metrics import Interval

SHORT = ["--set", "duration_s=600"]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In an empty folder, in a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def warmfront(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args))


def test_compare_prints_a_table_and_writes_summary_and_report(tmp_path):
    """Best first, no line over 80 columns, one line per quarter of the runs; then all figures as JSON, and a page."""
    policies = "fastest,effective@no-keep@keep:cheapest,offline-optimum"
    done = warmfront(
        "compare", "langid-poisson-0.1", "--policies", policies, "--seeds", "100-101", "--out", "o", *SHORT
    )
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:2] == ["Four language identifiers, 0.1 requests per second.", "variants: langid_variants.csv"]
    assert sum(line.endswith("of 6 runs") for line in lines) == 4
    first = [line.split()[0] for line in lines if line.startswith(("fastest", "effective@", "offline-"))]
    assert first == ["offline-optimum", "effective@no-keep", "fastest"]
    told = json.loads((tmp_path / "o" / "summary.json").read_text())
    assert told["overrides"] == ["duration_s=600"]
    assert list(told["policies"]) == ["offline-optimum", "effective@no-keep@keep:cheapest", "fastest"]
    assert (tmp_path / "o" / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_one_seed_has_no_interval(tmp_path):
    """Called `1 seed`."""
    done = warmfront("compare", "langid-poisson-0.1", "--policies", "fastest", "--seeds", "1", "--out", "o", *SHORT)
    assert "\n1 seed; regret against fastest; " in done.output
    assert " to " not in done.output


def test_an_interrupted_comparison_says_that_it_goes_on(monkeypatch):
    """As profile does."""

    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "play", interrupted)
    done = warmfront("compare", "langid-poisson-0.1", "--out", "o", "--workers", "1", *SHORT)
    assert done.exit_code == 130
    assert done.output.splitlines()[-1] == "stopped; the same command goes on from o"


def test_losses_fit_and_read_well():
    """Two negative intervals beside the longest figures, in 80 columns."""
    wide = Interval(-0.128, -0.136, -0.12)
    share, worst = Interval(1.0, 1.0, 1.0), Interval(1234.5, 1.0, 9999.0)
    one = Standing(
        utility=wide, effective_accuracy=share, on_time=share, gb_s_per_request=worst, cold_wait_share=share,
        starts_per_1000=worst, regret=wide, also={}, calibration=[], attainment=[], over_time=[],
    )  # fmt: skip
    table = standings(
        Comparison(
            scenario="s", description="d", sources={}, overrides=[], seeds=[0, 1], price_per_gb_s=0.001,
            waiting_price_per_s=None, weighted=False, reference="x", digest="d",
            policies={"effective@no-keep@keep:cheapest": one},
        )
    )  # fmt: skip
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("-.136 to -.120") for line in lines) == 2
    assert [line.split()[0] for line in lines[-2:]] == ["effective@no-keep", "@keep:cheapest"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("effective", ["effective"]),
        ("effective@no-keep@keep:cheapest", ["effective@no-keep", "@keep:cheapest"]),
        ("clairvoyant@keep:aaaa+bbbb", ["clairvoyant", "@keep:aaaa+bbbb"]),
        ("lowest-network-latency@no-plan", ["lowest-network", "-latency@no-plan"]),
    ],
)
def test_names_break_at_their_parts(name, lines):
    """Seventeen characters to a line."""
    assert folded(name).splitlines() == lines


def test_help_names_who_else_is_compared():
    """And calls only regret's intervals paired."""
    said = " ".join(warmfront("compare", "--help").output.split())
    for name in ("cocktail", "clairvoyant", "offline-optimum"):
        assert name in said
    assert "those of regret over the differences seed by seed" in said
    assert "paired bootstrap" not in said


def test_an_experiment_elsewhere_says_what_folder_it_wants():
    """Before anything is played."""
    done = warmfront("experiment", "live-bursts", "--out", "o")
    assert isinstance(done.exception, SetupError)
    assert "found no knative/base/selector.yaml, wanted the project's folder: work there or give --root" in str(
        done.exception
    )


def test_simulate_explains_every_decision(tmp_path):
    """One row each with everyone's numbers: for `effective` the score is accuracy times probability less the price."""
    done = warmfront("simulate", "langid-floor", "--seed", "7", "--explain", "--out", "r.jsonl", *SHORT)
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    decisions = [row for row in rows if row["kind"] == "decision"]
    assert f"and {len(decisions)} decision rows in r.jsonl" in done.output
    assert [row["request_id"] for row in decisions] == [f"r{i}" for i in range(len(decisions))]
    for decision in decisions:
        assert decision["chosen"] in {one["variant"] for one in decision["candidates"]}
        for one in decision["candidates"]:
            assert one["accuracy"] * one["probability"] - one["price"] == pytest.approx(one["score"])
    why = {one["excluded"] for decision in decisions for one in decision["candidates"]} - {""}
    assert why
    assert all("is below the floor" in one for one in why)


def test_simulate_writes_all_rows(tmp_path):
    """As many request rows as it says, then replica rows; a second run replaces the first."""
    for _ in range(2):
        done = warmfront(
            "simulate", "langid-poisson-0.1", "--policy", "fastest", "--seed", "7", "--out", "r.jsonl", *SHORT
        )
        assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    requests = [row for row in rows if row["kind"] == "request"]
    replicas = [row for row in rows if row["kind"] == "replica"]
    assert len(requests) + len(replicas) == len(rows)
    assert f"{len(requests)} request rows and {len(replicas)} replica rows in r.jsonl" in done.output
    assert {(row["seed"], row["policy"]) for row in requests} == {(7, "fastest")}
    assert f"{sum(row['on_time'] for row in requests) / len(requests):.1%}" in done.output


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--seeds", "9-3"], "'9-3' are no seeds"),
        (["--seeds", "few"], "'few' are no seeds"),
        (["--workers", "0"], "'--workers'"),
        (["--data", "absent"], "'absent' does not exist"),
    ],
)
def test_wrong_options_are_refused(args, said):
    """With what was found and how to write it."""
    done = warmfront("compare", "langid-on-off", "--out", "o", *args)
    assert done.exit_code == 2
    assert said in done.output


def test_a_wrong_scenario_or_policy_is_a_set_up_error():
    """Raised for the one line that the entry point prints."""
    for args in (["nowhere"], ["langid-on-off", "--policies", "best"], ["langid-on-off", "--set", "duration_s=-1"]):
        done = warmfront("compare", *args, "--out", "o")
        assert isinstance(done.exception, SetupError)
        assert "found" in str(done.exception) or "no scenario" in str(done.exception)


@pytest.mark.parametrize("policies", ["", ","])
def test_no_policies(policies):
    """Names them."""
    done = warmfront("compare", "langid-on-off", "--policies", policies, "--out", "o")
    assert isinstance(done.exception, SetupError)
    assert f"--policies: found {policies!r}, wanted names such as" in str(done.exception)


def test_runs_without_requests_are_refused_before_any_is_played(tmp_path):
    """With what to set."""
    for command in ("compare", "simulate"):
        done = warmfront(command, "langid-poisson-0.01", "--set", "duration_s=1", "--out", "o")
        assert isinstance(done.exception, SetupError)
        assert "found no request in the 1 s that are played (seed 0)" in str(done.exception)
    assert not (tmp_path / "o").exists()


def test_the_optimum_needs_a_price():
    """Free memory has no best amount."""
    free = ["--set", "selector.price_per_gb_s=0", "--policies", "offline-optimum", "--seeds", "1"]
    done = warmfront("compare", "langid-poisson-0.1", "--out", "o", *SHORT, *free)
    assert isinstance(done.exception, SetupError)
    assert "offline-optimum: found selector.price_per_gb_s = 0, wanted more than 0" in str(done.exception)


def test_the_shell_completes_scenarios():
    """By name."""
    completed = ShellComplete(cli, {}, "warmfront", "_WARMFRONT_COMPLETE").get_completions(["compare"], "drift-")
    assert [item.value for item in completed] == ["drift-gone", "drift-new", "drift-slows", "drift-worse"]
