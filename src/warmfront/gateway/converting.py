"""Replies that come in another protocol than the client's: collected, made one of the client's, then passed on.

What may live here: the life of such a reply. What must not: how a body is converted (warmfront.protocols).
"""

from typing import TYPE_CHECKING

from warmfront.cloudevents import Headers
from warmfront.errors import UpstreamFailed, WarmfrontError
from warmfront.gateway import problems
from warmfront.gateway.reply import Reply
from warmfront.protocols import Errors
from warmfront.protocols.bodies import Back

if TYPE_CHECKING:
    from warmfront.gateway.forwarding import Passage


class ConvertedReply:
    """Stands before the client's reply. A good reply goes through `back` (None: as it is), an error gets the `shape`
    that errors of the client's protocol have. `limit` is the largest reply in bytes.
    """

    __slots__ = ("_back", "_body", "_headers", "_limit", "_reply", "_shape", "_status")

    def __init__(self, reply: Reply, back: Back | None, shape: Errors, limit: int) -> None:
        self._reply = reply
        self._back = back
        self._shape = shape
        self._limit = limit
        self._status = 0
        self._headers: Headers = []
        self._body = bytearray()

    def whole(self, passage: "Passage", status: int, headers: Headers, body: bytes) -> None:
        """Convert and pass on. A reply that the client's protocol cannot tell is the variant's failure."""
        try:
            if status >= 400:
                headers, body = problems.retold(status, headers, body, self._shape)
            elif self._back is not None:
                headers, body = self._back(headers, body)
        except UpstreamFailed as error:
            self._reply.fail(passage, UpstreamFailed(f"{passage.chosen.variant.name} {error}"))
            return
        self._reply.whole(passage, status, headers, body)

    def begin(self, passage: "Passage", status: int, headers: Headers) -> None:  # noqa: ARG002 - the Reply protocol
        """Remember the head; what must be converted goes out whole."""
        self._status = status
        self._headers = [item for item in headers if item[0] != b"content-length"]

    def piece(self, passage: "Passage", data: bytes) -> None:
        """Collect. Raises UpstreamFailed beyond the limit."""
        if len(self._body) + len(data) > self._limit:
            raise UpstreamFailed(f"{passage.chosen.variant.name} replied with more than {self._limit} bytes, the limit")
        self._body += data

    def end(self, passage: "Passage") -> None:
        """The reply is whole now."""
        self.whole(passage, self._status, self._headers, bytes(self._body))

    def cut(self, passage: "Passage", error: WarmfrontError) -> None:
        """Nothing was sent yet, so this is a failure like any other."""
        self._reply.fail(passage, error)

    def fail(self, passage: "Passage", error: WarmfrontError) -> None:
        """There is no reply to convert."""
        self._reply.fail(passage, error)
