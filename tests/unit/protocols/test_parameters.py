"""Of an Open Inference request only `parameters` is read, and only if it is there."""

import pytest

from warmfront.errors import InvalidRequest
from warmfront.protocols.open_inference import parameters


def test_parameters_of_a_request():
    """Scalars of all kinds; parameters of tensors are not the request's."""
    body = b'{"id": "1", "inputs": [{"parameters": {"a": 1}}], "parameters": {"b": "x", "c": 1.5, "d": true}}'
    assert parameters(body) == {"b": "x", "c": 1.5, "d": True}
    assert parameters(b'{"inputs": [{"parameters": {"a": 1}}]}') == {}


def test_a_body_that_mentions_none_is_not_parsed():
    """Broken or binary bodies pass untouched: they are the variant's business."""
    assert parameters(b"{broken") == {}
    assert parameters(b"\xff\x00") == {}


@pytest.mark.parametrize("body", [b'{"parameters": {"a": [1]}}', b'{"parameters": 5}', b'["parameters"]'])
def test_parameters_of_the_wrong_type(body):
    """Named with the place."""
    with pytest.raises(InvalidRequest, match="parameters of the inference request"):
        parameters(body)


@pytest.mark.parametrize("body", [b'{"parameters": {', b'{"parameters": {"a": "\xff"}}'])
def test_parameters_that_are_no_json(body):
    """400 rather than a guess."""
    with pytest.raises(InvalidRequest):
        parameters(body)
