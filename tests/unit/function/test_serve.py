"""The launcher's parts that need no process: settings, targets, errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from warmfront.errors import SetupError
from warmfront.function.__main__ import main
from warmfront.function.serve import Settings, find
from warmfront.wire.server import Limits

MODEL = """
from warmfront.function import Prediction, model_function
handle = model_function("langid", lambda: lambda text: Prediction("de", 1.0))
other = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A function folder to import from, forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "wf_good.py").write_text(MODEL)
    (tmp_path / "wf_lacking.py").write_text("import wf_not_installed\n")
    for name in ("wf_good", "wf_lacking"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_settings() -> None:
    """PORT, HOST and THREADS are read; empty means default; without HOST nothing but the loopback can reach it."""
    assert Settings.from_environment({"PORT": "9000", "THREADS": "4"}) == Settings(port=9000, threads=4)
    assert Settings.from_environment({"PORT": "", "HOST": ""}).host == "127.0.0.1"
    assert Settings.from_environment({"HOST": "0.0.0.0"}).host == "0.0.0.0"


@pytest.mark.parametrize(("name", "value"), [("PORT", "http"), ("PORT", "65536"), ("THREADS", "0")])
def test_wrong_setting(name: str, value: str) -> None:
    """A wrong value is named with its rule."""
    with pytest.raises(SetupError, match=f"{name} is '{value}'; it must be a whole number from"):
        Settings.from_environment({name: value})


def test_finds_a_model(folder: Path) -> None:
    """The target comes back loaded."""
    assert find("wf_good:handle").ready


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("handle", "is not module:name"),
        ("wf_missing:handle", "start in the function's folder"),
        ("wf_lacking:handle", "no module named 'wf_not_installed'; install its requirements.txt"),
        ("wf_good:other", "has no model function 'other', only handle"),
    ],
)
def test_wrong_target(folder: Path, target: str, said: str) -> None:
    """Each way to miss says what was found and what to do."""
    with pytest.raises(SetupError, match=said):
        find(target)


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a target the launcher says how it is called."""
    assert main([]) == 2
    assert "main:handle" in capsys.readouterr().err


def test_start_loads_nothing_heavy() -> None:
    """Cold start is a feature: the launcher reaches no framework, no YAML, no terminal, no part of the selector."""
    code = "import sys, warmfront.function.__main__, warmfront.function.images; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    heavy = {"flask", "werkzeug", "functions_framework", "cloudevents", "yaml", "click", "rich", "numpy", "sqlite3"}
    heavy |= {f"warmfront.{part}" for part in ("kube", "selection", "gateway", "runtime", "experiments", "cli")}
    assert loaded & heavy == set()
    assert "warmfront.wire.server" in loaded


def test_idle_connections_outlive_the_proxy() -> None:
    """Knative's queue-proxy keeps idle connections for 90 s and cannot replay a POST: ours must close later."""
    assert Limits().idle_timeout_s > 90
