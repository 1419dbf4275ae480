"""One request through the data plane: waiting for a replica, sent to it, its reply streamed back.

What lives here: the life of one request once its revision is known. What must not: which revision that is.
"""

import asyncio
import time

from warmfront.errors import Overloaded, UpstreamFailed, WarmfrontError
from warmfront.runtime.replicas import Replica
from warmfront.runtime.revision import LiveRevision
from warmfront.wire.deadlines import NEVER
from warmfront.wire.messages import Exchange, Headers, forwardable, returnable
from warmfront.wire.pool import Call, Failure, FailureKind, Pool
from warmfront.wire.server import plain_fault

PROXY_HEADER = b"k-proxy-request"
_FOR = b"x-forwarded-for"
_PROTO = b"x-forwarded-proto"
_OURS = frozenset({PROXY_HEADER, _PROTO, _FOR})
_CLIENT = b"127.0.0.1"  # the ingress listens on the loopback interface only


class Forward:
    """Ends exactly once: with a reply, a failure, a timeout or the client's disappearance."""

    __slots__ = ("_call", "_ended", "_exchange", "_loop", "_pool", "_proxied", "_replica", "_revision", "_timer")

    def __init__(self, exchange: Exchange, revision: LiveRevision, pool: Pool) -> None:
        self._exchange = exchange
        self._revision = revision
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._proxied = False
        self._replica: Replica | None = None
        self._call: Call | None = None
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        exchange.on_disconnect = self._cancel

    def begin(self, delay_s: float = 0.0) -> None:
        """Enter the revision's queue, after `delay_s` on the way to it."""
        if delay_s:
            self._loop.call_later(delay_s, self.begin)
            return
        if self._ended:
            return
        # around the whole wait, so a cold start eats the budget, as in Knative
        self._timer = self._loop.call_later(self._revision.workload.response_start_timeout_s, self._expire)
        self._proxied = self._revision.proxied
        try:
            self._revision.enter(self)
        except Overloaded as error:
            self._end()
            self._refuse(error)

    def send(self, replica: Replica) -> None:
        """It is this replica's turn."""
        exchange = self._exchange
        self._replica = replica
        target = f"{exchange.path}?{exchange.query}" if exchange.query else exchange.path
        self._call = call = self._pool.send(
            replica.origin,
            exchange.method,
            target,
            self._headers(),
            exchange.body,
            self,
            timeout_s=NEVER,  # the timer of `begin` cuts what has not begun to answer
        )
        exchange.on_pause = call.pause
        exchange.on_resume = call.resume

    def dismiss(self) -> None:
        """The revision went away while the request waited."""
        self._cancel()
        self._refuse(Overloaded(f"{self._revision.workload.revision} was removed; ask again"))

    def _headers(self) -> Headers:
        exchange = self._exchange
        earlier = exchange.header(_FOR)
        headers = [item for item in forwardable(exchange.headers) if item[0] not in _OURS]
        headers.append((b"host", exchange.header(b"host") or b""))
        headers.append((_FOR, _CLIENT if earlier is None else earlier + b", " + _CLIENT))
        headers.append((_PROTO, exchange.header(_PROTO) or b"http"))
        if self._proxied:
            headers.append((PROXY_HEADER, b"activator"))
        return headers

    # -- what the replica answers ---------------------------------------------------------------------------------

    def on_response(self, status: int, headers: Headers) -> None:
        """Pass on the head; from here on the reply cannot time out, only break."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._exchange.start(status, returnable(headers))

    def on_body(self, data: bytes) -> None:
        """Pass on a piece."""
        self._exchange.write(data)

    def on_complete(self) -> None:
        """Free the replica, then end the reply."""
        self._leave(replied=True)
        if self._call is not None:
            self._exchange.trailers = self._call.trailers
        self._exchange.finish()

    def on_failure(self, failure: Failure) -> None:
        """A request that was never sent waits for another replica; any other is a 502, or a cut reply."""
        replica, name = self._replica, self._revision.workload.revision
        assert replica is not None
        if failure.kind is FailureKind.CONNECT and not failure.sent:
            self._replica = self._call = None
            self._revision.refused(self, replica)
            return
        self._leave(replied=False)
        if self._exchange.responded:
            self._exchange.abort()
        elif failure.kind is FailureKind.OVERLOAD:
            self._refuse(Overloaded(f"{name}: {failure.message}"))
        else:
            self._refuse(UpstreamFailed(f"a replica of {name} failed before it replied: {failure.message}"))

    # -- other ways to end ----------------------------------------------------------------------------------------

    def _expire(self) -> None:
        self._cancel()
        message = "activator request timeout" if self._proxied else "request timeout"
        self._exchange.respond(504, [(b"content-type", b"text/plain; charset=utf-8")], message.encode())

    def _cancel(self) -> None:
        """Take it back from wherever it is."""
        if self._ended:
            return
        if self._call is not None:
            self._call.cancel()
            self._leave(replied=False)
        else:
            self._end()
            self._revision.cancel(self)

    def _leave(self, *, replied: bool) -> None:
        self._end()
        replica, self._replica = self._replica, None
        if replica is not None:
            # not loop.time(): uvloop's is cached and whole milliseconds
            latency_s = time.monotonic() - self._exchange.received_at if replied else None
            self._revision.leave(replica, latency_s=latency_s)

    def _end(self) -> None:
        self._ended = True
        self._exchange.on_disconnect = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, error: WarmfrontError) -> None:
        self._exchange.respond(*plain_fault(error, self._exchange))
