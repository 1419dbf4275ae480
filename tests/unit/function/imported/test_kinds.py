"""Real model files in real runtimes: what they say of themselves, and every way in which one cannot be loaded."""

import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from warmfront.errors import SetupError
from warmfront.function.imported import kinds
from warmfront.function.imported.kinds import open_model


@pytest.mark.parametrize(
    ("kind", "file", "signature"),
    [
        ("onnx", "iris.onnx", "(X: FP32 [-1, 4]) -> (label: BYTES [-1], probabilities: FP32 [-1, 3])"),
        (
            "onnx",
            "iris_maps.onnx",
            "(X: FP32 [-1, 4]) -> (output_label: BYTES [-1], output_probability: FP32 [-1, -1])",
        ),
        ("onnx", "diabetes.onnx", "(X: FP32 [-1, 10]) -> (variable: FP32 [-1, 1])"),
        (
            "onnx",
            "houses.onnx",
            "(kind: BYTES [-1, 1], area: FP32 [-1, 1], floor: FP32 [-1, 1]) -> (variable: FP32 [-1, 1])",
        ),
        ("sklearn", "iris.joblib", "(input: FP64 [-1, 4]) -> (label: BYTES [-1], probabilities: FP64 [-1, 3])"),
        ("sklearn", "diabetes.joblib", "(input: FP64 [-1, 10]) -> (prediction: FP64 [-1])"),
        ("sklearn", "sentiment.joblib", "(text: BYTES [-1]) -> (label: BYTES [-1], probabilities: FP64 [-1, 2])"),
        ("litert", "dense.tflite", "(features: FP32 [1, 4]) -> (scores: FP32 [1, 3])"),
    ],
)
def test_a_model_tells_its_signature(models, kind, file, signature):
    """From the file itself, whatever made it."""
    assert str(open_model(kind, models.folder / file).signature) == signature


@pytest.mark.parametrize("file", ["iris.onnx", "iris_maps.onnx"])
def test_onnx_answers_as_the_estimator_that_it_was_made_of(models, file):
    """Labels alike, probabilities to a float's precision, from tensors and from maps."""
    rows = models.flowers[::10]
    labels, shares = open_model("onnx", models.folder / file).run({"X": rows.astype(np.float32)}).values()
    assert labels.tolist() == models.iris.predict(rows).tolist()
    assert np.allclose(shares, models.iris.predict_proba(rows), atol=1e-6)


def test_litert_answers_a_row(models):
    """A file without a signature, by its tensors' names."""
    row = np.array([[1, 2, 3, 4]], dtype=np.float32)
    outputs = open_model("litert", models.folder / "dense.tflite").run({"features": row})
    assert outputs["scores"].tolist() == (row @ models.weights.T).tolist() == [[1, 2, 7]]


@pytest.mark.parametrize(
    ("kind", "file"), [("onnx", "iris.onnx"), ("litert", "dense.tflite"), ("sklearn", "iris.joblib")]
)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_file_is_named(models, tmp_path, kind, file, share):
    """With what could not read it and what to do."""
    whole = (models.folder / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(SetupError, match="is the file whole") as caught:
        open_model(kind, tmp_path / file)
    assert str(caught.value).startswith(f"{tmp_path / file}: not {kinds.KINDS[kind].title} that")


def test_what_is_no_estimator_is_refused(tmp_path):
    """A pickle of something else."""
    import joblib

    joblib.dump({"weights": [1, 2]}, tmp_path / "model.joblib")
    with pytest.raises(SetupError, match="found dict; wanted a fitted estimator"):
        open_model("sklearn", tmp_path / "model.joblib")


def test_an_estimator_that_is_not_fitted_is_named(tmp_path):
    """The file is, too: several may be imported one after the other."""
    import joblib
    from sklearn.linear_model import LogisticRegression

    path = tmp_path / "unfit.joblib"
    joblib.dump(LogisticRegression(), path)
    with pytest.raises(SetupError, match=rf"^{path}: LogisticRegression does not say how many features it takes"):
        open_model("sklearn", path)


@pytest.mark.parametrize(
    ("datatype", "inputs", "said"),
    [
        (TensorProto.FLOAT, 0, r"found \(\) -> \(y: FP32 \[4\]\); wanted an input and an output at least"),
        (TensorProto.BFLOAT16, 1, r"'x' is of type tensor\(bfloat16\), which is not served"),
    ],
)
def test_an_onnx_model_that_nobody_can_ask(tmp_path, datatype, inputs, said):
    """It takes nothing, or what no protocol can say."""
    x, y = (helper.make_tensor_value_info(name, datatype, [4]) for name in "xy")
    constant = helper.make_tensor("c", datatype, [4], [1, 2, 3, 4])
    made = helper.make_node("Constant", [], ["y"], value=constant)
    node = helper.make_node("Identity", ["x"], ["y"]) if inputs else made
    graph = helper.make_graph([node], "g", [x][:inputs], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SetupError, match=f"^{path}: {said}"):
        open_model("onnx", path)


def test_mixed_columns_are_told_the_way_by_onnx(models):
    """A table of texts and numbers is no row of numbers."""
    with pytest.raises(
        SetupError,
        match=r"houses.joblib: Pipeline has no answer to a row of FP64 \[-1, 3\] .*skl2onnx gives each column",
    ):
        open_model("sklearn", models.folder / "houses.joblib")


def test_a_model_larger_than_memory_is_refused_before_it_is_read(tmp_path):
    """Found, left, and the two ways out; the file is sparse and takes no disk."""
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(
        SetupError, match=r"has 4,194,304 MB, and [\d,]+ MB of memory are left; give the container more"
    ):
        open_model("onnx", tmp_path / "huge.onnx")


def test_a_missing_package_names_the_extra(models, monkeypatch):
    """What is missing and what installs it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "warmfront.function.imported.kinds.onnx", raising=False)
    with pytest.raises(SetupError, match=r"no module 'onnxruntime'; install it: pip install 'warmfront\[onnx\]'"):
        open_model("onnx", models.folder / "iris.onnx")


SCARCE = """
import resource, sys
from pathlib import Path
from warmfront.errors import SetupError
from warmfront.function.imported.kinds import open_model

small, large = map(Path, sys.argv[1:])
open_model("onnx", small)
size = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize:"))
resource.setrlimit(resource.RLIMIT_AS, ((size << 10) + (64 << 20),) * 2)
open_model("onnx", small)
try:
    open_model("onnx", large)
except SetupError as error:
    print(error)
"""


def test_out_of_memory_while_loading_is_said(models, tmp_path):
    """Memory that is there when the load begins and gone before its end: the ways out, not the runtime's words."""
    large = tmp_path / "large.onnx"
    weights = numpy_helper.from_array(np.zeros(40_000_000, np.float32), "w")  # 160 MB
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weights])
    large.write_bytes(helper.make_model(graph, ir_version=9).SerializeToString())
    command = [sys.executable, "-c", SCARCE, str(models.folder / "iris.onnx"), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(f"{large}: not enough memory to load it; give the container more")


def test_a_missing_file_and_kind_are_named(tmp_path):
    """As they were given."""
    with pytest.raises(SetupError, match="no such file; the model was moved or not copied"):
        open_model("onnx", tmp_path / "none.onnx")
    with pytest.raises(SetupError, match="no kind 'caffe' of model; there are onnx, litert, sklearn, tensorflow"):
        open_model("caffe", tmp_path)
