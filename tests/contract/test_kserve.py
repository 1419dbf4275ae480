"""InferenceServices in Knative mode as variants: what KServe generates, read as the selector reads it."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from warmfront.errors import InvalidRequest
from warmfront.kube.files import load_manifests
from warmfront.kube.manifests import availability, variant_of
from warmfront.protocols.reach import way

GOLDEN = Path(__file__).parent / "golden" / "kserve"


@pytest.fixture
def predictor() -> dict[str, Any]:
    """The Knative Service of the predictor."""
    (service,) = load_manifests(GOLDEN / "predictor.yaml")
    return service


def test_the_predictor_carries_what_the_user_wrote(predictor: dict[str, Any]) -> None:
    """The golden pair agrees: labels on the Service, annotations on its template, bounds and name derived."""
    (written,) = load_manifests(GOLDEN / "inferenceservice.yaml")
    template = predictor["spec"]["template"]
    assert predictor["metadata"]["name"] == f"{written['metadata']['name']}-predictor"
    assert written["metadata"]["labels"].items() <= predictor["metadata"]["labels"].items()
    assert written["metadata"]["annotations"].items() <= template["metadata"]["annotations"].items()
    assert template["spec"]["containerConcurrency"] == written["spec"]["predictor"]["containerConcurrency"]
    assert predictor["metadata"]["ownerReferences"][0]["uid"] == written["metadata"]["uid"]


def test_a_labelled_predictor_is_a_variant(predictor: dict[str, Any]) -> None:
    """It is called as its InferenceService, asked in Open Inference under that name, at the predictor's own address."""
    variant = variant_of(predictor)
    assert (variant.name, variant.task) == ("sentiment-small", "sentiment")
    assert variant.revision == "sentiment-small-predictor-00001"
    assert variant.url == "http://sentiment-small-predictor.default.svc.cluster.local"
    assert (variant.concurrency, variant.max_replicas) == (4, 3)
    assert (variant.profile.accuracy, variant.profile.memory_mb) == (0.91, 420)
    assert way(("open-inference",), variant) == ("open-inference", "/v2/models/sentiment-small/infer", None)
    assert availability(predictor) == (True, "")


def test_a_predictor_of_the_first_protocol_says_so(predictor: dict[str, Any]) -> None:
    """An annotation on the InferenceService, which KServe puts on the template, names another protocol."""
    predictor["spec"]["template"]["metadata"]["annotations"]["warmfront.dev/protocols"] = "kserve-v1"
    assert way(("kserve-v1",), variant_of(predictor))[:2] == ("kserve-v1", "/v1/models/sentiment-small:predict")


@pytest.mark.parametrize("component", ["transformer", "explainer"])
def test_other_parts_are_no_variants(predictor: dict[str, Any], component: str) -> None:
    """A transformer or explainer that inherited the label is refused, with where the label belongs."""
    part = deepcopy(predictor)
    part["metadata"]["labels"]["component"] = component
    with pytest.raises(InvalidRequest, match=rf"is the {component} of an InferenceService.*spec\.predictor\.labels"):
        variant_of(part)
