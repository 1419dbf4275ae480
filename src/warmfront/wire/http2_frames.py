"""Frames of HTTP/2 out of bytes, and DATA frames into them, without the copies that `h2` makes of large ones.

What may live here: what differs from `h2` in reading and writing frames. What must not: streams, transports.
A body of 1 MB is copied once on its way in and not at all on its way out; by `h2` alone it is three times and five.
"""

from collections.abc import Iterable
from struct import Struct
from typing import Any

from h2._typing import Buffer
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event
from h2.frame_buffer import FrameBuffer
from hpack import Encoder
from hyperframe.frame import DataFrame, Frame, GoAwayFrame

#: From here on a body's piece is large.
LARGE = 16_384
_REMEMBERED, _SHORT = 256, 128
_HEAD = Struct(">HBBBL")
_DATA_TYPE, _PADDED = 0, 0x08
_NOTHING = memoryview(b"")


class _Data(DataFrame):
    """A DATA frame that is not spelt out for a log that nobody writes: `h2` asks every frame for its `repr`."""

    def __repr__(self) -> str:
        return f"DATA on stream {self.stream_id}"


class Frames(FrameBuffer):
    """The pieces of a large DATA frame are joined once, when the last has come; all else is left to `h2`."""

    def __init__(self, *, server: bool) -> None:
        super().__init__(server=server)
        self._view = _NOTHING  # what came last and is not looked at yet
        self._large: Frame | None = None
        self._pieces: list[memoryview | bytes] = []
        self._missing = 0

    def add_data(self, data: Buffer) -> None:
        """Take what came; it must not be changed any more."""
        view = memoryview(data)
        if self._missing:
            view = self._gather(view)
        if self._preamble_len or self._data:
            super().add_data(view)
        else:
            self._view = view

    def __next__(self) -> Frame:
        """The next whole frame."""
        if self._large is None and self._data:
            if not self._begin_large(memoryview(bytes(self._data[:9])), len(self._data)):
                return super().__next__()
            body, self._data = memoryview(bytes(self._data))[9:], bytearray()
            self._view = self._gather(body)
        view = self._view
        if self._large is None and self._begin_large(view[:9], len(view)):
            self._view = self._gather(view[9:])
        if self._large is not None:
            return self._finished()
        whole = 9 + int.from_bytes(view[:3], "big")
        self._data += view[:whole]
        self._view = view[whole:]
        return super().__next__()

    def _begin_large(self, head: memoryview, size: int) -> bool:
        if size < 9:
            return False
        length = int.from_bytes(head[:3], "big")
        self._validate_frame_length(length)  # before its body comes
        if length < LARGE or head[3] != _DATA_TYPE or head[4] & _PADDED or self._headers_buffer:
            return False
        self._large, self._missing, self._pieces = Frame.parse_frame_header(head)[0], length, []
        return True

    def _gather(self, view: memoryview) -> memoryview:
        """Put what belongs to the frame with its pieces; the rest."""
        piece = view[: self._missing]
        self._pieces.append(piece)
        self._missing -= len(piece)
        return view[len(piece) :]

    def _finished(self) -> Frame:
        frame = self._large
        if self._missing or frame is None:
            raise StopIteration
        self._large = None
        assert isinstance(frame, DataFrame)
        frame.data = b"".join(self._pieces)
        frame.body_len = len(frame.data)
        self._pieces = []
        return frame


class Plain(Encoder):
    """HPACK's encoder without its table: every field as it is (RFC 7541 section 6.2.2). The search in that table is a
    third of what a call costs `h2`, to save some hundred bytes beside a tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[bytes, bytes], bytes] = {}

    def encode(self, headers: Iterable[Any], huffman: bool = True) -> bytes:  # noqa: ARG002 - the encoder's interface
        """The fields as one block. Short ones are remembered: most come with every call."""
        known, block = self._known, []
        if self.header_table.resized:  # the peer takes a smaller table, and is to be told that it is
            block.append(self._encode_table_size_change())
            self.header_table.resized = False
        for field in headers:
            text = known.get(field)
            if text is None:
                text = b"\0" + _string(field[0]) + _string(field[1])
                if len(known) < _REMEMBERED and len(text) < _SHORT:
                    known[field] = text
            block.append(text)
        return b"".join(block)


def _string(text: bytes) -> bytes:
    """A length of 7 bits and more (RFC 7541 section 5.1), and the text."""
    size = len(text)
    if size < 127:
        return bytes((size,)) + text
    size -= 127
    length = bytearray((127,))
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes(length) + text


class Http2(H2Connection):
    """`h2`, but large bodies are not copied, and a peer that says GOAWAY is still owed, and still owes, what is under
    way (RFC 9113 section 6.8), where `h2` takes it for the end. `pieces` is what is to be written, in order, after
    `data_to_send()`.
    """

    def __init__(self, config: H2Configuration) -> None:
        super().__init__(config)
        self.pieces: list[bytes | memoryview] = []
        self.incoming_buffer = Frames(server=not config.client_side)
        self.encoder = Plain()
        self._frame_dispatch_table[_Data] = self._receive_data_frame

    def _receive_frame(self, frame: Frame) -> list[Event]:
        if type(frame) is DataFrame:
            frame.__class__ = _Data
        return super()._receive_frame(frame)

    def _prepare_for_sending(self, frames: list[Frame]) -> None:
        pieces = self.pieces
        for frame in frames:
            if type(frame) is DataFrame and len(frame.data) >= LARGE:
                size, ends = len(frame.data), "END_STREAM" in frame.flags
                pieces.append(_HEAD.pack(size >> 8, size & 255, _DATA_TYPE, ends, frame.stream_id))
                pieces.append(frame.data)
            else:
                pieces.append(frame.serialize())

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        event = ConnectionTerminated()
        event.last_stream_id = frame.last_stream_id
        return [], [event]
