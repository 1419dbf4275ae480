"""One HTTP/2 connection to an upstream and the calls on its streams, flow control both ways.

What may live here: streams of calls, what a peer's GOAWAY, refusal or silence means for them. What must not: frames and
windows (http2_link.py), the choice of connections (http2_lane.py), what a reply means.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import NoAvailableStreamIDError

from warmfront.wire.calls import FailureKind, Sink
from warmfront.wire.deadlines import NEVER
from warmfront.wire.http2_link import Link, plain
from warmfront.wire.messages import Headers
from warmfront.wire.pool import Call
from warmfront.wire.upstream import MAX_HEAD_BYTES

if TYPE_CHECKING:
    from warmfront.wire.http2_lane import Http2Lane

_log = logging.getLogger(__name__)

# What an upstream may send of one reply before it is passed on.
_REPLY_WINDOW = 8 << 20
_MOST_STREAMS = 1000
_FEW_STREAMS = 100  # until the upstream has said how many it takes: no server should take less (RFC 9113 section 6.5.2)


class Http2Call(Call):
    """One request and its stream, once it has one."""

    __slots__ = ("fields", "link", "sent_at", "stream_id", "unacknowledged")

    lane: "Http2Lane"  # type: ignore[assignment]

    def __init__(  # noqa: PLR0917 - one is made per request
        self, lane: "Http2Lane", method: str, fields: Headers, body: bytes, sink: Sink, deadline: float
    ) -> None:
        super().__init__(lane, method, b"", body, sink, deadline)  # type: ignore[arg-type]
        self.fields = fields
        self.link: Http2Upstream | None = None
        self.stream_id = 0
        self.sent_at = 0.0
        self.unacknowledged: list[DataReceived] = []

    def cancel(self) -> None:
        """The sink hears nothing more; the stream is reset unless the reply was complete."""
        if not self.done:
            self.done = True
            self.lane.over(self)
            if self.link is not None:
                self.link.abandon(self)
            else:
                self.lane.withdraw(self)

    def pause(self) -> None:
        """Let the upstream send no more than its window."""
        self.paused = True

    def resume(self) -> None:
        """Let it go on."""
        self.paused = False
        link, self.unacknowledged, held = self.link, [], self.unacknowledged
        if link is not None and not link.lost:
            for event in held:
                link.acknowledge(event)
            link.flush_soon()

    def completed(self) -> None:
        """The reply is whole."""
        self.lane.over(self)
        self.link = None
        super().completed()

    def failed(self, kind: FailureKind, message: str) -> None:
        """The call is over without a whole reply."""
        self.lane.over(self)
        self.link = None
        super().failed(kind, message)

    def expire(self) -> None:
        """The call's time is over. A connection on which nothing came since may be dead: no call follows."""
        link = self.link
        if link is not None:
            link.doubt(self)
            link.abandon(self)
        else:
            self.lane.withdraw(self)
        self.failed(FailureKind.TIMEOUT, "no complete reply in time")


