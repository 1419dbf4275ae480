"""Which header fields may go on, and how heads become bytes."""

import pytest

from warmfront.wire.framing import head, status_line
from warmfront.wire.messages import Response, forwardable, returnable

FIELDS = [
    (b"host", b"a"),
    (b"x-kept", b"1"),
    (b"connection", b"keep-alive, X-Named"),
    (b"x-named", b"2"),
    (b"keep-alive", b"timeout=5"),
    (b"te", b"trailers"),
    (b"content-length", b"3"),
    (b"expect", b"100-continue"),
    (b"upgrade", b"h2c"),
    (b"connection", b"x-also"),
    (b"x-also", b"3"),
    (b"x-kept", b"4"),
]


def test_forwardable_drops_what_is_meant_for_one_hop_and_what_the_pool_sets():
    """Hop-by-hop, those named in any Connection field, length, host, expect; order, repeats and the input stay."""
    before = list(FIELDS)
    assert forwardable(FIELDS) == [(b"x-kept", b"1"), (b"x-kept", b"4")]
    assert before == FIELDS


def test_returnable_keeps_the_length_so_that_framing_passes_through():
    """A reply's Content-Length goes on, hop-by-hop fields do not."""
    reply = [(b"content-length", b"3"), (b"connection", b"close"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    assert returnable(reply) == [reply[0], reply[2], reply[3]]


def test_a_head_is_written_field_by_field():
    """First line, fields, framing, empty line."""
    assert head(status_line(418), [(b"a", b"b"), (b"c", b"")], b"d: e\r\n") == (
        b"HTTP/1.1 418 I'm a Teapot\r\na: b\r\nc: \r\nd: e\r\n\r\n"
    )
    assert status_line(599) == b"HTTP/1.1 599 Unknown\r\n"


@pytest.mark.parametrize("field", [(b"a", b"\n"), (b"a", b"\r"), (b"a\r\nb", b"c"), (b"a", b"b\r\n\r\nGET / HTTP/1.1")])
def test_a_line_end_inside_a_field_is_named(field):
    """Response splitting and request forging end here, with the field's name in the message."""
    with pytest.raises(ValueError, match="line end"):
        head(b"GET / HTTP/1.1\r\n", [(b"x", b"y"), field], b"")


def test_a_response_finds_its_first_field():
    """None when absent."""
    response = Response(status=200, headers=[(b"a", b"1"), (b"a", b"2")])
    assert (response.header(b"a"), response.header(b"b")) == (b"1", None)
