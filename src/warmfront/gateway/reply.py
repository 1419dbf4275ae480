"""What a passage wants of whoever answers its client."""

from typing import TYPE_CHECKING, Protocol

from warmfront.cloudevents import Headers
from warmfront.errors import WarmfrontError

if TYPE_CHECKING:
    from warmfront.gateway.forwarding import Passage


class Reply(Protocol):
    """The client's side of a passage: what happens with the reply of the variant, or with the lack of one.

    `headers` are the reply's own without hop-by-hop fields; they are a list of its own that may be changed.
    """

    def whole(self, passage: "Passage", status: int, headers: Headers, body: bytes) -> None:
        """The reply came in one piece; `headers` have no Content-Length."""
        ...

    def begin(self, passage: "Passage", status: int, headers: Headers) -> None:
        """The reply begins; pieces follow. Raises WarmfrontError to refuse it."""
        ...

    def piece(self, passage: "Passage", data: bytes) -> None:
        """A piece of the body. Raises WarmfrontError to refuse it."""
        ...

    def end(self, passage: "Passage") -> None:
        """The body is complete."""
        ...

    def cut(self, passage: "Passage", error: WarmfrontError) -> None:
        """The variant broke off after `begin`, or what it sent could not be passed on."""
        ...

    def fail(self, passage: "Passage", error: WarmfrontError) -> None:
        """There will be no reply from a variant, and nothing was sent to the client."""
        ...