class Http2Upstream(Link):
    """A connection of a lane. `deadline` and `expire` are for the pool's Deadlines: how long it may rest."""

    def __init__(self, lane: "Http2Lane") -> None:
        super().__init__(client=True, stream_window=_REPLY_WINDOW, max_streams=0, max_header_bytes=MAX_HEAD_BYTES)
        self.lane = lane
        self.calls: dict[int, Http2Call] = {}
        self.leaving = False
        self.deadline = NEVER
        self._heard_at = 0.0
        self._told = False
        self.hears = {
            ResponseReceived: self._on_response,
            DataReceived: self._on_data,
            TrailersReceived: self._on_trailers,
            StreamEnded: self._on_end,
            StreamReset: self._on_reset,
            RemoteSettingsChanged: self._on_settings,
            ConnectionTerminated: self._on_goaway,
        }

    @property
    def room(self) -> int:
        """How many more calls it takes."""
        if self.lost or self.leaving:
            return 0
        most = min(self.h2.remote_settings.max_concurrent_streams, _MOST_STREAMS) if self._told else _FEW_STREAMS
        return most - len(self.calls)

    def carry(self, call: Http2Call) -> bool:
        """Send the call's request; False when this connection has no stream left to give."""
        try:
            stream_id = self.h2.get_next_available_stream_id()
        except NoAvailableStreamIDError:
            self.leaving = True
            return False
        self.h2.send_headers(stream_id, call.fields, end_stream=not call.body)
        call.link, call.stream_id, call.sent, call.sent_at = self, stream_id, True, time.monotonic()
        self.calls[stream_id] = call
        self.deadline = NEVER
        if call.body:
            self.body(stream_id, call.body, True)
        self.flush_soon()
        return True

    def abandon(self, call: Http2Call) -> None:
        """Nobody wants the reply any more."""
        call.link = None
        if self.calls.pop(call.stream_id, None) is not None and not self.lost:
            self.reset_stream(call.stream_id, ErrorCodes.CANCEL)
            self._rest()

    def doubt(self, call: Http2Call) -> None:
        """A call timed out: when nothing was heard since it was sent, give this connection no other."""
        if self._heard_at < call.sent_at:
            self.leaving = True

    def expire(self) -> None:
        """It has rested long enough."""
        if not self.calls:
            self.discard()

    def discard(self) -> None:
        """Close at once."""
        self.transport.abort()
        self.connection_lost(None)

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._heard_at = time.monotonic()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever closed it."""
        if self.lost:
            return
        self.lost = True
        self.lane.dropped(self)
        calls, self.calls = self.calls, {}
        for call in calls.values():
            call.failed(FailureKind.RESET, f"{exc or 'closed by the upstream'}")
        self.lane.settle()

    def broken(self, why: str) -> None:
        """What came is not HTTP/2."""
        calls, self.calls = self.calls, {}
        for call in calls.values():
            call.failed(FailureKind.PROTOCOL, f"not a reply by HTTP/2: {why}; is its port named h2c by mistake?")
        self.discard()

    # -- events of h2 -------------------------------------------------------------------------------------------

    def _on_response(self, event: ResponseReceived) -> None:
        call = self.calls.get(event.stream_id)
        if call is not None:
            status = next((bytes(value) for name, value in event.headers if name == b":status"), b"0")
            call.started = True
            self._tell(call, lambda: call.sink.on_response(int(status), plain(event.headers)))

    def _on_data(self, event: DataReceived) -> None:
        call = self.calls.get(event.stream_id)
        if call is None or not call.paused:
            self.acknowledge(event)
        else:
            call.unacknowledged.append(event)
        if call is not None and event.data:
            data = event.data
            self._tell(call, lambda: call.sink.on_body(data))

    def _on_trailers(self, event: TrailersReceived) -> None:
        call = self.calls.get(event.stream_id)
        if call is not None:
            call.trailers = plain(event.headers)

    def _on_end(self, event: StreamEnded) -> None:
        call = self.calls.pop(event.stream_id, None)
        if call is None:
            return
        # a reply may come before the request is whole; the rest of it is wanted no more
        self.reset_stream(event.stream_id, ErrorCodes.NO_ERROR)
        self._rest()
        call.completed()

    def _on_reset(self, event: StreamReset) -> None:
        self.forget(event.stream_id)
        call = self.calls.pop(event.stream_id, None)
        if call is None:
            return
        self._rest()
        if event.error_code == ErrorCodes.REFUSED_STREAM and not call.started and not call.retried:
            self.lane.again(call)
        else:
            name = getattr(event.error_code, "name", event.error_code)
            call.failed(FailureKind.RESET, f"the upstream reset the stream ({name})")

    def _on_settings(self, event: RemoteSettingsChanged) -> None:  # noqa: ARG002 - one shape for all events
        self._told = True
        self.lane.freed()

    def _on_goaway(self, event: ConnectionTerminated) -> None:
        self.leaving = True
        last = event.last_stream_id or 0
        for stream_id in [stream_id for stream_id in self.calls if stream_id > last]:
            call = self.calls.pop(stream_id)
            self.forget(stream_id)
            if call.retried:
                call.failed(FailureKind.RESET, "the upstream is leaving")
            else:
                self.lane.again(call)
        self._rest()

    def _tell(self, call: Http2Call, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception:  # noqa: BLE001 - the other calls of this connection are owed their replies
            _log.exception("a sink failed")
            self.abandon(call)
            call.failed(FailureKind.PROTOCOL, "the reply could not be handled here")

    def _rest(self) -> None:
        """A call has left: close when the last one has and no other may come, else take what waits."""
        if not self.calls and self.leaving:
            asyncio.get_running_loop().call_soon(self._close_if_done)
        elif not self.calls:
            self.deadline = time.monotonic() + self.lane.idle_timeout_s
            self.lane.hurry(self.deadline)
        self.lane.freed()

    def _close_if_done(self) -> None:
        if not self.calls and not self.lost:
            self.flush()
            self.transport.close()
            self.connection_lost(None)
