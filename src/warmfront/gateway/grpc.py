"""Calls of model servers' gRPC: one exchange each, through the same passage as every other request.

What may live here: what a call asks for, who answers it, how its reply is told in gRPC. What must not: HTTP/2
(warmfront.wire), which method has which message (warmfront.protocols.grpc), choosing.
A variant that is asked by gRPC speaks gRPC itself; the message goes to it as it came, but for the model's name.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from warmfront.cloudevents import Headers
from warmfront.domain import Request
from warmfront.errors import UnsupportedMediaType, WarmfrontError
from warmfront.gateway import dialects, problems
from warmfront.gateway.dialects import NOTES, from_variant, sorted_out
from warmfront.gateway.forwarding import Passage
from warmfront.gateway.intake import Intake
from warmfront.gateway.models import Models, own_version
from warmfront.gateway.objective import MAX_DEADLINE_MS, Objective, from_headers, from_parameters
from warmfront.gateway.plane import Plane
from warmfront.gateway.replies import explain
from warmfront.gateway.routes import Found
from warmfront.protocols import INFER, METADATA, Errors, grpc, grpc_fields
from warmfront.protocols.grpc import Code, Rpc
from warmfront.protocols.grpc_fields import Message
from warmfront.wire.messages import Exchange, first
from warmfront.wire.pool import Call, Failure

_STATUS, _MESSAGE = grpc.STATUS_FIELD, grpc.MESSAGE_FIELD
_FRAMING = frozenset({b"content-length", _STATUS, _MESSAGE})
_TIMEOUT, _ENCODING = b"grpc-timeout", b"grpc-encoding"
_HEAD: Headers = [(b"content-type", grpc.CONTENT_TYPE)]
_OK: Headers = [(_STATUS, b"0")]
_NO_PARAMETERS: Mapping[str, grpc_fields.Value] = {}


def is_call(exchange: Exchange) -> bool:
    """Whether whoever sent this wants to be answered by gRPC."""
    return (exchange.header(b"content-type") or b"").startswith(grpc.CONTENT_TYPE)


class Calls:
    """Answers calls: those about a server or a task itself, others by a variant."""

    def __init__(self, plane: Plane, intake: Intake, models: Models, ready: Callable[[], bool]) -> None:
        self._plane = plane
        self._intake = intake
        self._models = models
        self._ready = ready

    def receive(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        """One call. Raises WarmfrontError for what cannot be put to a variant."""
        rpc = grpc.rpc_at(exchange.path)
        assert rpc is not None, f"{exchange.path} is a route and no method"
        if not is_call(exchange):
            kind = (exchange.header(b"content-type") or b"").decode("latin-1")
            raise UnsupportedMediaType(f"Content-Type is {kind!r}; {exchange.path} takes application/grpc")
        if not exchange.carries_trailers:
            raise UnsupportedMediaType(
                "this call came by HTTP/1.1; gRPC needs HTTP/2 all the way: name the port of the selector's Service h2c"
            )
        limit, encoding = self._plane.settings.max_body_bytes, exchange.header(_ENCODING) or b"identity"
        message = grpc.unframed(exchange.body, encoding, limit)
        if rpc.verb == grpc.LIVE:
            _answer(exchange, grpc.truth(True))
        elif rpc.verb == grpc.READY:
            _answer(exchange, grpc.truth(self._ready()))
        elif rpc.verb == grpc.SERVER:
            _answer(exchange, grpc.server(name="warmfront", version=own_version()))
        elif rpc.verb == grpc.MODEL_READY:
            _answer(exchange, grpc.truth(not self._models.trouble(grpc.model_name(rpc, message), (rpc.protocol,))))
        elif rpc.verb == grpc.STATUS:
            trouble = self._models.trouble(grpc.model_name(rpc, message), (rpc.protocol,))
            _answer(exchange, grpc.status(version=1, trouble=trouble))
        elif rpc.verb == METADATA:
            self._metadata(exchange, rpc, message)
        else:
            self._infer(exchange, rpc, message)

    def _infer(self, exchange: Exchange, rpc: Rpc, message: Message) -> None:
        plane = self._plane
        task = grpc.model_name(rpc, message)
        headers, asked = self._asked(exchange, rpc, message, task)
        request = self._intake.request(
            task, len(message), asked, (rpc.protocol,), headers, arrival_at=exchange.received_at, verb=rpc.verb
        )
        named = partial(grpc.renamed, rpc, message)
        reply = CallReply(exchange)
        passage = CallPassage(
            plane, request, dialects.Message((rpc.protocol,), headers, b"", verb=rpc.verb, named=named), reply
        )
        exchange.on_disconnect = passage.cancel
        try:
            passage.begin()
        except WarmfrontError as error:
            plane.measures.refused.child(error.slug).value += 1
            reply.fail(passage, error)

    def _asked(self, exchange: Exchange, rpc: Rpc, message: Message, task: str) -> tuple[Headers, Objective]:
        """What goes on to a variant, whose message is unpacked, and the objective: by metadata, else by parameters of
        the message, else by grpc-timeout (which goes on), else as the task has it.
        """
        kept, stated = sorted_out(exchange.headers)
        defaults, found = self._intake.defaults(task), _NO_PARAMETERS
        timeout = first(kept, _TIMEOUT)
        if rpc.verb == INFER and rpc.protocol == grpc.OPEN_INFERENCE_GRPC.name:
            found = grpc_fields.parameters(message, grpc.PARAMETERS)
        kept = _unpacked(kept)
        if timeout is None and not found:
            return kept, defaults.with_headers(stated)
        asked = defaults.objective
        if timeout is not None:
            asked = replace(asked, deadline_s=min(max(grpc.timeout_s(timeout), 0.001), MAX_DEADLINE_MS / 1000))
        return kept, from_headers(stated, from_parameters(found, asked))

    def _metadata(self, exchange: Exchange, rpc: Rpc, message: Message) -> None:
        """What a variant says of its model; nothing is observed of it, since it is no inference."""
        plane = self._plane
        task = grpc.model_name(rpc, message)
        target = self._models.target(task, (rpc.protocol,), rpc.verb, exchange.received_at)
        name = target.variant.name
        headers = _unpacked(sorted_out(exchange.headers)[0])
        told = _Told(exchange, name, plane.settings.max_reply_bytes)
        body = grpc.renamed(rpc, message, name)
        told.call = plane.pool.send(target.origin, "POST", rpc.path, headers, body, told, timeout_s=plane.timeout_s)
        exchange.on_disconnect = told.call.cancel


class Unary:
    """The sink of one call to a variant: collects the reply, of at most `limit` bytes, then hands it to `hear`."""

    __slots__ = ("_hear", "_limit", "_parts", "_size", "headers", "http")

    def __init__(self, hear: "Callable[[Unary], None]", limit: int) -> None:
        self._hear = hear
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self.http = 0
        self.headers: Headers = []

    def on_response(self, status: int, headers: Headers) -> None:
        """The head."""
        self.http, self.headers = status, headers

    def on_body(self, data: bytes) -> None:
        """A piece; what is above the limit is dropped, and the reply with it."""
        self._size += len(data)
        if self._size <= self._limit:
            self._parts.append(data)

    def on_complete(self) -> None:
        """The reply is whole."""
        self._hear(self)

    @property
    def body(self) -> bytes:
        """The message with its frame."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def fields(self, trailers: Headers) -> Headers:
        """What of the head goes on, with the variant's notes, which a server may have put among its trailers."""
        if not (first(self.headers, b"content-type") or b"").startswith(grpc.CONTENT_TYPE):
            kept = [item for item in self.headers if item[0] != b"content-type"] + _HEAD
        else:
            kept = self.headers
        return [item for item in kept if item[0] not in _FRAMING] + [item for item in trailers if item[0] in NOTES]

    def judged(self, trailers: Headers) -> tuple[Code, str]:
        """Status and message of the reply, wherever it says them; what is no reply by gRPC is told as what it is."""
        status = first(trailers, _STATUS) or first(self.headers, _STATUS)
        code = grpc.code_of(status, self.http)
        if self._size > self._limit:
            return Code.RESOURCE_EXHAUSTED, f"more than {self._limit} bytes, the limit of a reply"
        if status is None:
            said = self.body[:200].decode("utf-8", "replace").strip()
            return code or Code.INTERNAL, said or f"HTTP status {self.http} and no grpc-status"
        message = first(trailers, _MESSAGE) or first(self.headers, _MESSAGE) or b""
        return code, grpc.decoded(message)


