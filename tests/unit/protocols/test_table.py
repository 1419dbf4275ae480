"""The table of protocols and what reaches what."""

import pytest

from warmfront.domain import Variant
from warmfront.gateway.objective import EXTENSIONS, HEADERS
from warmfront.kube.manifests import KNOWN_PROTOCOLS
from warmfront.protocols import CLASSIFY, INFER, METADATA, PROTOCOLS, Errors, errors_at
from warmfront.protocols.open_inference import OBJECTIVES
from warmfront.protocols.reach import CONVERSIONS, way


def variant(protocols: str) -> Variant:
    return Variant(name="v", task="t", revision="v-1", url="http://v", protocols=tuple(protocols.split(",")))


def test_every_known_protocol_is_in_the_table():
    """What the annotation may name is what the table holds, each under its own name, each able to infer."""
    assert set(PROTOCOLS) == set(KNOWN_PROTOCOLS)
    for name, protocol in PROTOCOLS.items():
        assert (protocol.name, INFER in protocol.paths) == (name, True)
        assert protocol.readiness.startswith("/")
    assert {name for pair in CONVERSIONS for name in pair} <= set(PROTOCOLS)


def test_paths_of_tensorflow_serving():
    """Verb, model and version, as its REST API writes them."""
    path = PROTOCOLS["tensorflow-serving"].path
    assert path(INFER, "half") == "/v1/models/half:predict"
    assert path(CLASSIFY, "half", "/versions/3") == "/v1/models/half/versions/3:classify"
    assert path(METADATA, "half", "/labels/stable") == "/v1/models/half/labels/stable/metadata"


def test_objectives_have_the_same_names_in_parameters():
    """Open Inference's `parameters` take the headers' and the extensions' names."""
    assert {name.decode() for name in HEADERS} | set(EXTENSIONS) == OBJECTIVES


@pytest.mark.parametrize(
    ("client", "spoken", "found"),
    [
        ("raw", "cloudevents,raw", "raw"),
        ("raw", "cloudevents", "cloudevents"),
        ("cloudevents", "raw,open-inference", "raw"),
        ("cloudevents", "sagemaker", "sagemaker"),
        ("raw", "open-inference,cloudevents", "open-inference"),
        ("sagemaker", "raw", "raw"),
        ("tensorflow-serving", "open-inference,tensorflow-serving", "tensorflow-serving"),
        ("tensorflow-serving", "kserve-v1", "kserve-v1"),
        ("open-inference", "raw,kserve-v1", "kserve-v1"),
        ("open-inference", "raw,cloudevents", None),
        ("tensorflow-serving", "raw,sagemaker", None),
    ],
)
def test_the_clients_protocol_is_kept_where_the_variant_speaks_it(client, spoken, found):
    """Else the first one named that a conversion leads to; a raw variant is never sent another protocol's frame."""
    there = way((client,), variant(spoken))
    assert (None if there is None else there.protocol) == found
    if there is not None:
        assert (there.conversion is None) == (client == found)


def test_only_inference_is_converted():
    """Classify and metadata go to those who have them."""
    assert way(("tensorflow-serving",), variant("tensorflow-serving"), CLASSIFY).path == "/v1/models/v:classify"
    assert way(("tensorflow-serving",), variant("kserve-v1,open-inference"), CLASSIFY) is None
    assert way(("open-inference",), variant("open-inference"), METADATA).path == "/v2/models/v"
    assert way(("open-inference",), variant("tensorflow-serving"), METADATA) is None


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/models/x:predict", Errors.ERROR),
        ("/v1/nothing", Errors.ERROR),
        ("/v2", Errors.ERROR),
        ("/v2/models/x/infer", Errors.ERROR),
        ("/tasks/x", Errors.PROBLEM),
        ("/invocations", Errors.PROBLEM),
        ("/", Errors.PROBLEM),
    ],
)
def test_errors_look_as_the_protocol_of_the_path_has_them(path, shape):
    """Known path or not."""
    assert errors_at(path) is shape
