"""The Makefile's set-up, with a Python and a pip that only do as if."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
# as `python -m venv`: keeps what is there
PYTHON = """#!/bin/sh
mkdir -p .venv/bin
for name in pip python warmfront; do printf '#!/bin/sh\\n' > .venv/bin/$name; chmod +x .venv/bin/$name; done
"""


@pytest.mark.parametrize("whole", [True, False])
def test_an_environment_that_is_there(tmp_path, whole):
    """One whose pip runs stays; one that an interruption has left without is made anew."""
    shutil.copy(MAKEFILE, tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    if whole:
        subprocess.run([python], cwd=tmp_path, check=True)
    (tmp_path / ".venv").mkdir(exist_ok=True)
    (tmp_path / ".venv" / "left").touch()
    subprocess.run(["make", "demo", "PYTHON=./python"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / ".venv" / ".demo").exists()
    assert (tmp_path / ".venv" / "left").exists() == whole
