"""YAML files become objects, or an error that names the file."""

from pathlib import Path

import pytest

from warmfront.errors import SetupError
from warmfront.kube.files import load_manifests


def test_folder_is_read_in_name_order(tmp_path: Path) -> None:
    """All documents of all files, kustomizations and empty documents left out."""
    (tmp_path / "b.yaml").write_text(
        "kind: Service\nmetadata: {name: b}\n---\n---\nkind: Broker\nmetadata: {name: c}\n"
    )
    (tmp_path / "a.yaml").write_text("kind: Service\nmetadata: {name: a}\n")
    (tmp_path / "kustomization.yaml").write_text("kind: Kustomization\nresources: [a.yaml]\n")
    assert [o["metadata"]["name"] for o in load_manifests(tmp_path)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "not YAML"), ("- 1\n", "found list without `kind`"), ("kind: Service\n", "has no metadata.name")],
)
def test_bad_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    """A file that holds no objects is named with what it holds."""
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(SetupError) as caught:
        load_manifests(file)
    assert str(file) in str(caught.value)
    assert said in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A path that does not exist says so."""
    with pytest.raises(SetupError, match="no such file or folder"):
        load_manifests(tmp_path / "nothing")
