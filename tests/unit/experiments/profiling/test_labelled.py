"""From a CSV to samples, and what is said of one that cannot be used."""

import base64
import gzip
from pathlib import Path

import pytest

from warmfront.errors import SetupError
from warmfront.experiments.profiling import labelled


def csv(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_texts(tmp_path):
    """Bodies are UTF-8; a quoted text may hold commas and lines; the digest tells one content from another."""
    found = labelled.read(csv(tmp_path, 'input,label,from\nGrüße,de,a\n"one,\ntwo",en,b\n'), group_column="from")
    assert [(one.body.decode(), one.label, one.group) for one in found.samples] == [
        ("Grüße", "de", "a"), ("one,\ntwo", "en", "b"),
    ]  # fmt: skip
    assert found.content_type == "text/plain; charset=utf-8"
    other = labelled.read(csv(tmp_path, "input,label\nGrüße,nl\n", "other.csv"))
    assert found.digest != other.digest


def test_bytes_and_names_of_ones_own(tmp_path):
    """A column whose name ends in _base64 is decoded, gzipped or not."""
    table = f"pixels_base64,digit\n{base64.b64encode(bytes([0, 255])).decode()},7\n"
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(table.encode()))
    found = labelled.read(path, input_column="pixels_base64", label_column="digit")
    assert [(one.body, one.label) for one in found.samples] == [(b"\x00\xff", "7")]
    assert found.content_type == "application/octet-stream"
    assert found.long == ()


def test_longer_texts_are_made_of_those_of_one_label(tmp_path):
    """Sixty texts of 20 bytes and a blank between them: the first 49 of German, which are 1029 bytes, in one."""
    rows = "".join(f"{'x' * 18}{i:02d},de\n" for i in range(60))
    found = labelled.read(csv(tmp_path, "input,label\n" + rows))
    assert [(len(one.body), one.label) for one in found.long] == [(49 * 21, None)]
    few = labelled.read(csv(tmp_path, "input,label\nhallo,de\n", "few.csv"))
    assert few.long == ()  # there is no longer one


def test_what_ships():
    """The texts of the demo, in 45 languages; for another task none."""
    found = labelled.shipped("langid", "set")
    assert len(found.samples) == 405
    assert {one.group for one in found.samples} == {"short", "django", "spacy"}
    with pytest.raises(SetupError, match=r"no labelled inputs ship for task 'tides' \(only for .*langid\); .*--data"):
        labelled.shipped("tides")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("text,lang\nhallo,de\n", "found the columns text, lang; wanted input or input_base64, label too"),
        ("", "found the columns of nothing"),
        ("input,label\n", "found no rows"),
        ("input,label\nhallo,de\nhallo,\n", "line 3: label is empty"),
        ("input,label\n ,de\n", "line 2: input is empty"),
        ("input_base64,label\nh*llo,x\n", "line 2: input_base64 is not base64"),
        ('input,label\n"hallo,de\n', "not a CSV file"),
    ],
)
def test_what_cannot_be_used(tmp_path, text, said):
    """File, line and column are named, and what was wanted."""
    with pytest.raises(SetupError, match=said):
        labelled.read(csv(tmp_path, text))


def test_no_file_and_no_text(tmp_path):
    """A missing file, and one that is not UTF-8."""
    with pytest.raises(SetupError, match=r"gone\.csv: No such file"):
        labelled.read(tmp_path / "gone.csv")
    (tmp_path / "bytes.csv").write_bytes(b"input,label\n\xff\xfe,x\n")
    with pytest.raises(SetupError, match="not UTF-8 at byte 12"):
        labelled.read(tmp_path / "bytes.csv")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"input,label\n")[:-6])
    with pytest.raises(SetupError, match="not a CSV file"):
        labelled.read(tmp_path / "cut.csv.gz")
