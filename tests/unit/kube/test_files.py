"""YAML files become objects, or an error that names the file."""

from pathlib import Path

import pytest

from warmfront.errors import SetupError
from warmfront.kube.files import load_manifests


def write(folder: Path, **files: str) -> Path:
    """Files `NAME.yaml` in a folder, made when missing; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def obj(name: str) -> str:
    """A manifest with this name."""
    return f"kind: Service\nmetadata: {{name: {name}}}\n"


def names(path: Path) -> list[str]:
    """The names of the loaded objects, in order."""
    return [loaded["metadata"]["name"] for loaded in load_manifests(path)]


def test_folder_is_read_in_name_order(tmp_path: Path) -> None:
    """Without a kustomization all documents of all files below count, empty documents left out."""
    write(tmp_path, b=f"{obj('b')}---\n---\n{obj('c')}", a=obj("a"))
    write(tmp_path / "below", d=obj("d"))
    assert names(tmp_path) == ["a", "b", "c", "d"]


def test_kustomization_says_what_belongs_to_a_folder(tmp_path: Path) -> None:
    """What is listed is loaded, in that order and through listed folders; what only lies there is not."""
    write(tmp_path, kustomization="kind: Kustomization\nresources: [base, z.yaml]\n", z=obj("z"), stray=obj("stray"))
    write(tmp_path / "base", kustomization="resources: [b.yaml, a.yaml]\n", a=obj("a"), b=obj("b"))
    write(tmp_path / "overlays/other", kustomization="resources: [../../base]\nnamePrefix: x-\n")
    assert names(tmp_path) == ["b", "a", "z"]


def test_components_that_only_add_are_followed(tmp_path: Path) -> None:
    """They come last, as kustomize has it; one that patches is refused as every kustomization that does."""
    write(tmp_path / "part", kustomization="kind: Component\nresources: [c.yaml]\n", c=obj("c"))
    write(tmp_path, kustomization="components: [part]\nresources: [a.yaml]\n", a=obj("a"))
    assert names(tmp_path) == ["a", "c"]
    write(tmp_path / "part", kustomization="kind: Component\nresources: [c.yaml]\npatches: []\n")
    with pytest.raises(SetupError, match=r"part/kustomization\.yaml: found patches"):
        load_manifests(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "resources: [a.yaml]\nnamespace: x\npatches: []\n",
            "found namespace, patches; only `resources` and `components` are followed",
        ),
        ("resources: ['https://example.org/a.yaml']\n", "wanted a list of files and folders"),
        ("resources: a.yaml\n", "wanted a list of files and folders"),
        ("resources: [gone.yaml]\n", "gone.yaml: no such file or folder, listed by"),
        ("resources: [../folder]\n", "lists itself"),
        ("- a.yaml\n", "wanted one kustomization"),
    ],
)
def test_kustomization_that_cannot_be_followed(tmp_path: Path, text: str, said: str) -> None:
    """Nothing that a kustomization asks for is dropped in silence: the error names the file and what to do."""
    with pytest.raises(SetupError) as caught:
        load_manifests(write(tmp_path / "folder", kustomization=text, a=obj("a")))
    assert "kustomization.yaml" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not YAML"),
        ("- 1\n", "found list without `kind`"),
        ("kind: Service\n", "has no metadata.name"),
        ("kind: Component\n", "give the folder that it lies in"),
    ],
)
def test_bad_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    """A file that holds no objects is named with what it holds."""
    file = write(tmp_path, x=text) / "x.yaml"
    with pytest.raises(SetupError) as caught:
        load_manifests(file)
    assert str(file) in str(caught.value)
    assert said in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A path that does not exist says so."""
    with pytest.raises(SetupError, match="no such file or folder"):
        load_manifests(tmp_path / "nothing")
