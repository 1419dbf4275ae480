"""TensorFlow Serving over REST: predict, classify, regress, metadata, status; versions and labels.

What may live here: its paths and the shape of its status. Bodies pass as bytes, which is more than thrift: they may
hold NaN and Infinity, which no strict JSON parser takes.
A server listens once its models are loaded, so the status path is a true readiness probe.
Source: TensorFlow Serving, "RESTful API"; GetModelStatusResponse of model_service.proto.
"""

from warmfront.protocols.protocol import CLASSIFY, INFER, METADATA, REGRESS, Errors, Protocol

_MODEL = "/v1/models/{model}{version}"
#: The signature that is meant when a request names none.
DEFAULT_SIGNATURE = "serving_default"

TENSORFLOW_SERVING = Protocol(
    name="tensorflow-serving",
    paths={
        INFER: f"{_MODEL}:predict",
        CLASSIFY: f"{_MODEL}:classify",
        REGRESS: f"{_MODEL}:regress",
        METADATA: f"{_MODEL}/metadata",
    },
    content_type="application/json",
    readiness="/v1/models/{model}",
    errors=Errors.ERROR,
)


def status(*, version: str, trouble: str = "") -> dict[str, object]:
    """The answer of `GET /v1/models/NAME`: one version, AVAILABLE unless there is `trouble`."""
    told = {"error_code": "UNAVAILABLE" if trouble else "OK", "error_message": trouble}
    return {"model_version_status": [{"version": version, "state": "END" if trouble else "AVAILABLE", "status": told}]}
