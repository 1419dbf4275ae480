"""The digit variants behind the selector on the embedded Knative: one image in every protocol, one answer."""

import json
import re
import shutil
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from tests.runtime.terminal import ROOT, start, stop

from warmfront.cloudevents import CloudEvent, Mode, decode, encode
from warmfront.experiments.profiling import labelled

VARIANTS = ("digits-linear", "digits-litert-small", "digits-onnx-small", "digits-onnx-large")
BEST = {"Warmfront-Min-Accuracy": "0.99", "Warmfront-Deadline-Ms": "20000"}
JSON = {"Content-Type": "application/json"}
OCTETS = {"Content-Type": "application/octet-stream"}
Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def digit() -> tuple[bytes, str]:
    """An image and what it shows."""
    first = labelled.shipped("digits").samples[0]
    return first.body, first.label or ""


class Selector:
    """The selector's Service, asked through the ingress."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, body: Any, headers: dict[str, str]) -> Reply:
        """Status, headers in lower case, body."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, content, {"Host": f"selector.default.localhost:{self._port}", **headers})
        reply = connection.getresponse()
        found = reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        connection.close()
        return found


@pytest.fixture(scope="module")
def selector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Selector]:
    """`warmfront up` with the selector and the variants that need no TensorFlow."""
    folder = tmp_path_factory.mktemp("digits")
    manifests = folder / "knative"
    manifests.mkdir()
    for name in ("selector", "rbac", "state"):
        shutil.copy(ROOT / "knative/base" / f"{name}.yaml", manifests)
    for name in VARIANTS:
        shutil.copy(ROOT / "knative/components/digits" / f"{name}.yaml", manifests)
    up = start(folder, "-f", str(manifests), "--root", str(ROOT), "--state", str(folder / "state"), "--plain")
    try:
        found = re.search(r"NAME\.NAMESPACE\.localhost:(\d+)", up.printed())
        assert found
        yield Selector(int(found[1]))
    finally:
        stop(up)


def test_every_protocol_reaches_the_same_model(selector: Selector, digit: tuple[bytes, str]) -> None:
    """With an accuracy floor that only one variant meets, six ways to send an image get its one answer."""
    image, label = digit
    pixels = [level / 255 for level in image]
    status, headers, body = selector.ask("/tasks/digits", image, OCTETS | BEST)
    raw = json.loads(body)
    assert (status, headers["warmfront-variant"], raw["label"]) == (200, "digits-onnx-large", label)
    assert headers["warmfront-cold-start"] == "true"

    def said(path: str, asked: Any) -> Any:
        status, headers, body = selector.ask(path, asked, JSON | BEST)
        assert (status, headers["warmfront-variant"], headers["warmfront-cold-start"]) == (
            200,
            "digits-onnx-large",
            "false",
        ), body
        return json.loads(body)

    assert said("/tasks/digits", {"image": list(image)}) == raw
    for asked, answered in (("instances", "predictions"), ("inputs", "outputs")):
        (row,) = said("/v1/models/digits:predict", {asked: [pixels]})[answered]
        assert (str(row.index(max(row))), max(row)) == (label, pytest.approx(raw["score"], abs=1e-5))
    tensor = {"name": "image", "shape": [1, 28, 28], "datatype": "UINT8", "data": list(image)}
    outputs = said("/v2/models/digits/infer", {"inputs": [tensor]})["outputs"]
    assert [output["data"] for output in outputs] == [[label], [raw["score"]]]

    event = CloudEvent(
        id="1", source="/t", type="dev.warmfront.inference.request", subject="digits",
        datacontenttype="application/octet-stream", extensions={"minaccuracy": "0.99"}, data=image,
    )  # fmt: skip
    sent, content = encode(event, Mode.BINARY)
    status, headers, body = selector.ask("/", content, {key.decode(): value.decode() for key, value in sent})
    answer = decode([(name.encode(), value.encode()) for name, value in headers.items()], body)
    assert (status, answer.extensions["variant"], json.loads(answer.data)) == (200, "digits-onnx-large", raw)


def test_without_wishes_somebody_answers(selector: Selector, digit: tuple[bytes, str]) -> None:
    """No deadline, no floor: one of the four, and rightly, since all of them know this one."""
    status, headers, body = selector.ask("/tasks/digits", digit[0], OCTETS)
    assert (status, json.loads(body)["label"]) == (200, digit[1])
    assert headers["warmfront-variant"] in VARIANTS


def test_a_variants_reason_comes_through(selector: Selector) -> None:
    """What is no image is the client's fault, told in the words of the variant; nothing is retried elsewhere."""
    status, _, body = selector.ask("/tasks/digits", b"too short", OCTETS)
    assert status == 400
    assert b"the image has 9 bytes; send 784" in body
    status, _, body = selector.ask("/v1/models/digits:predict", {"instances": [[2.0] * 784]}, JSON)
    assert status == 400
    assert b"a pixel of 2" in body
