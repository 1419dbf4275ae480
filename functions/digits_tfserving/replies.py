"""Status and metadata as messages; REST prints them as JSON. What must not live here: requests."""

from servable import Servable
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus

SIGNATURES = "signature_def"


def status(servable: Servable, *, ready: bool) -> GetModelStatusResponse:
    """The one version, available until the process ends."""
    reply = GetModelStatusResponse()
    version = reply.model_version_status.add(version=servable.version)
    version.state = ModelVersionStatus.AVAILABLE if ready else ModelVersionStatus.UNLOADING
    version.status.error_code = 0
    return reply


def metadata(servable: Servable, name: str) -> GetModelMetadataResponse:
    """Every signature with its tensors."""
    reply = GetModelMetadataResponse()
    reply.model_spec.name = name
    reply.model_spec.version.value = servable.version
    signatures = SignatureDefMap()
    for key, signature in servable.signatures.items():
        signatures.signature_def[key].CopyFrom(signature)
    reply.metadata[SIGNATURES].Pack(signatures)
    return reply
