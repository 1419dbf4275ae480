"""The command line's entry point: how it ends when something is wrong."""

import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from warmfront.cli import main
from warmfront.cli.app import cli
from warmfront.cli.selector import Selector
from warmfront.cli.warm import _LONGEST_H
from warmfront.domain import LONGEST_KEEP_S
from warmfront.errors import SetupError

MODEL = Path(__file__).parents[3] / "functions/digits_models/small.onnx"


def test_a_place_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    """One line with the path and the reason, exit status 1; no traceback."""
    shutil.copy(MODEL, tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["warmfront", "import", "small.onnx", "--task", "t", "--out", "file/functions"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "warmfront: file/functions: not a directory; wanted a path that can be read or written here"
    ]


def test_ctrl_c(monkeypatch):
    """Status 130, as the shell has it for other programs, and no traceback."""

    def interrupted(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(Selector, "request", interrupted)
    done = CliRunner().invoke(cli, ["infer", "langid", "hallo"])
    assert (done.exit_code, done.stderr) == (130, "stopped\n")


def test_letters_of_a_folder_that_is_not_there(tmp_path):
    """Is not the same as a folder without letters."""
    with pytest.raises(
        SetupError, match=r"nope: no such folder; give the state folder of a `warmfront up` with --state"
    ):
        CliRunner().invoke(cli, ["letters", "--state", str(tmp_path / "nope")], catch_exceptions=False)
    done = CliRunner().invoke(cli, ["letters", "--state", str(tmp_path)])
    assert (done.exit_code, done.output) == (0, "no dead letters\n")


def test_kept_warm_for_too_long():
    """Said in the unit that was typed, before anybody is asked; the limit is the selector's."""
    done = CliRunner().invoke(cli, ["warm", "langid-cld2", "--for", "900h"])
    assert done.exit_code == 2
    assert "Invalid value for '--for': found 900h; at most 168h can be asked for" in " ".join(done.output.split())
    assert _LONGEST_H * 3600 == LONGEST_KEEP_S == 604_800
