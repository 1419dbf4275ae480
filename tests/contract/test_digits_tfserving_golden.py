"""The golden pairs of TensorFlow Serving's REST API, put to our own server of it over a model that TensorFlow made.

Needs TensorFlow: skipped until `warmfront build digits_tfserving` has made its environment.
"""

import http.client
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.test_tensorflow_serving import PAIRS
from tests.tensorflow_function import environment, needs_tensorflow

pytestmark = needs_tensorflow
MODELS = {"half_plus_two": "2", "half_plus_three": "3"}
UNKNOWN = {"predict_label": "our server has no labels"}


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Where each model is served."""
    found = environment()
    assert found is not None
    script = str(Path(__file__).with_name("half_plus_tensorflow.py"))
    variables = {"PATH": found.path, "HOME": os.environ.get("HOME", "/"), "PORT": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
    started: dict[str, subprocess.Popen[str]] = {}
    places: dict[str, int] = {}
    for name, plus in MODELS.items():
        command = [found.command[0], script, name, plus, str(tmp_path_factory.mktemp(name))]
        started[name] = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)
    for name, process in started.items():
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if listens := re.search(r"is ready on port (\d+)", line):
                places[name] = int(listens[1])
                break
        assert name in places, "".join(said)
    yield places
    for process in started.values():
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize("name", sorted(PAIRS.keys() - UNKNOWN.keys()))
def test_pair(ports: dict[str, int], name: str) -> None:
    """The documented status; of a success the documented values, of a fault an error and nothing else."""
    pair = PAIRS[name]
    (model,) = (model for model in MODELS if f"/{model}" in pair.path)
    connection = http.client.HTTPConnection("127.0.0.1", ports[model], timeout=30)
    connection.request(pair.method, pair.path, pair.body)
    reply = connection.getresponse()
    status, found = reply.status, json.loads(reply.read())
    connection.close()
    assert status == pair.status, found
    expected = json.loads(pair.reply)
    if status != 200:
        assert list(found) == list(expected) == ["error"]
    elif name == "metadata":
        assert found["model_spec"] == expected["model_spec"] | {"name": model}
        signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
        wanted = expected["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert signature["inputs"]["x"]["dtype"] == wanted["inputs"]["x"]["dtype"]
        assert signature["method_name"] == wanted["method_name"]
    else:
        assert repr(found) == repr(expected)  # NaN is not equal to itself, its name is


@pytest.mark.parametrize("name", ["error_json", "error_neither_format", "error_signature", "error_type"])
def test_same_words(ports: dict[str, int], name: str) -> None:
    """Where an error says what to change, ours begins with the documented words, or those before the parser's own."""
    pair = PAIRS[name]
    connection = http.client.HTTPConnection("127.0.0.1", ports["half_plus_two"], timeout=30)
    connection.request(pair.method, pair.path, pair.body)
    said = json.loads(connection.getresponse().read())["error"]
    connection.close()
    assert said.startswith(json.loads(pair.reply)["error"].partition(": Invalid value")[0])
