"""`kn warmfront ...`: the console script is a plugin of the stock kn, and the whole workflow works through it."""

import json
import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kn

ROOT = Path(__file__).parents[3]
PLUGIN = Path(sys.executable).with_name("kn-warmfront")


@pytest.fixture
def plugin(kn):
    """The stock kn with kn-warmfront on PATH, and itself where `deploy` looks for it, in the project's folder."""
    kn.environment |= {"PATH": f"{PLUGIN.parent}{os.pathsep}{os.environ['PATH']}", "KN": kn.binary, "COLUMNS": "80"}
    kn.home = ROOT
    return kn


def test_kn_lists_the_plugin(plugin) -> None:
    """`kn plugin list` finds it on PATH and has nothing to complain of."""
    listed = plugin("plugin", "list")
    assert str(PLUGIN) in listed.out
    assert "warning" not in (listed.out + listed.err).lower()


def test_help_speaks_as_kn_does(plugin) -> None:
    """The usage line is what one types, and the commands of the workflow are there."""
    shown = plugin("warmfront", "--help").out
    assert shown.startswith("Usage: kn warmfront ")
    for command in ("deploy", "undeploy", "infer", "explain", "tasks", "warm", "release", "doctor"):
        assert f"\n  {command} " in shown


def test_from_nothing_to_an_answer_and_back(plugin) -> None:
    """deploy, tasks, explain, infer, doctor, undeploy: each through kn, against an empty Knative."""
    deployed = plugin("warmfront", "deploy", "--min-scale", "1")
    assert "objects ready in" in deployed.out
    assert {service["metadata"]["name"] for service in plugin("service", "list", "-o", "json").json["items"]} >= {
        "selector",
        "langid-cld2",
    }

    task = plugin("warmfront", "tasks", "langid", "-o", "json").json
    assert len(task["variants"]) == 4

    decision = plugin("warmfront", "explain", "langid", "Guten Morgen", "--deadline", "1s", "-o", "json").json
    assert decision["chosen"] in {variant["variant"] for variant in task["variants"]}
    assert len(decision["candidates"]) == 4
    asleep = plugin("warmfront", "tasks", "langid", "-o", "json").json
    assert [v["ready"] + v["starting"] for v in asleep["variants"]] == [0] * 4, "to explain wakes nobody"

    said = plugin("warmfront", "infer", "langid", "Wo ist der Bahnhof?", "--deadline", "5s", "-o", "json").json
    assert said["answer"]["label"] == "de"

    findings = plugin("warmfront", "doctor", "--port", "0", "-o", "json").json["findings"]
    assert not [finding for finding in findings if finding["status"] == "fail"]

    plugin("warmfront", "undeploy", "--yes")
    assert not json.loads(plugin("service", "list", "-o", "json").out)["items"]
    assert "was created by" in plugin("warmfront", "undeploy").out


def test_dry_run_is_what_kn_itself_does(plugin) -> None:
    """The printed kn lines, run by a shell, make the Services and the Broker that deploy makes."""
    printed = plugin("warmfront", "deploy", "--dry-run", "-n", "byhand").out
    for line in printed.splitlines():
        if line.startswith("kn "):
            words = line.split()
            plugin(*words[1:])
    names = [
        service["metadata"]["name"] for service in plugin("service", "list", "-n", "byhand", "-o", "json").json["items"]
    ]
    assert len(names) == 6
    broker = plugin("broker", "describe", "default", "-n", "byhand", "-o", "json").json
    assert broker["spec"]["delivery"]["retry"] == 8
