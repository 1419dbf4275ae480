"""Where a manifest goes, and how a kustomization comes to list it with every other line as it was."""

import shutil
from pathlib import Path

import yaml

from warmfront.importing.listing import list_in, slot_for

ROOT = Path(__file__).parents[3]


def test_without_a_kustomization_every_file_is_read(tmp_path):
    """In a folder that may not even be there yet."""
    slot = slot_for(tmp_path / "knative", "iris-onnx")
    assert (slot.file, slot.kustomization) == (tmp_path / "knative" / "iris-onnx.yaml", None)


def test_in_this_project_it_goes_to_the_other_variants(tmp_path):
    """knative/ lists base/, which lists variants/: one line more, after the last, and the rest as it was."""
    knative = tmp_path / "knative"
    shutil.copytree(ROOT / "knative", knative)
    slot = slot_for(knative, "iris-onnx")
    assert slot.file == knative / "base" / "variants" / "iris-onnx.yaml"
    assert slot.kustomization == knative / "base" / "kustomization.yaml"
    before = slot.kustomization.read_text()
    assert list_in(slot.kustomization, slot.entry)
    after = slot.kustomization.read_text()
    assert after.replace("  - variants/iris-onnx.yaml\n", "") == before
    assert yaml.safe_load(after)["resources"][-1] == "variants/iris-onnx.yaml"
    assert list_in(slot.kustomization, slot.entry)
    assert slot.kustomization.read_text() == after


def test_a_list_in_one_line_is_left_alone(tmp_path):
    """The caller says what to add."""
    file = tmp_path / "kustomization.yaml"
    file.write_text("resources: [a.yaml, b.yaml]\n")
    assert not list_in(file, "c.yaml")
    assert file.read_text() == "resources: [a.yaml, b.yaml]\n"


def test_comments_and_what_follows_stay(tmp_path):
    """The new line has the others' indent, even when the last of them ends the file without a newline."""
    file = tmp_path / "kustomization.yaml"
    file.write_text("resources:\n- a.yaml  # first\n- b.yaml\nnamePrefix: x-\n")
    assert list_in(file, "c.yaml")
    assert file.read_text() == "resources:\n- a.yaml  # first\n- b.yaml\n- c.yaml\nnamePrefix: x-\n"
    file.write_text("resources:\n- a.yaml")
    assert list_in(file, "c.yaml")
    assert yaml.safe_load(file.read_text()) == {"resources": ["a.yaml", "c.yaml"]}
