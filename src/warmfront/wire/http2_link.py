"""What both ends of an HTTP/2 connection do alike: frames in and out, flow control, bodies that wait for a window.

What may live here: the state of one connection as `h2` keeps it, and the queue of what is to be sent. What must not:
what a stream means (http2_server.py, http2_upstream.py). Loaded with the first such connection, not before.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from warmfront.wire.http2_frames import LARGE, Http2
from warmfront.wire.messages import Headers

_log = logging.getLogger(__name__)

# A tensor of 1 MB comes in one frame from peers that use what is offered.
MAX_FRAME = 1 << 20
# What all streams of a connection may have under way together; a stream's own window is what bounds its body.
CONNECTION_WINDOW = 256 << 20
_FIRST_WINDOW = 65_535  # RFC 9113 section 6.9.2
HIGH_WATER = 262_144  # a stream with more than this to send asks whoever writes it to pause
_MAX_STUCK = 1 << 20  # acknowledgements may pile up to here for a peer that does not read


class _Outgoing:
    """What is still to be sent on one stream."""

    __slots__ = ("ended", "on_room", "pieces", "size", "trailers")

    def __init__(self) -> None:
        self.pieces: deque[memoryview] = deque()
        self.size = 0
        self.ended = False
        self.trailers: Headers = []
        self.on_room: Callable[[], None] | None = None


class Link(asyncio.Protocol):
    """One connection. Subclasses fill `hears`: what is done for each kind of event.

    `stream_window` bounds in bytes what a peer may send on one stream before it is acknowledged.
    """

    transport: asyncio.Transport

    def __init__(self, *, client: bool, stream_window: int, max_streams: int, max_header_bytes: int) -> None:
        # what is sent was parsed here, and upstreams are no attackers: to check either costs a tenth of a call
        config = H2Configuration(
            client_side=client,
            header_encoding=None,
            validate_inbound_headers=not client,
            normalize_inbound_headers=not client,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = Http2(config)
        self.h2.local_settings = Settings(
            client=client,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: max_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: max_header_bytes,
                SettingCodes.INITIAL_WINDOW_SIZE: stream_window,
                SettingCodes.MAX_FRAME_SIZE: MAX_FRAME,
            },
        )
        self.h2.max_inbound_frame_size = MAX_FRAME
        self.h2.decoder.max_header_list_size = max_header_bytes
        self.hears: dict[type[Event], Callable[[Any], None]] = {}
        self.lost = False
        self.write_paused = False
        self._outgoing: dict[int, _Outgoing] = {}
        self._receiving = False
        self._scheduled = False
        self._stuck = 0
        self.moved_at = 0.0  # when a piece of a body was last sent

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what this side takes."""
        self.transport = cast("asyncio.Transport", transport)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(CONNECTION_WINDOW - _FIRST_WINDOW)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Act on every frame, send what may be sent by now."""
        self._receiving = True
        try:
            for event in self.h2.receive_data(data):
                hear = self.hears.get(type(event))
                if hear is not None and not self.lost:
                    hear(event)
        except ProtocolError as error:
            self._outgoing.clear()
            self.flush()
            self.broken(str(error) or type(error).__name__)
            return
        finally:
            self._receiving = False
        self.flush()

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        self.write_paused = True
        self._stuck = 0

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.write_paused = False
        self.flush()

    # -- for subclasses -----------------------------------------------------------------------------------------

    def broken(self, why: str) -> None:
        """The peer broke the protocol: it was told, and nothing more is said."""
        _log.debug("HTTP/2 connection ends: %s", why)
        self.transport.close()

    def acknowledge(self, event: DataReceived) -> None:
        """Let the peer send as much again."""
        if event.flow_controlled_length:
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def reset_stream(self, stream_id: int, code: ErrorCodes) -> None:
        """End a stream before its time; nothing for one that has ended."""
        self._outgoing.pop(stream_id, None)
        stream = self.h2.streams.get(stream_id)
        if stream is not None and not stream.closed:
            self.h2.reset_stream(stream_id, code)
            self.flush_soon()

    def forget(self, stream_id: int) -> None:
        """What this stream still had to send is wanted no more."""
        self._outgoing.pop(stream_id, None)

    def waiting(self, stream_id: int) -> int:
        """How many bytes of this stream's body wait to be sent."""
        outgoing = self._outgoing.get(stream_id)
        return outgoing.size if outgoing is not None else 0

    @property
    def owes(self) -> bool:
        """Whether a body waits for the peer to take it."""
        return bool(self._outgoing)

    def body(
        self,
        stream_id: int,
        data: bytes,
        ended: bool,
        trailers: Headers | None = None,
        on_room: Callable[[], None] | None = None,
    ) -> None:
        """Send a piece of a body as windows allow, and behind the last one the trailers. `on_room` is called when what
        waits has fallen below HIGH_WATER after it was above.
        """
        outgoing = self._outgoing.get(stream_id)
        if outgoing is None:
            outgoing = self._outgoing[stream_id] = _Outgoing()
            self.moved_at = time.monotonic()
        if data:
            outgoing.pieces.append(memoryview(data))
            outgoing.size += len(data)
        if outgoing.size > HIGH_WATER:
            outgoing.on_room = on_room
        outgoing.ended = ended
        outgoing.trailers = trailers or []
        self.flush_soon()

    def flush_soon(self) -> None:
        """Send at the end of this turn of the loop, in as few writes as possible."""
        if not self._scheduled and not self._receiving:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """Send what may be sent."""
        if self.lost:
            return
        if self._outgoing and not self.write_paused:
            self._pump()
        first = self.h2.data_to_send()
        pieces, self.h2.pieces = self.h2.pieces, []
        if first:
            pieces.insert(0, first)
        if not pieces:
            return
        if self.write_paused:
            self._stuck += sum(map(len, pieces))
            if self._stuck > _MAX_STUCK:
                self.transport.abort()
                return
        if len(pieces) == 1:
            self.transport.write(pieces[0])
        else:
            self.transport.writelines(_joined(pieces))

    def _pump(self) -> None:
        """One frame of each stream in turn, until windows or bodies are used up."""
        more = True
        while more and not self.lost:
            more = False
            for stream_id, outgoing in list(self._outgoing.items()):
                more = self._send_frame(stream_id, outgoing) or more

    def _send_frame(self, stream_id: int, outgoing: _Outgoing) -> bool:
        """Send the next frame of this stream; whether it has more that may go."""
        h2 = self.h2
        stream = h2.streams.get(stream_id)
        if stream is None or stream.closed:
            self._outgoing.pop(stream_id, None)
            return False
        if outgoing.pieces:
            piece = outgoing.pieces[0]
            room = min(h2.local_flow_control_window(stream_id), h2.max_outbound_frame_size, MAX_FRAME)
            if room <= 0:
                return False
            if len(piece) > room:
                outgoing.pieces[0] = piece[room:]
                piece = piece[:room]
            else:
                outgoing.pieces.popleft()
            outgoing.size -= len(piece)
            self.moved_at = time.monotonic()
            last = outgoing.ended and not outgoing.pieces and not outgoing.trailers
            h2.send_data(stream_id, piece if len(piece) >= LARGE else bytes(piece), end_stream=last)
            if last:
                self._outgoing.pop(stream_id, None)
                return False
            if outgoing.on_room is not None and outgoing.size <= HIGH_WATER:
                tell, outgoing.on_room = outgoing.on_room, None
                tell()
            if outgoing.pieces:
                return True
        if outgoing.ended:
            self._outgoing.pop(stream_id, None)
            if outgoing.trailers:
                h2.send_headers(stream_id, outgoing.trailers, end_stream=True)
            else:
                h2.end_stream(stream_id)
        return False


def _joined(pieces: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """Small neighbours as one piece; large ones stay what they are."""
    joined: list[bytes | memoryview] = []
    small: list[bytes | memoryview] = []
    for piece in pieces:
        if len(piece) < LARGE:
            small.append(piece)
            continue
        if small:
            joined.append(b"".join(small))
            small = []
        joined.append(piece)
    if small:
        joined.append(b"".join(small))
    return joined


def plain(headers: Any) -> Headers:
    """The fields without HTTP/2's own, which begin with a colon."""
    return [(bytes(name), bytes(value)) for name, value in headers if name[:1] != b":"]
