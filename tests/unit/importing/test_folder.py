"""The files that an import writes: complete, like the folders of this project, or not there at all."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from warmfront.errors import SetupError
from warmfront.function.imported.kinds import KINDS
from warmfront.importing.facts import Facts, read_facts
from warmfront.importing.folder import FILES, Imported, example_of, name_of, write
from warmfront.importing.source import Source, find_source
from warmfront.kube.manifests import variant_of
from warmfront.runtime.environments import command_of, find_folder

ROOT = Path(__file__).parents[3]


def imported(path, task="flowers", name="iris-onnx", labels=None):
    source = find_source(str(path))
    facts = read_facts(source, labels, trust=True)
    return Imported(origin=path.name, source=source, facts=facts, task=task, name=name, labels=labels)


def test_the_folder_is_one_like_the_others(models, tmp_path):
    """The five files and the model; the Containerfile is langid_cld2's and copies the model, which may write."""
    folder, slot, listed = write(imported(models.folder / "iris.onnx"), tmp_path / "functions", force=False)
    assert folder == find_folder(tmp_path, "dev.local/iris-onnx:v1") == tmp_path / "functions" / "iris_onnx"
    assert {file.name for file in folder.iterdir()} == {*FILES, "iris.onnx"}
    assert not list((tmp_path / "functions").glob(".import-*"))
    assert command_of(folder) == command_of(ROOT / "functions" / "langid_cld2")
    recipe = (folder / "Containerfile").read_text()
    assert recipe.count("COPY functions/iris_onnx/iris.onnx ./\n") == 1
    theirs = (ROOT / "functions" / "langid_cld2" / "Containerfile").read_text()
    theirs = theirs.replace("langid_cld2", "iris_onnx").replace("langid-cld2", "iris-onnx")
    added = r"COPY functions/iris_onnx/iris\.onnx \./\n# Some runtimes .*\nENV TMPDIR=/dev/shm\n"
    common, count = re.subn(added, "", recipe)
    assert count == 1
    assert common == theirs
    assert listed
    assert slot.file == tmp_path / "knative" / "iris-onnx.yaml"


def test_the_manifest_is_a_variants(models, tmp_path):
    """Like langid-cld2's but for name, task, protocols and the profile, which nobody measured yet."""
    _, slot, _ = write(imported(models.folder / "iris.onnx"), tmp_path / "functions", force=False)
    service = yaml.safe_load(slot.file.read_text())
    variant = variant_of(service)
    assert (variant.name, variant.task) == ("iris-onnx", "flowers")
    assert variant.protocols == ("cloudevents", "raw", "open-inference", "tensorflow-serving", "kserve-v1")
    theirs = yaml.safe_load((ROOT / "knative" / "base" / "variants" / "langid-cld2.yaml").read_text())
    theirs["spec"]["template"]["spec"]["containers"][0]["image"] = "dev.local/iris-onnx:v1"
    assert service["spec"] == theirs["spec"]


def test_main_is_one_call_that_states_the_signature(models, tmp_path):
    """Short, and readable by who has never seen this project."""
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\n")
    one = imported(models.folder / "dense.tflite", name="dense", labels=labels)
    folder, *_ = write(one, tmp_path / "functions", force=False)
    text = (folder / "main.py").read_text()
    (call,) = (
        node.value for node in ast.parse(text).body if isinstance(node, ast.Assign) and node.targets[0].id == "handle"
    )
    assert [ast.literal_eval(argument) for argument in call.args[:2]] == ["flowers", "litert"]
    stated = {word.arg: ast.unparse(word.value) for word in call.keywords}
    assert stated["inputs"] == "{'features': 'FP32 [1, 4]'}"
    assert stated["labels"] == "HERE / 'labels.txt'"
    assert len(text.splitlines()) < 20
    assert (folder / "labels.txt").read_text() == labels.read_text()
    assert "COPY functions/dense/labels.txt ./\n" in (folder / "Containerfile").read_text()


