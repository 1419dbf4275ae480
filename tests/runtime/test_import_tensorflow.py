"""A SavedModel through `warmfront import`, `up` and the selector. Rule: it runs where TensorFlow is installed, which
takes 1.5 GB and is no part of `dev`: `make test-tensorflow`.
"""

import hashlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.runtime.terminal import ROOT, run_in, start, stop

pytestmark = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="TensorFlow is in the extra `tensorflow`, not in `dev`"
)
MODELS = ROOT / "functions" / "digits_models"


def test_a_saved_model_is_asked_through_the_selector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its folder and by a TensorFlow Hub handle whose module is in the cache; both answer, of their own labels."""
    shutil.copytree(ROOT / "selector_fn", tmp_path / "selector_fn")
    (tmp_path / "knative").mkdir()
    shutil.copy(ROOT / "knative" / "base" / "selector.yaml", tmp_path / "knative")
    (tmp_path / "labels.txt").write_text("".join(f"digit {i}\n" for i in range(10)))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(
        MODELS / "small" / "1", tmp_path / "cache" / hashlib.sha1(b"https://tfhub.dev/any/digits/1").hexdigest()
    )
    for path, more in {
        str(MODELS / "small"): ["--task", "folder"],
        "tfhub:any/digits/1": ["--task", "hub"],
    }.items():
        done = run_in(tmp_path, "import", path, *more, "--labels", "labels.txt")
        assert done.returncode == 0, done.stderr
        assert "in       image          FP32 [-1, 784]" in done.stdout
    up = start(tmp_path)
    try:
        for task, variant in (("folder", "small-tensorflow"), ("hub", "digits-tensorflow")):
            asked = up.run("infer", task, json.dumps([0.0] * 784), "-o", "json")
            assert asked.returncode == 0, asked.stderr + up.printed()
            said = json.loads(asked.stdout)
            assert said["reply"]["variant"] == variant
            assert said["answer"]["label"].startswith("digit ")
            assert 0.1 <= said["answer"]["score"] <= 1
    finally:
        assert stop(up) == 0
