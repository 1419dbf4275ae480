"""Heads of HTTP/1.1 messages as bytes.

What may live here: turning status, target and header fields into one byte string, safely. What must not: parsing,
sockets.
"""

from warmfront.wire.messages import HOP_BY_HOP, Headers, reason_phrase

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
FRAMING = HOP_BY_HOP | {b"content-length"}
_status_lines: dict[int, bytes] = {}


def status_line(status: int) -> bytes:
    """The first line of a reply, with its line end."""
    line = _status_lines.get(status)
    if line is None:
        if not 200 <= status <= 999:
            raise ValueError(f"status is {status}; a final HTTP status lies between 200 and 999")
        line = f"HTTP/1.1 {status} {reason_phrase(status)}\r\n".encode("ascii")
        _status_lines[status] = line
    return line


def without_framing(headers: Headers) -> tuple[Headers, int | None, bool]:
    """The fields that say nothing about this connection or the length of the body (the same list when all are such);
    the length that the others declared, and whether they asked to close the connection.
    """
    for item in headers:
        if item[0] in FRAMING:
            break
    else:
        return headers, None, False
    fields, length, close = [], None, False
    for item in headers:
        name = item[0]
        if name not in FRAMING:
            fields.append(item)
        elif name == b"content-length":
            length = int(item[1])
        elif name == b"connection":
            close = close or item[1].lower() == b"close"
    return fields, length, close


def head(first_line: bytes, headers: Headers, framing: bytes) -> bytes:
    """First line, fields and the framing fields (each with its line end), closed by the empty line.

    A line end inside a name or value would let its author write fields, or whole messages, of their own: ValueError.
    """
    fields = b"\r\n".join(map(b": ".join, headers)) + b"\r\n" if headers else b""
    text = b"%b%b%b\r\n" % (first_line, fields, framing)
    lines = len(headers) + framing.count(b"\n") + 2
    if len(text.translate(None, b"\r\n")) != len(text) - 2 * lines:
        bad = [name for name, value in headers if b"\n" in name + value or b"\r" in name + value]
        raise ValueError(f"line end inside header field {bad or 'or first line'}; encode or drop it")
    return text


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; `data` is not empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)