def test_weights_beside_the_model_come_along_under_their_names(models, tmp_path):
    """The model finds them by name, blanks and all; an image too."""
    (tmp_path / "my net.onnx").write_bytes((models.folder / "iris.onnx").read_bytes())
    (tmp_path / "my net.onnx.data").write_bytes(b"weights")
    folder, *_ = write(imported(tmp_path / "my net.onnx", name="net"), tmp_path / "functions", force=False)
    assert (folder / "my net.onnx.data").read_bytes() == b"weights"
    assert 'HERE / "my net.onnx",' in (folder / "main.py").read_text()
    wanted = 'COPY ["functions/net/my net.onnx", "functions/net/my net.onnx.data", "./"]\n'
    assert wanted in (folder / "Containerfile").read_text()


def test_requirements_are_what_read_it(models, tmp_path):
    """By version; a pickle is only for the version that wrote it."""
    folder, *_ = write(imported(models.folder / "iris.joblib", name="iris"), tmp_path / "functions", force=False)
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert lines[0] == "warmfront"
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    assert lines[1:] == [f"{name}=={pins[name]}" for name in KINDS["sklearn"].packages]


def test_nothing_is_replaced_unasked(models, tmp_path):
    """Neither folder nor manifest; by force both, without what was in the folder before."""
    one = imported(models.folder / "iris.onnx")
    folder, slot, _ = write(one, tmp_path / "functions", force=False)
    (folder / "stray").touch()
    with pytest.raises(SetupError, match="iris_onnx is there already; give another --name, or --force"):
        write(one, tmp_path / "functions", force=False)
    write(one, tmp_path / "functions", force=True)
    assert not (folder / "stray").exists()
    assert slot.file.exists()


def test_a_saved_model_is_a_folder_in_the_folder(tmp_path):
    """Copied whole, and into the image under the same name."""
    saved = tmp_path / "export"
    (saved / "variables").mkdir(parents=True)
    (saved / "saved_model.pb").write_bytes(b"x")
    (saved / "variables" / "variables.index").write_bytes(b"y")
    facts = Facts(
        inputs={"x": "FP32 [-1, 1]"},
        outputs={"y": "FP32 [-1, 1]"},
        label="",
        scores="",
        classifies=False,
        versions={"tensorflow-cpu": "2.21.0"},
    )
    one = Imported(origin="export", source=find_source(str(saved)), facts=facts, task="t", name="net", labels=None)
    folder, *_ = write(one, tmp_path, force=False)
    assert (folder / "model" / "variables" / "variables.index").read_bytes() == b"y"
    assert "COPY net/model model/\n" in (folder / "Containerfile").read_text()


@pytest.mark.parametrize(
    ("file", "kind", "name", "task", "wanted"),
    [
        ("iris.onnx", "onnx", None, "flowers", "iris-onnx"),
        ("My Net_v2.tflite", "litert", None, "t", "my-net-v2-litert"),
        ("net/10", "tensorflow", None, "digits", "net-tensorflow"),
        ("10", "tensorflow", None, "digits", "digits-tensorflow"),
        ("iris.onnx", "onnx", "best", "flowers", "best"),
    ],
)
def test_names(file, kind, name, task, wanted):
    """The file's and its kind; a version number is no name."""
    assert name_of(Source(kind=kind, path=Path(file)), name, task) == wanted


@pytest.mark.parametrize(("name", "task"), [("Best", "t"), ("1a", "t"), ("a-", "t"), ("ok", "no task"), ("ok", "")])
def test_names_that_kubernetes_refuses(name, task):
    """Before anything is written."""
    with pytest.raises(SetupError, match="wanted at most 63"):
        name_of(Source(kind="onnx", path=Path("a.onnx")), name, task)


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"x": "FP32 [-1, 2]"}, [0, 0]), ({"x": "UINT8 [1, 2, 1]"}, [[0], [0]]), ({"a": "FP32 [-1]", "b": "BYTES [-1]"},
         {"a": 0, "b": "word"}),
    ],
)  # fmt: skip
def test_an_example_to_ask_by(inputs, wanted):
    """Short enough to be typed."""
    assert json.loads(example_of(inputs) or "") == wanted


def test_no_example_when_it_would_be_long():
    """An image is no argument; a text is no JSON."""
    assert example_of({"x": "FP32 [-1, 784]"}) is None
    assert example_of({"x": "FP32 [-1, -1]"}) is None
    assert example_of({"text": "BYTES [-1]"}) == "word"