class CallPassage(Passage):
    """A passage whose variants are asked by gRPC: their statuses are told as those of HTTP that mean the same."""

    __slots__ = ("_answer", "_said")

    def __init__(self, plane: Plane, request: Request, message: dialects.Message, answer: "CallReply") -> None:
        super().__init__(plane, request, message, answer)
        self._answer = answer
        self._said = ""

    def _listener(self) -> "_Heard":
        self._said = ""
        return _Heard(self, self._plane.settings.max_reply_bytes)

    def hear(self, unary: Unary) -> None:
        """The reply is whole: what retries, and what the client is told, is the passage's usual business."""
        call = self._call
        if call is None:
            return
        code, said = unary.judged(call.trailers)
        http, body = grpc.TO_HTTP.get(code, 400), b"" if code else unary.body
        self._said = f"{code.name}: {said}" if said else code.name
        self._answer.trailers = _trailers(code, said, call.trailers)
        self.on_response(http, [*unary.fields(call.trailers), (b"content-length", b"%d" % len(body))])
        if body:
            self.on_body(body)
        self.on_complete()

    def _failed(self, what: str) -> float:
        return super()._failed(f"answered {self._said}" if self._said else what)


class _Heard(Unary):
    """A unary call of a passage, which hears of its failure too."""

    __slots__ = ("_passage",)

    def __init__(self, passage: CallPassage, limit: int) -> None:
        super().__init__(passage.hear, limit)
        self._passage = passage

    def on_failure(self, failure: Failure) -> None:
        """There is no reply."""
        self._passage.on_failure(failure)


