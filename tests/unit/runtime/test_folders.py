"""Which function folders a project has, and which of them are built when none is named."""

from pathlib import Path

import pytest

from warmfront.errors import SetupError
from warmfront.runtime.folders import folders_with, used

ROOT = Path(__file__).parents[3]
SERVICE = """
kind: Service
metadata: {name: v}
spec: {template: {spec: {containers: [{image: "dev.local/my-model:v1"}]}}}
"""


def test_all_that_have_the_file() -> None:
    """In functions/ and at the top level; models that are no function are none."""
    found = folders_with(ROOT, "Procfile")
    assert {"langid_cld2", "digits_tfserving", "selector_fn", "dummy_model_fn"} <= set(found)
    assert "digits_models" not in found


def test_what_the_manifests_name() -> None:
    """The base's images and what lies at the top level; no gigabytes of TensorFlow for who only wants the demo."""
    found = used(ROOT)
    assert found is not None
    assert {"langid_cld2", "langid_lingua", "event_log", "selector_fn", "dummy_model_fn"} <= found
    assert "digits_tfserving" not in found


def test_a_project_of_ones_own(tmp_path: Path) -> None:
    """Images become folder names; without manifests, or with broken ones, there is no telling."""
    assert used(tmp_path) is None
    (tmp_path / "knative").mkdir()
    (tmp_path / "knative" / "v.yaml").write_text(SERVICE)
    assert used(tmp_path) == {"my_model"}
    (tmp_path / "knative" / "v.yaml").write_text("a: [")
    assert used(tmp_path) is None
    with pytest.raises(SetupError, match="no folder with a Procfile"):
        folders_with(tmp_path, "Procfile")
