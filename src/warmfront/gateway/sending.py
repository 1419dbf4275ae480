"""A client's message as it is put to one variant. What must not live here: whether, to whom, what follows."""

from warmfront.cloudevents import Headers
from warmfront.domain import Request
from warmfront.gateway.converting import ConvertedReply
from warmfront.gateway.dialects import Message, to_variant
from warmfront.gateway.plane import Plane
from warmfront.gateway.reply import Reply
from warmfront.gateway.targets import Target
from warmfront.protocols import PROTOCOLS
from warmfront.wire.pool import Call, Sink

#: Path, headers and body for the variant, and what takes its reply.
Letter = tuple[str, Headers, bytes, Reply]


def letter(plane: Plane, message: Message, request: Request, target: Target, reply: Reply) -> Letter:
    """The message in words of the target, whose reply is then one for `reply`. Unprocessable when there are none."""
    way = target.way(message.protocols, message.verb)
    path, headers, body, back = to_variant(message, way, request, plane.source, target.variant.name)
    if way.conversion is not None:
        shape = PROTOCOLS[message.protocols[0]].errors
        reply = ConvertedReply(reply, back, shape, plane.settings.max_reply_bytes)
    return path, headers, body, reply


def post(plane: Plane, written: Letter, target: Target, request: Request, sink: Sink, *, now: float) -> Call:
    """Send it, with the time that is left until the request's deadline."""
    path, headers, body, _ = written
    deadline_at = request.deadline_at
    if deadline_at is not None:
        left_ms = int((deadline_at - now) * 1000)
        headers.append((b"warmfront-deadline-ms", b"%d" % (max(1, left_ms))))
    timeout_s = time_left_s(plane, request, now)
    return plane.pool.send(target.origin, "POST", path, headers, body, sink, timeout_s=timeout_s)


def time_left_s(plane: Plane, request: Request, now: float) -> float:
    """Until the transport timeout; a moment when that is over."""
    return max(0.001, request.arrival_at + plane.timeout_s - now)
