"""KServe's first protocol: `:predict` with `{"instances": [...]}`, answered by `{"predictions": [...]}`.

It has TensorFlow Serving's path and row format and nothing else of it: no columns, no signatures. So clients of both
come in by one door, and only what both understand goes to a server of this protocol.
Source: KServe, "Data plane: V1 inference protocol".
"""

from warmfront.protocols.protocol import INFER, Errors, Protocol

KSERVE_V1 = Protocol(
    name="kserve-v1",
    paths={INFER: "/v1/models/{model}:predict"},
    content_type="application/json",
    readiness="/v1/models/{model}",
    errors=Errors.ERROR,
)


def model(name: str, *, ready: bool) -> dict[str, object]:
    """The answer of `GET /v1/models/NAME`; a server that is not ready gives it with 503."""
    return {"name": name, "ready": ready}
