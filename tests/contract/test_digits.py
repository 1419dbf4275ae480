"""The digit functions without TensorFlow as processes: each model, every protocol, the accuracy that is stated."""

import hashlib
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from tests.contract.processes import ROOT, Process, Starter, starter

from warmfront.cloudevents import CloudEvent, Mode, decode, encode
from warmfront.experiments.profiling import labelled

MODELS = ROOT / "functions" / "digits_models"
MANIFEST = json.loads((MODELS / "MANIFEST.json").read_text())
JSON = {"Content-Type": "application/json"}
OCTETS = {"Content-Type": "application/octet-stream"}
VARIANTS = {
    "linear": ("digits_linear", "", "linear.f32"),
    "litert-small": ("digits_litert", "small", "small.tflite"),
    "litert-large": ("digits_litert", "large", "large.tflite"),
    "onnx-small": ("digits_onnx", "small", "small.onnx"),
    "onnx-large": ("digits_onnx", "large", "large.onnx"),
}

every_variant = pytest.mark.parametrize(("folder", "model", "file"), VARIANTS.values(), ids=VARIANTS)


@pytest.fixture
def start() -> Iterator[Starter]:
    """Starts functions; ends what is left."""
    yield from starter()


@pytest.fixture(scope="module")
def digits() -> list[tuple[bytes, str]]:
    """The 1,000 test images and what they show."""
    return [(sample.body, sample.label or "") for sample in labelled.shipped("digits").samples]


def begin(start: Starter, folder: str, model: str) -> Process:
    """One function with one model."""
    settings = {"DIGITS_MODEL": model} if model else {}
    return start(ROOT / "functions" / folder, K_SERVICE="digits-x", K_REVISION="digits-x-00001", **settings)


def test_images_are_fair(digits: list[tuple[bytes, str]]) -> None:
    """A hundred of each digit, 784 bytes each."""
    assert sorted(label for _, label in digits) == sorted("0123456789" * 100)
    assert {len(image) for image, _ in digits} == {784}


def test_manifest_speaks_of_the_files_that_are_there() -> None:
    """Every model that is kept is listed with its digest, and all of them take less than 5 MB."""
    listed = {MODELS / path: facts["sha256"] for path, facts in MANIFEST["models"].items()}
    for path, sha256 in listed.items():
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        assert hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest() == sha256, path
    kept = {path for path in MODELS.iterdir() if path.suffix in (".tflite", ".onnx", ".f32") or (path / "1").is_dir()}
    assert kept == set(listed)
    assert sum(facts["bytes"] for facts in MANIFEST["models"].values()) < 5_000_000


@every_variant
def test_accuracy_is_as_stated(
    start: Starter, digits: list[tuple[bytes, str]], folder: str, model: str, file: str
) -> None:
    """Over all test images the function is as right as MANIFEST.json says of its file."""
    function = begin(start, folder, model)
    connection = HTTPConnection("127.0.0.1", function.port, timeout=60)
    right = 0
    for image, label in digits:
        connection.request("POST", "/", image, OCTETS)
        right += json.loads(connection.getresponse().read())["label"] == label
    connection.close()
    assert right / len(digits) == pytest.approx(MANIFEST["models"][file]["accuracy"], abs=0.001)


def levels(image: bytes) -> list[int]:
    """From 0 to 255."""
    return list(image)


def pixels(image: bytes) -> list[float]:
    """From 0 to 1."""
    return [level / 255 for level in image]


@every_variant
def test_all_protocols_answer_alike(
    start: Starter, digits: list[tuple[bytes, str]], folder: str, model: str, file: str
) -> None:
    """One image in every spelling of every protocol gets one label and one score."""
    function = begin(start, folder, model)
    image, label = next(digit for digit in digits if digit[1] == "0")

    def ask(path: str, body: Any) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, reply = function.ask("POST", path, content, OCTETS if isinstance(body, bytes) else JSON)
        assert status == 200, reply
        return json.loads(reply)

    raw = ask("/", image)
    score = raw["score"]
    assert raw["label"] == label
    assert 0.5 < score <= 1
    assert ask("/", {"image": levels(image)})["score"] == pytest.approx(score, abs=1e-5)

    event = CloudEvent(id="1", source="/t", type="t", datacontenttype="application/octet-stream", data=image)
    for mode in (Mode.BINARY, Mode.STRUCTURED):
        sent, content = encode(event, mode)
        status, headers, body = function.ask("POST", "/", content, {k.decode(): v.decode() for k, v in sent})
        answer = decode([(k.lower().encode(), v.encode()) for k, v in headers.items()], body)
        assert (status, json.loads(answer.data), headers["Warmfront-Label"]) == (200, raw, label)

    rows = [pixels(image)[i : i + 28] for i in range(0, 784, 28)]
    for shape, datatype, data in (
        ([2, 784], "UINT8", levels(image) * 2),
        ([2, 28, 28], "FP32", [rows, rows]),
    ):
        tensor = {"name": "image", "shape": shape, "datatype": datatype, "data": data}
        reply = ask("/v2/models/digits/infer", {"inputs": [tensor]})
        assert reply["outputs"][0]["data"] == [label, label]
        assert reply["outputs"][1]["data"] == pytest.approx([score, score], abs=1e-5)

    for asked, answered in (("instances", "predictions"), ("inputs", "outputs")):
        (found,) = ask("/v1/models/digits-x:predict", {asked: [pixels(image)]})[answered]
        assert len(found) == 10
        assert found[int(label)] == pytest.approx(score, abs=1e-5)
    assert function.end() == 0


@every_variant
def test_what_is_no_image(start: Starter, folder: str, model: str, file: str) -> None:
    """A wrong size, a wrong range, text: 400 with the reason, and the next image works."""
    function = begin(start, folder, model)
    for path, body, headers, said in (
        ("/", b"\x00" * 783, OCTETS, "783 bytes; send 784"),
        ("/", b"a seven", {"Content-Type": "text/plain"}, "7 bytes; send 784"),
        ("/", b'{"image": [1, 2]}', JSON, "2 pixels; send 784"),
        ("/v1/models/digits:predict", json.dumps({"instances": [[255] * 784]}).encode(), JSON, "pixel of 255"),
    ):
        status, _, reply = function.ask("POST", path, body, headers)
        assert status == 400
        assert said in json.loads(reply)["error"]
    assert function.ask("POST", "/", b"\x00" * 784, OCTETS)[0] == 200


@pytest.mark.parametrize(("folder", "suffix"), [("digits_litert", "tflite"), ("digits_onnx", "onnx")])
def test_a_model_that_cannot_be_loaded(start: Starter, tmp_path: Path, folder: str, suffix: str) -> None:
    """A file that is missing or broken ends the start with status 2 and a line that names the trouble."""
    place = tmp_path / "functions" / folder
    place.mkdir(parents=True)
    (place / "main.py").write_text((ROOT / "functions" / folder / "main.py").read_text())
    (place / "Procfile").write_text((ROOT / "functions" / folder / "Procfile").read_text())
    models = tmp_path / "functions" / "digits_models"
    models.mkdir()
    with pytest.raises(AssertionError, match=r"ended with 2 and said (.|\n)*the model of digits cannot be loaded"):
        start(place)
    (models / f"small.{suffix}").write_bytes((MODELS / f"small.{suffix}").read_bytes()[:5000])
    with pytest.raises(AssertionError, match=r"ended with 2 and said (.|\n)*the model of digits cannot be loaded"):
        start(place)
