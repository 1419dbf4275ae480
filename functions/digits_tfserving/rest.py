"""TensorFlow Serving's REST in front of a SavedModel; every other path is the model function's.

What lives here: the routes below /v1/models. What must not: sockets, the mapping of values.
"""

import logging
import re
from typing import Any

import examples
import json_tensors
import replies
from google.protobuf.json_format import MessageToDict
from servable import Servable, dtype_of

from warmfront.errors import InvalidRequest, NotFound, WarmfrontError
from warmfront.function.model import ModelFunction, failure
from warmfront.wire.messages import Headers, Response

_ROUTE = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(:(?P<verb>predict|classify|regress)|(?P<metadata>/metadata))?"
)
_JSON = [(b"content-type", b"application/json")]
_LOG = logging.getLogger("warmfront.tensorflow_serving")


class Front:
    """What the process serves by HTTP. `name` and `service` are the names under which the model answers."""

    def __init__(self, model: ModelFunction[Any], servable: Servable) -> None:
        self.model = model
        self.servable = servable
        self.names = {model.name, model.service}
        self.service = model.service
        self.max_body = model.max_body

    @property
    def draining(self) -> bool:
        """Whether the process is about to end."""
        return self.model.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self.model.draining = value

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Response:
        """The reply to one request; it never raises."""
        if not path.startswith("/v1/"):
            return self.model.answer(method, path, headers, body)
        try:
            return self._route("GET" if method == "HEAD" else method, path, body)
        except WarmfrontError as error:
            return failure(error)
        except Exception:  # noqa: BLE001 - a graph may raise anything; the caller gets a reply, the log the reason
            _LOG.exception("the model failed on an input of %d bytes", len(body))
            return failure(WarmfrontError("the model failed on this input; the replica's log has the reason"))

    def check(self, name: str, version: int | None, label: str) -> None:
        """NotFound unless the model is served under this name, as this version."""
        if name not in self.names:
            raise NotFound(f"Servable not found for request: Latest({name})")
        if label:
            raise NotFound(f"Unrecognized servable version label: {label}; this server has none")
        self.servable.check_version(version, name)

    def _route(self, method: str, path: str, body: bytes) -> Response:
        found = _ROUTE.fullmatch(path)
        if found is None or (method == "POST") != bool(found["verb"]):
            raise InvalidRequest(f"Malformed request: {method} {path}")
        name = found["name"]
        self.check(name, int(found["version"]) if found["version"] else None, found["label"] or "")
        if found["metadata"]:
            return self._said(replies.metadata(self.servable, name))
        if not found["verb"]:
            return self._said(replies.status(self.servable, ready=self.model.ready))
        content, told = self.model.timed(lambda: self._ask(found["verb"], json_tensors.read(body)))
        return Response(status=200, headers=[*_JSON, *told], body=content)

    def _ask(self, verb: str, request: dict[str, Any]) -> bytes:
        signature = request.get("signature_name", "")
        if verb == "predict":
            dtypes = {name: dtype_of(info) for name, info in self.servable.signature(signature).inputs.items()}
            arrays, rows = json_tensors.arrays_of(request, dtypes)
            return json_tensors.render(self.servable.call(signature, arrays), rows=rows)
        ask = examples.classify if verb == "classify" else examples.regress
        return json_tensors.write({"results": ask(self.servable, signature, examples.of_json(request))})

    def _said(self, message) -> Response:
        told = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        return Response(status=200, headers=_JSON, body=json_tensors.write(told))
