"""`langid-ray`, a Ray Serve application, as a variant behind the selector: as people run it, by `warmfront up`.

Rule: it runs where the environment is that `warmfront build langid_ray` makes in this tree (`make test-ray`), since Ray
takes 500 MB to install and is in no extra of this project.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.runtime.terminal import ROOT, Up, children_of, eventually, start, stop

from warmfront.errors import SetupError
from warmfront.runtime.environments import Environments

STATE = ROOT / ".warmfront"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the selector and langid-ray, with the environment that was built in this tree."""
    try:
        Environments(root=ROOT, state=STATE).resolve("langid-ray")
    except SetupError as error:
        pytest.skip(str(error))
    shutil.copytree(ROOT / "selector_fn", tmp_path / "selector_fn")
    shutil.copytree(ROOT / "functions" / "langid_ray", tmp_path / "functions" / "langid_ray")
    (tmp_path / "knative").mkdir()
    shutil.copy(ROOT / "knative/base/selector.yaml", tmp_path / "knative")
    shutil.copy(ROOT / "knative/components/langid-ray/langid-ray.yaml", tmp_path / "knative")
    (tmp_path / ".warmfront").mkdir()
    (tmp_path / ".warmfront" / "environments").symlink_to(STATE / "environments")
    return tmp_path


def test_a_ray_serve_application_is_routed_to(project: Path) -> None:
    """Cold at first, ready when the application is and not when its proxy is, then warm; and Ray leaves nothing."""
    up: Up = start(project)
    try:
        first = up.run("infer", "langid", "Wo ist der nächste Bahnhof?", "-o", "json", "--deadline", "50s")
        assert first.returncode == 0, first.stderr + up.printed()
        said = json.loads(first.stdout)
        assert said["answer"]["label"] == "de"
        assert (said["reply"]["variant"], said["reply"]["cold-start"]) == ("langid-ray", "true")
        again = json.loads(up.run("infer", "langid", "Où est la gare, s'il vous plaît ?", "-o", "json").stdout)
        assert again["answer"]["label"] == "fr"
        assert again["reply"]["cold-start"] == "false"
        replicas = children_of(up.process.pid)
        assert len(replicas) > 8  # Ray is many processes
    finally:
        assert stop(up) == 0
    assert eventually(lambda: not [pid for pid in replicas if alive(pid)])


def alive(pid: int) -> bool:
    """Whether a process runs that is no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
