"""Reading a model in a process of its own: what it says, and every way in which it ends otherwise."""

import os
import pickle
import signal

import pytest

from warmfront.errors import SetupError
from warmfront.importing.facts import read_facts
from warmfront.importing.source import Source, find_source


def facts(path, labels=None, *, trust=False):
    return read_facts(find_source(str(path)), labels, trust=trust)


def test_a_model_tells_its_tensors_and_its_packages(models):
    """The tensors' text forms, which output is which, and the versions that read it."""
    found = facts(models.folder / "iris.onnx")
    assert found.inputs == {"X": "FP32 [-1, 4]"}
    assert found.outputs == {"label": "BYTES [-1]", "probabilities": "FP32 [-1, 3]"}
    assert (found.label, found.scores, found.classifies) == ("label", "probabilities", True)
    assert set(found.versions) == {"onnxruntime", "numpy"}
    assert not facts(models.folder / "diabetes.onnx").classifies


def test_labels_make_a_classifier(models, tmp_path):
    """Where their number is that of the scores; else both are named."""
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\n")
    assert facts(models.folder / "dense.tflite", labels).scores == "scores"
    labels.write_text("a\nb\n")
    with pytest.raises(SetupError, match=r"2 labels, .* found scores FP32 \[1, 3\]; wanted FP32 \[-1, 2\]"):
        facts(models.folder / "dense.tflite", labels)
    with pytest.raises(SetupError, match="no such file; wanted one label a line"):
        facts(models.folder / "dense.tflite", tmp_path / "none.txt")


def test_a_pickle_is_not_read_without_trust(models, tmp_path):
    """Its code did not run; with trust it is read, elsewhere than in this process."""

    class Mark:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Mark()))
    with pytest.raises(SetupError, match=r"a pickle runs whatever code its author put in.*--trust"):
        facts(tmp_path / "model.pkl")
    assert not (tmp_path / "ran").exists()
    assert facts(models.folder / "iris.joblib", trust=True).inputs == {"input": "FP64 [-1, 4]"}


def test_another_version_of_scikit_learn_is_noted(models, tmp_path):
    """A pickle is for the version that wrote it: the one that is there reads it, and says which was which."""
    import sklearn

    written = (models.folder / "diabetes.joblib").read_bytes()
    other = sklearn.__version__[:-1] + ("0" if sklearn.__version__[-1] != "0" else "1")
    (tmp_path / "old.joblib").write_bytes(written.replace(sklearn.__version__.encode(), other.encode()))
    (note,) = facts(tmp_path / "old.joblib", trust=True).notes
    assert f"was saved by scikit-learn {other} and is read by {sklearn.__version__}" in note
    assert facts(models.folder / "diabetes.joblib", trust=True).notes == []


def test_a_corrupt_file_is_named(models, tmp_path):
    """In one sentence, without the other process's traceback."""
    (tmp_path / "iris.onnx").write_bytes((models.folder / "iris.onnx").read_bytes()[:2000])
    with pytest.raises(
        SetupError, match=r"iris.onnx: not an ONNX model that onnxruntime can read .* is the file whole"
    ):
        facts(tmp_path / "iris.onnx")


@pytest.mark.parametrize(
    ("sign", "said"),
    [
        (signal.SIGSEGV, "crashed (SIGSEGV), so the file is corrupt"),
        (signal.SIGKILL, "was ended by the system, most likely"),
    ],
)
def test_a_runtime_that_dies_takes_nothing_with_it(tmp_path, sign, said):
    """The signal is put into words."""

    class Deadly:
        def __reduce__(self):
            return (eval, (f"__import__('os').kill(__import__('os').getpid(), {int(sign)})",))

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Deadly()))
    with pytest.raises(SetupError) as caught:
        facts(tmp_path / "model.pkl", trust=True)
    assert said in str(caught.value)


def test_a_file_beyond_memory_is_not_even_opened(tmp_path):
    """Found and left, in MB."""
    with (tmp_path / "huge.tflite").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(SetupError, match=r"the model has 4,194,304 MB, and [\d,]+ MB of memory are left"):
        read_facts(Source(kind="litert", path=tmp_path / "huge.tflite"), None, trust=False)
