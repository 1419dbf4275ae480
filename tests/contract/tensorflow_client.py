"""A client by the official stubs, run by the Python that has them: `python tensorflow_client.py PORT IMAGE_HEX`.

Prints one JSON object: what each call answered, errors as [status code, details].
"""

import json
import sys

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}")
predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
models = model_service_pb2_grpc.ModelServiceStub(channel)
image = np.frombuffer(bytes.fromhex(sys.argv[2]), np.uint8).astype(np.float32) / 255
example = tf.train.Example()
example.features.feature["image"].float_list.value.extend(image)


def told(call):
    """What a call says, or its error."""
    try:
        return call()
    except grpc.RpcError as error:
        return [error.code().name, error.details()]


def predict(value=image[np.newaxis], name="digits", signature="", version=None, outputs=(), feed="image"):
    """The whole answer to a Predict."""
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    request.inputs[feed].CopyFrom(tf.make_tensor_proto(value))
    reply, call = predictions.Predict.with_call(request, timeout=30)
    return {
        "spec": [reply.model_spec.name, reply.model_spec.version.value, reply.model_spec.signature_name],
        "shape": list(tf.make_ndarray(reply.outputs["probabilities"]).shape),
        "label": int(tf.make_ndarray(reply.outputs["probabilities"])[0].argmax()),
        "nan": bool(np.isnan(tf.make_ndarray(reply.outputs["probabilities"])).any()),
        "told": sorted(key for key, _ in call.trailing_metadata()),
    }


def classify():
    """Classes with scores of one Example."""
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "digits", "classify"
    request.input.example_list.examples.append(example)
    (found,) = predictions.Classify(request, timeout=30).result.classifications
    best = max(found.classes, key=lambda one: one.score)
    return [len(found.classes), best.label]


def regress(examples=(example,)):
    """The number of each Example, given by a context that all share."""
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "digits", "regress"
    request.input.example_list_with_context.examples.extend(tf.train.Example() for _ in examples)
    request.input.example_list_with_context.context.CopyFrom(example)
    return [one.value for one in predictions.Regress(request, timeout=30).result.regressions]


def metadata():
    """The names of signatures."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "digits"
    reply = predictions.GetModelMetadata(request, timeout=30)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    reply.metadata["signature_def"].Unpack(signatures)
    return sorted(signatures.signature_def)


def status(name="digits"):
    """Version and state."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    (version,) = models.GetModelStatus(request, timeout=30).model_version_status
    return [version.version, version.state, version.status.error_code]


calls = {
    "predict": predict,
    "as the service": lambda: predict(name="digits-tfserving", signature="serving_default", version=1),
    "two images": lambda: predict(np.stack([image, image])),
    "not a number": lambda: predict(np.full((1, 784), np.nan, np.float32)),
    "filter": lambda: predict(outputs=["probabilities"]),
    "classify": classify,
    "regress": lambda: regress((example, example)),
    "metadata": metadata,
    "status": status,
    "another model": lambda: predict(name="other"),
    "another version": lambda: predict(version=7),
    "another signature": lambda: predict(signature="other"),
    "another input": lambda: predict(feed="picture"),
    "another output": lambda: predict(outputs=["logits"]),
    "another shape": lambda: predict(np.zeros((1, 3), np.float32)),
    "another type": lambda: predict(np.zeros((1, 784), np.int32)),
    "no status": lambda: status("other"),
    "no examples": lambda: regress(()),
    "multi": lambda: predictions.MultiInference(inference_pb2.MultiInferenceRequest(), timeout=30),
}
print(json.dumps({name: told(call) for name, call in calls.items()}))
