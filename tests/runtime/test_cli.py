"""The command line as people use it: `up` in one terminal, everything else in another."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml
from tests.runtime.terminal import ROOT, WARMFRONT, Up, children_of, eventually, start, stop


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with the selector, one variant and their manifests."""
    shutil.copytree(ROOT / "selector_fn", tmp_path / "selector_fn")
    for function in ("langid_cld2", "event_log"):
        shutil.copytree(ROOT / "functions" / function, tmp_path / "functions" / function)
    manifests = tmp_path / "knative"
    manifests.mkdir()
    for name in ("broker.yaml", "triggers.yaml", "selector.yaml", "event-log.yaml", "variants/langid-cld2.yaml"):
        shutil.copy(ROOT / "knative" / "base" / name, manifests)
    broker = yaml.safe_load((manifests / "broker.yaml").read_text())
    del broker["spec"]["delivery"]["deadLetterSink"]  # dead letters are kept, and shown by `letters`
    (manifests / "broker.yaml").write_text(yaml.safe_dump(broker))
    return tmp_path


@pytest.fixture
def up(project: Path) -> Iterator[Up]:
    """`warmfront up` for one test."""
    running = start(project)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            stop(running)


def test_ask_and_be_told_why(up: Up) -> None:
    """`infer` prints the answer first, then who gave it, why, and all candidates; every line fits 80 columns."""
    done = up.run("infer", "langid", "Wo ist der nächste Bahnhof?", "--deadline", "5s")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "de"
    assert lines[1].startswith("by langid-cld2, ")
    assert "effective" in lines[2]
    assert re.search(r"\* +langid-cld2 +(cold|starting|warm) ", done.stdout)
    assert max(map(len, lines)) <= 80


def test_ask_by_event_and_from_standard_input(up: Up) -> None:
    """The same question as a CloudEvent, the text from a pipe, the answer as JSON."""
    done = up.run("infer", "langid", "-", "--event", "-o", "json", stdin="Où est la gare ?")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["answer"]["label"] == "fr"
    assert said["reply"]["variant"] == "langid-cld2"
    assert said["decision"]["chosen"] == "langid-cld2"


def test_tasks_lists_variants(up: Up) -> None:
    """`tasks` names the task and its variants, for people and for programs."""
    assert "langid-cld2" in up.run("tasks").stdout
    listed = json.loads(up.run("tasks", "langid", "-o", "json").stdout)
    assert [variant["variant"] for variant in listed["variants"]] == ["langid-cld2"]


def test_what_nobody_took_is_listed(up: Up) -> None:
    """An event for an unknown task is refused for good; `letters` names it, its Trigger and the selector's words."""
    assert up.run("letters").stdout == "no dead letters\n"
    broker = re.search(r"^broker +(\S+)$", up.printed(), re.MULTILINE)
    assert broker is not None
    host, _, path = broker[1].removeprefix("http://").partition("/")
    connection = HTTPConnection("127.0.0.1", int(host.rpartition(":")[2]), timeout=10)
    attributes = {"specversion": "1.0", "id": "odd-1", "source": "/test", "subject": "nosuch"}
    headers = {f"ce-{name}": value for name, value in attributes.items()} | {"Host": host}
    connection.request("POST", f"/{path}", b"x", headers | {"ce-type": "dev.warmfront.inference.request"})
    assert connection.getresponse().status == 202
    connection.close()
    assert eventually(lambda: "odd-1" in up.run("letters").stdout)
    shown = up.run("letters", "-o", "json")
    assert shown.returncode == 0, shown.stderr
    letter = json.loads(shown.stdout)
    assert (letter["event"]["id"], letter["trigger"], letter["failure"]["code"]) == ("odd-1", "inference-requests", 422)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("infer", "nosuch", "hi"), "no variant serves task 'nosuch'"),
        (("infer", "langid", "hi", "--min-accuracy", "1", "--on-miss", "reject"), "meets the objective"),
        (("infer", "langid", "hi", "--deadline", "3"), "'3' is not a duration"),
        (("tasks", "-n", "elsewhere"), "namespace elsewhere has no Service 'selector'"),
        (("infer", "langid", "hi", "--selector", "http://127.0.0.1:1"), "no selector answers at http://127.0.0.1:1"),
        (("up", "--port", "0"), "`warmfront up` already runs on .warmfront (process "),
    ],
)
def test_errors_name_the_remedy(up: Up, args: tuple[str, ...], said: str) -> None:
    """Whatever goes wrong is said in a line without a traceback, and the exit status tells."""
    done = up.run(*args)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("warmfront:")]) <= 1


def test_ctrl_c_leaves_no_process(project: Path) -> None:
    """Ctrl-C drains and ends with status 0, and no replica outlives `up`."""
    up = start(project)
    assert up.run("infer", "langid", "Guten Tag").returncode == 0
    replicas = children_of(up.process.pid)
    assert len(replicas) >= 2
    assert stop(up) == 0
    assert not [pid for pid in replicas if Path(f"/proc/{pid}").exists()]


def test_an_edited_function_is_a_new_revision(project: Path) -> None:
    """`up --watch`: after an edit the next answers come from the edited code, without a command."""
    up = start(project, "--watch")
    try:
        assert up.run("infer", "langid", "Guten Tag", "-o", "json").returncode == 0
        main = project / "functions" / "langid_cld2" / "main.py"
        main.write_text(main.read_text() + '\nLABELS["de"] = "deutsch"\n')

        def edited() -> bool:
            said = json.loads(up.run("infer", "langid", "Guten Tag, wie geht es?", "-o", "json").stdout)
            return said["answer"]["label"] == "deutsch" and said["reply"]["variant"] == "langid-cld2"

        assert eventually(edited, 15.0)
        assert "langid_cld2 edited: langid-cld2" in up.printed()
    finally:
        stop(up)


def test_without_a_platform_the_remedy_is_named(tmp_path: Path) -> None:
    """Outside of any cluster `infer` says what to start."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [str(WARMFRONT), "infer", "langid", "x"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("warmfront: no Kubernetes API found")
    assert "run `warmfront up`" in done.stderr


def test_help_of_every_command_fits_80_columns() -> None:
    """`--help` works for all, with one line each in the overview."""
    overview = subprocess.run([str(WARMFRONT), "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  (\w+)  ", overview, re.MULTILINE)
    assert {"demo", "up", "infer", "tasks", "letters", "build", "completion"} <= set(commands)
    for name in commands:
        shown = subprocess.run([str(WARMFRONT), name, "--help"], capture_output=True, text=True, check=True).stdout
        assert max(map(len, shown.splitlines())) <= 80, name
