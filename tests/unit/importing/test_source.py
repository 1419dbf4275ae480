"""From paths and handles to a kind of model, and what is said of everything else."""

import hashlib
import sys
from pathlib import Path

import pytest

from warmfront.errors import SetupError
from warmfront.importing.source import find_source


def saved_model(folder: Path) -> Path:
    """A folder that looks like one; what is in it is not read here."""
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.onnx", "onnx"),
        ("a.tflite", "litert"),
        ("a.joblib", "sklearn"),
        ("a.pkl", "sklearn"),
        ("a.pickle", "sklearn"),
    ],
)
def test_a_suffix_tells_the_kind(tmp_path, name, kind):
    """And the file keeps its name."""
    (tmp_path / name).write_bytes(b"x")
    source = find_source(str(tmp_path / name))
    assert (source.kind, source.path, source.name, source.beside) == (kind, tmp_path / name, name, ())


@pytest.mark.parametrize(("content", "kind"), [(b"\x1c\0\0\0TFL3", "litert"), (b"\x80\x04\x95", "sklearn")])
def test_without_a_suffix_the_content_tells(tmp_path, content, kind):
    """LiteRT by its mark, a pickle by its first byte."""
    (tmp_path / "model").write_bytes(content)
    assert find_source(str(tmp_path / "model")).kind == kind


def test_a_saved_model_by_folder_file_or_newest_version(tmp_path):
    """TensorFlow Serving's folders of versions: 10 is newer than 9."""
    plain = saved_model(tmp_path / "plain")
    for version in ("9", "10"):
        saved_model(tmp_path / "versions" / version)
    assert find_source(str(plain)).path == find_source(str(plain / "saved_model.pb")).path == plain
    found = find_source(str(tmp_path / "versions"))
    assert (found.kind, found.path, found.name) == ("tensorflow", tmp_path / "versions" / "10", "model")


def test_a_folder_with_one_model_is_that_model(tmp_path):
    """With the weights that lie beside it, which then keeps its name."""
    (tmp_path / "my net.onnx").write_bytes(b"x")
    assert find_source(str(tmp_path)).name == "model.onnx"
    (tmp_path / "my net.onnx.data").write_bytes(b"weights")
    found = find_source(str(tmp_path))
    assert (found.name, [file.name for file in found.beside]) == ("my net.onnx", ["my net.onnx.data"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.onnx", None, "no such file or folder; wanted a SavedModel folder, an .onnx"),
        ("a.onnx", b"", "is empty; wanted an ONNX model: copy or export it again"),
        ("a.keras", b"x", "found a Keras file; export it as a SavedModel"),
        ("a.pt", b"x", "found a PyTorch file; export it: torch.onnx.export"),
        ("a.txt", b"hello", "found a file of unknown kind; wanted a SavedModel folder"),
    ],
)
def test_anything_else_is_told_what_to_become(tmp_path, name, content, said):
    """The way from what was found to what is served."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SetupError) as caught:
        find_source(str(tmp_path / name))
    assert said in str(caught.value)


def test_a_folder_without_a_model_says_what_is_in_it(tmp_path):
    """And what was looked for; two models are none."""
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(SetupError, match=r"found notes.md; wanted saved_model.pb, or one .onnx"):
        find_source(str(tmp_path))
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SetupError, match=r"found a.onnx, b.onnx, notes.md; wanted"):
        find_source(str(tmp_path))


@pytest.mark.parametrize(("hub", "module"), [("tfhub", "tensorflow_hub"), ("kaggle", "kagglehub")])
def test_a_handle_without_its_client_names_the_extra(monkeypatch, hub, module):
    """The hubs' packages are optional."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SetupError, match=rf"no module '{module}'; install it: pip install 'warmfront\[hubs\]'"):
        find_source(f"{hub}:google/some/model")


def test_a_kaggle_handle_from_its_cache(tmp_path, monkeypatch):
    """kagglehub itself, on a model that it has: nothing is fetched. Rule: it runs where kagglehub is installed."""
    pytest.importorskip("kagglehub", reason="kagglehub is in the extra `hubs`, not in `dev`")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    place = saved_model(tmp_path / "models" / "google" / "net" / "tensorFlow2" / "small" / "3")
    (place.parent / "3.complete").touch()
    found = find_source("kaggle:google/net/tensorFlow2/small/3")
    assert (found.kind, found.path, found.called) == ("tensorflow", place, "small")


def test_a_tensorflow_hub_handle_from_its_cache(tmp_path, monkeypatch):
    """tensorflow_hub itself, on a module that it has: nothing is fetched. Rule: it runs where tensorflow_hub is."""
    pytest.importorskip("tensorflow_hub", reason="tensorflow_hub is in the extra `hubs`, not in `dev`")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    place = saved_model(tmp_path / hashlib.sha1(b"https://tfhub.dev/google/net/1").hexdigest())
    found = find_source("tfhub:google/net/1")
    assert (found.kind, found.path, found.called) == ("tensorflow", place, "net")
