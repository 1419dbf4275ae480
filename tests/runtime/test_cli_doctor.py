"""`warmfront doctor` and `deploy` on the embedded Knative: what a cluster has and this has not is never a crash."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WARMFRONT = Path(sys.executable).with_name("warmfront")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with the selector and one variant."""
    shutil.copytree(ROOT / "selector_fn", tmp_path / "selector_fn")
    shutil.copytree(ROOT / "functions" / "langid_cld2", tmp_path / "functions" / "langid_cld2")
    (tmp_path / "knative").mkdir()
    for name in ("selector.yaml", "variants/langid-cld2.yaml"):
        shutil.copy(ROOT / "knative" / "base" / name, tmp_path / "knative")
    return tmp_path


def run(folder: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in that folder, without a kubeconfig but the folder's own."""
    env = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"} | {"HOME": str(folder), **variables}
    command = [str(WARMFRONT), *args]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What doctor found, by check."""
    return {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}


@pytest.fixture
def up(project: Path) -> Iterator[Path]:
    """The folder in which `warmfront up` runs."""
    log = project / "up.log"
    with log.open("w") as out:
        process = subprocess.Popen([str(WARMFRONT), "up", "--port", "0"], cwd=project, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 60
        while "export KUBECONFIG=" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield project
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def test_a_running_embedded_knative_is_sound(up: Path) -> None:
    """No failure; what only clusters have is not applicable; the selector tells of its watches; people get lines."""
    done = run(up, "doctor", "--port", "0", "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = findings(done)
    assert not [finding for finding in found.values() if finding["status"] == "fail"]
    for check in ("ingress", "your permissions", "initial scale zero", "clock"):
        assert found[check]["status"] == "not applicable here"
    assert "embedded" in found["API server"]["found"]
    assert found["URL of Services"]["status"] == "ok"
    assert "services: watching" in found["selector"]["found"]
    assert found["function langid_cld2"]["status"] == "ok"
    assert " wrong, " in run(up, "doctor", "--port", "0").stdout.splitlines()[-1]


def test_a_laptop_before_up(project: Path) -> None:
    """With nothing running the machine is judged; a function without its program fails with what to run, exit 1."""
    fine = run(project, "doctor", "--port", "0", "-o", "json")
    assert fine.returncode == 0, fine.stdout
    assert findings(fine)["API server"]["status"] == "warn"
    (project / "functions" / "langid_cld2" / "requirements.txt").write_text("no-such-package-at-all>=1\n")
    broken = run(project, "doctor", "--port", "0", "-o", "json")
    assert broken.returncode == 1
    assert "warmfront build langid_cld2" in findings(broken)["function langid_cld2"]["remedy"]


def test_a_kubeconfig_that_leads_nowhere(project: Path) -> None:
    """Somebody's choice of a cluster that does not answer is a failure, told in one finding and no traceback."""
    config = project / "kubeconfig"
    named = {"name": "x"}
    config.write_text(
        json.dumps(
            {
                "current-context": "x",
                "contexts": [{**named, "context": {"cluster": "x", "user": "x"}}],
                "clusters": [{**named, "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{**named, "user": {}}],
            }
        )
    )
    done = run(project, "doctor", "--port", "0", "-o", "json", KUBECONFIG=str(config))
    assert done.returncode == 1
    assert findings(done)["API server"]["status"] == "fail"
    assert "Traceback" not in done.stderr


def test_deploy_without_kn_says_where_to_get_it(project: Path) -> None:
    """One line with the remedy; a dry run needs neither kn nor a cluster; files for GitOps do not either."""
    nothing = {"PATH": str(project), "KN": ""}
    done = run(project, "deploy", **nothing)
    assert done.returncode == 1
    assert "kn is not on PATH; get it from" in done.stderr
    dry = run(project, "deploy", "--dry-run", **nothing)
    assert dry.returncode == 0
    assert "\nkn service apply selector -n default -f knative/selector.yaml " in dry.stdout
    written = run(project, "deploy", "--target", "out", "-n", "prod", "--policy", "fastest", **nothing)
    assert written.returncode == 0
    assert "namespace: prod" in (project / "out" / "service-selector.yaml").read_text()
    assert run(project, "deploy", "--policy", "nosuch", "--dry-run").returncode == 2


def test_undeploy_of_what_deploy_did_not_make(up: Path) -> None:
    """What `up` applied is nobody's to remove."""
    done = run(up, "undeploy", "--yes", KN="/bin/true")
    assert done.returncode == 0, done.stderr
    assert "nothing in namespace default was created by `warmfront deploy`" in done.stdout
