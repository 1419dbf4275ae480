"""The demo of the second task as people run it: without TensorFlow, which the development packages are without."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WARMFRONT = Path(sys.executable).with_name("warmfront")


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    """`warmfront demo --task digits` in the project's folder."""
    command = [str(WARMFRONT), "demo", "--task", "digits", "--root", str(ROOT), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_digits_over_litert_and_onnx(tmp_path: Path) -> None:
    """All images are answered, most of them rightly, by more than one runtime; somebody waited for a cold start."""
    table = tmp_path / "demo.json"
    done = demo(
        "--without",
        "tensorflow",
        "--requests",
        "40",
        "--seconds",
        "4",
        "--policies",
        "round-robin",
        "--json",
        str(table),
    )
    assert done.returncode == 0, done.stderr
    assert "without tensorflow: digits-tfserving left out" in done.stdout
    assert "40 images in 4 s" in done.stdout
    (row,) = json.loads(table.read_text())
    assert row["unanswered"] == 0
    assert row["correct"] > 0.8
    assert row["cold_waits"] >= 1
    assert set(row["answered_by"]) == {"digits-linear", "digits-litert-small", "digits-onnx-small", "digits-onnx-large"}


def test_without_what_nobody_needs() -> None:
    """A package that no variant requires is a mistake that is told before anything starts."""
    done = demo("--without", "torch")
    assert done.returncode == 1
    assert "--without torch: no variant here requires it" in done.stderr


def test_unknown_task() -> None:
    """Only two tasks have labelled inputs here."""
    done = subprocess.run([str(WARMFRONT), "demo", "--task", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "langid" in done.stderr
