"""Inference wire protocols: one module each, one table of them, and which of them reaches which.

Pure: bytes in, bytes out. Nothing here knows a socket, a clock or a variant's address. Where both sides speak the same
protocol no function of this package sees the body.
"""

from collections.abc import Mapping

from warmfront.protocols.cloudevents import CLOUDEVENTS
from warmfront.protocols.grpc import OPEN_INFERENCE_GRPC, TENSORFLOW_SERVING_GRPC, is_path
from warmfront.protocols.kserve_v1 import KSERVE_V1
from warmfront.protocols.open_inference import OPEN_INFERENCE
from warmfront.protocols.protocol import CLASSIFY, INFER, METADATA, REGRESS, Errors, Protocol
from warmfront.protocols.raw import RAW
from warmfront.protocols.sagemaker import SAGEMAKER
from warmfront.protocols.tensorflow_serving import TENSORFLOW_SERVING

__all__ = ["CLASSIFY", "INFER", "METADATA", "PROTOCOLS", "REGRESS", "Errors", "Protocol", "errors_at"]

#: Every protocol by the name that the annotation `warmfront.dev/protocols` knows it by.
PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        CLOUDEVENTS,
        RAW,
        OPEN_INFERENCE,
        OPEN_INFERENCE_GRPC,
        TENSORFLOW_SERVING,
        TENSORFLOW_SERVING_GRPC,
        KSERVE_V1,
        SAGEMAKER,
    )
}


def errors_at(path: str) -> Errors:
    """What an error looks like to whoever asks for `path`, known or not: by the protocol that such paths belong to."""
    if is_path(path):
        return Errors.STATUS
    return Errors.ERROR if path[:4] == "/v1/" or path[:3] == "/v2" else Errors.PROBLEM
