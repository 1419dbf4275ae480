"""The command line's entry point: how it ends when something is wrong."""

import shutil
import sys
from pathlib import Path

import pytest

from warmfront.cli import main

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
