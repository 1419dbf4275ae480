"""Frames in any pieces, fields of any length, judged by h2 and hpack themselves."""

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived
from h2.exceptions import FrameTooLargeError
from hpack import Decoder
from hypothesis import given, settings
from hypothesis import strategies as st

from warmfront.wire.http2_frames import Frames, Http2, Plain

HEAD = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]


def conversation(sizes):
    """What a client sends that asks once for each size: large bodies in several frames, small ones in one."""
    client = H2Connection(H2Configuration(client_side=True, header_encoding=None))
    client.initiate_connection()
    bodies = []
    for number, size in enumerate(sizes):
        stream, body = 2 * number + 1, bytes([number % 251]) * size
        client.send_headers(stream, HEAD)
        for start in range(0, max(size, 1), 16_384):
            client.send_data(stream, body[start : start + 16_384], end_stream=start + 16_384 >= size)
        bodies.append(body)
    return client.data_to_send(), bodies


@settings(max_examples=60)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 500, 16_383, 16_384, 20_000]), min_size=1, max_size=3),
    cuts=st.lists(st.integers(1, 30_000), max_size=30),
)
def test_however_the_bytes_come_the_bodies_are_whole(sizes, cuts):
    """One byte or all at once, frames begun in one read and ended in another."""
    data, bodies = conversation(sizes)
    server = Http2(H2Configuration(client_side=False, header_encoding=None))
    server.initiate_connection()
    found = {}
    for cut in [*cuts, len(data)]:
        for event in server.receive_data(data[:cut]):
            if isinstance(event, RequestReceived):
                found[event.stream_id] = b""
            elif isinstance(event, DataReceived):
                found[event.stream_id] += event.data
        data = data[cut:]
    assert list(found.values()) == bodies


def test_a_frame_that_is_too_long_is_refused_before_it_comes():
    """Nine bytes are enough to know."""
    frames = Frames(server=False)
    frames.max_frame_size = 20_000
    frames.add_data(b"\0\x4e\x21\0\0\0\0\0\1")
    with pytest.raises(FrameTooLargeError, match="length 20001, max 20000"):
        next(frames)


@given(fields=st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=40_000)), max_size=5))
def test_fields_are_read_as_they_were_written(fields):
    """By hpack's decoder; the second time from memory."""
    encoder = Plain()
    for _ in range(2):
        decoder = Decoder(max_header_list_size=1 << 24)
        assert [tuple(field) for field in decoder.decode(encoder.encode(fields), raw=True)] == fields


def test_a_peer_without_a_table_is_told_that_there_is_none():
    """A decoder that allows none refuses a block that does not say so first."""
    encoder, decoder = Plain(), Decoder()
    encoder.header_table_size = 0
    decoder.max_allowed_table_size = 0
    assert decoder.decode(encoder.encode([(b"a", b"1")]), raw=True) == [(b"a", b"1")]
    assert decoder.decode(encoder.encode([(b"b", b"2")]), raw=True) == [(b"b", b"2")]
