"""Which output says what: labels from the model, from a file, by index, by the largest score, or none."""

import json

import numpy as np
import pytest

from warmfront.errors import SetupError
from warmfront.function.imported.answers import Reading, read_labels, reading_of
from warmfront.function.imported.signature import Signature

LABELS = ("cat", "dog", "fox")


def signature(**outputs):
    return Signature.parse({"x": "FP32 [-1, 4]"}, outputs)


@pytest.mark.parametrize(
    ("outputs", "labels", "wanted"),
    [
        ({"label": "BYTES [-1]", "p": "FP32 [-1, 3]"}, (), Reading(label="label", scores="p")),
        ({"output_label": "INT64 [-1]", "p": "FP32 [-1, -1]"}, (), Reading(label="output_label", scores="p")),
        ({"label": "INT64 [-1]", "p": "FP32 [-1, 3]"}, LABELS, Reading(label="label", scores="p", labels=LABELS)),
        ({"boxes": "FP32 [-1, 7]", "p": "FP32 [-1, 3]"}, LABELS, Reading(scores="p", labels=LABELS)),
        ({"p": "FP32 [-1, 1]"}, ("no", "yes"), Reading(scores="p", labels=("no", "yes"))),
        ({"price": "FP32 [-1, 1]"}, (), Reading()),
        ({"count": "INT64 [-1]"}, (), Reading()),
    ],
)
def test_outputs_are_read_by_name_type_and_number_of_labels(outputs, labels, wanted):
    """A regressor has nothing to be read as a label."""
    assert reading_of(signature(**outputs), labels) == wanted


def test_labels_that_fit_no_output_are_refused():
    """Found and wanted."""
    with pytest.raises(SetupError, match=r"3 labels, .* found p FP32 \[-1, 10\]; wanted FP32 \[-1, 3\]"):
        reading_of(signature(p="FP32 [-1, 10]"), LABELS)
    with pytest.raises(SetupError, match="output 'label' says labels itself"):
        reading_of(signature(label="BYTES [-1]", p="FP32 [-1, 3]"), LABELS)


@pytest.mark.parametrize(
    ("scores", "labels", "label", "score"),
    [
        ([0.2, 0.5, 0.3], LABELS, "dog", 0.5),
        ([0.0, 0.0, 1.0000001], LABELS, "fox", 1.0),
        ([0.0, 2.0, 0.0], LABELS, "dog", 0.7869),  # e^2 / (e^2 + 2)
        ([0.8], ("no", "yes"), "yes", 0.8),
        ([-2.0], ("no", "yes"), "no", 0.8808),  # 1 - 1 / (1 + e^2)
    ],
)
def test_scores_become_shares(scores, labels, label, score):
    """Probabilities as they are, logits by softmax, a single one for two labels by sigmoid."""
    (answer,) = Reading(scores="p", labels=labels).answers({"p": np.array([scores], dtype=np.float32)}, 1)
    assert (answer.label, answer.score) == (label, pytest.approx(score, abs=1e-4))
    assert 0 <= answer.score <= 1
    assert json.loads(answer.json()) == {"label": label, "score": answer.score}


def test_a_label_by_index_is_named():
    """An index beyond the file is told as it is."""
    reading = Reading(label="label", labels=LABELS)
    answers = reading.answers({"label": np.array([2, 7])}, 2)
    assert [answer.label for answer in answers] == ["fox", "7"]


def test_without_a_label_the_outputs_are_the_answer():
    """By name, each for its row; an output without rows is part of every answer."""
    first, second = Reading().answers({"y": np.array([1.5, 2.5]), "scale": np.array(3.0)}, 2)
    assert (first.json(), second.json()) == (b'{"y":1.5,"scale":3.0}', b'{"y":2.5,"scale":3.0}')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        (b"", "line 1 is empty"),
        (b"a\n\nb\n", "line 2 is empty"),
        (b"a\nb\na\n", "'a' is there twice"),
        (b"\xff\n", "wanted UTF-8"),
    ],
)
def test_a_bad_file_of_labels_is_named(tmp_path, text, said):
    """What is wrong with it, and that a label a line is wanted."""
    file = tmp_path / "labels.txt"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(SetupError, match=said) as caught:
        read_labels(file)
    assert str(file) in str(caught.value)


def test_a_file_of_labels(tmp_path):
    """In order, without the white space around them."""
    (tmp_path / "labels.txt").write_text("cat\ndog \nfüchse\n", encoding="utf-8")
    assert read_labels(tmp_path / "labels.txt") == ("cat", "dog", "füchse")