class CallReply:
    """Writes a passage's reply to one call."""

    __slots__ = ("_exchange", "trailers")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.trailers = _OK

    def whole(self, passage: Passage, status: int, headers: Headers, body: bytes) -> None:  # noqa: ARG002 - in trailers
        """The message, and behind it how it ended."""
        self._exchange.trailers = self.trailers
        self._exchange.respond(200, headers + explain(passage), body)

    def begin(self, passage: Passage, status: int, headers: Headers) -> None:  # noqa: ARG002 - the Reply protocol
        """Never: a unary reply comes whole."""
        raise AssertionError("a unary reply was begun in pieces")

    def piece(self, passage: Passage, data: bytes) -> None:  # noqa: ARG002 - the Reply protocol
        """Never."""
        raise AssertionError("a unary reply came in pieces")

    def end(self, passage: Passage) -> None:  # noqa: ARG002 - the Reply protocol
        """Never."""
        raise AssertionError("a unary reply ended in pieces")

    def cut(self, passage: Passage, error: WarmfrontError) -> None:
        """Nothing was sent yet."""
        self.fail(passage, error)

    def fail(self, passage: Passage, error: WarmfrontError) -> None:
        """The error as gRPC's status."""
        if self._exchange.responded:
            self._exchange.abort()
            return
        status, headers, body = problems.render(error, shape=Errors.STATUS)
        if passage.decision is not None:
            headers.append((b"warmfront-decision-id", passage.decision.id.encode()))
        self._exchange.respond(status, headers, body)


class _Told(Unary):
    """A variant's answer that goes back as it is."""

    __slots__ = ("_exchange", "_name", "call")

    call: Call

    def __init__(self, exchange: Exchange, name: str, limit: int) -> None:
        super().__init__(self._tell, limit)
        self._exchange = exchange
        self._name = name

    def _tell(self, unary: Unary) -> None:
        code, said = unary.judged(self.call.trailers)
        kept, _, _ = from_variant(unary.fields(self.call.trailers))
        self._exchange.trailers = _trailers(code, said, self.call.trailers)
        named = (b"warmfront-variant", self._name.encode())
        self._exchange.respond(200, [*kept, named], b"" if code else unary.body)

    def on_failure(self, failure: Failure) -> None:
        """There is no answer."""
        if not self._exchange.responded:
            self._exchange.respond(*problems.render(failure.error(), shape=Errors.STATUS))


def _answer(exchange: Exchange, body: bytes) -> None:
    exchange.trailers = _OK
    exchange.respond(200, _HEAD, body)


def _trailers(code: Code, said: str, theirs: Headers) -> Headers:
    rest = [item for item in theirs if item[0] not in _FRAMING and item[0] not in NOTES]
    told = [(_MESSAGE, grpc.encoded(said))] if code and said else []
    return [(_STATUS, b"%d" % code), *told, *rest]


def _unpacked(headers: Headers) -> Headers:
    """A variant gets the message unpacked."""
    return [item for item in headers if item[0] != _ENCODING]
