"""Classify and regress: tf.Examples in, classes with scores or one number each out.

What lives here: Examples from JSON and from messages, and what a signature's outputs mean. What must not: routes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from json_tensors import plain
from servable import Servable
from tensorflow.train import BytesList, Example, Feature, FloatList, Int64List

from warmfront.errors import InvalidRequest


def of_json(request: Mapping[str, Any]) -> list[Example]:
    """The Examples of a request, its context in each; InvalidRequest where one is none."""
    found, context = request.get("examples"), request.get("context", {})
    if not isinstance(found, list) or not found:
        raise InvalidRequest(
            "When method is classify or regress, key 'examples' is expected and must be a list of one or more"
        )
    if not isinstance(context, dict):
        raise InvalidRequest("'context' must be an object of features")
    examples = []
    for features in found:
        if not isinstance(features, dict):
            raise InvalidRequest(f"an example is an object of features; found {type(features).__name__}")
        if both := sorted(features.keys() & context.keys()):
            raise InvalidRequest(
                f"features {', '.join(both)} are in 'context' and in an example; wanted in one of them"
            )
        examples.append(_example(features | context))
    return examples


def of_message(message) -> list[Example]:
    """The Examples of an Input message, its context merged into each."""
    if message.HasField("example_list"):
        examples = list(message.example_list.examples)
    else:
        examples = list(message.example_list_with_context.examples)
        for example in examples:
            example.MergeFrom(message.example_list_with_context.context)
    if not examples:
        raise InvalidRequest("Input is empty.")
    return examples


def classify(servable: Servable, signature: str, examples: list[Example]) -> list[list[tuple[str, float]]]:
    """Per Example its classes and scores; a model that names no classes has empty names, one without scores zeros."""
    outputs = _ask(servable, signature, examples, {"classes", "scores"})
    shape = next(iter(outputs.values())).shape
    if len(shape) != 2 or shape[0] != len(examples):
        raise InvalidRequest(
            f"the outputs of the signature have shape {list(shape)}; wanted [{len(examples)}, classes]"
        )
    classes = outputs.get("classes", np.full(shape, b"", object))
    scores = outputs.get("scores", np.zeros(shape))
    return [
        [(name.decode(errors="replace"), score) for name, score in zip(*row, strict=True)]
        for row in zip(classes.tolist(), scores.tolist(), strict=True)
    ]


def regress(servable: Servable, signature: str, examples: list[Example]) -> list[float]:
    """One number per Example."""
    values = _ask(servable, signature, examples, {"outputs"})["outputs"]
    if values.size != len(examples):
        raise InvalidRequest(
            f"the output of the signature has shape {list(values.shape)}; wanted one number per example"
        )
    return values.reshape(-1).tolist()


def _ask(servable: Servable, signature: str, examples: list[Example], known: set[str]) -> dict[str, np.ndarray]:
    declared = servable.signature(signature)
    if list(declared.inputs) != ["inputs"] or not known & set(declared.outputs):
        raise InvalidRequest(
            f"signature {signature or 'serving_default'!r} takes {', '.join(declared.inputs)} and gives "
            f"{', '.join(declared.outputs)}; this method wants inputs, and {' or '.join(sorted(known))}: name another"
        )
    serialized = np.array([example.SerializeToString() for example in examples], object)
    found = servable.call(signature, {"inputs": serialized})
    return {name: array for name, array in found.items() if name in known}


def _example(features: Mapping[str, Any]) -> Example:
    example = Example()
    for name, value in features.items():
        example.features.feature[name].CopyFrom(_feature(name, value if isinstance(value, list) else [value]))
    return example


def _feature(name: str, values: list[Any]) -> Feature:
    found = [plain(value) for value in values]
    kinds = {type(value) for value in found}
    if kinds <= {bytes}:
        return Feature(bytes_list=BytesList(value=found))
    if kinds == {int}:
        return Feature(int64_list=Int64List(value=found))
    if kinds <= {int, float}:
        return Feature(float_list=FloatList(value=found))
    raise InvalidRequest(
        f"feature {name!r} must be a number, a string or a list of either; found {sorted(k.__name__ for k in kinds)}"
    )
