"""Rules on the head of a request that the parser leaves open.

What may live here: pure checks of fields, version, method and target. What must not: connections, bodies, routes.
"""

from warmfront.errors import BodyTooLarge, HeadersTooLarge, InvalidRequest, MethodNotAllowed
from warmfront.wire.messages import Headers

_SPECIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})


def judge_head(method: bytes, version: str, fields: Headers, max_body: int) -> bool:
    """Whether the client waits for `100 Continue`. Raises what the client is to be told before it sends a body.

    Exactly one Host in HTTP/1.1 (RFC 9112 section 3.2), no Transfer-Encoding in HTTP/1.0 (section 6.1).
    """
    hosts, expects = 0, False
    for name, value in fields:
        if name in _SPECIAL:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                if int(value) > max_body:
                    raise BodyTooLarge(f"body of {int(value)} bytes; at most {max_body} are taken")
            elif name == b"expect":
                expects = value.lower() == b"100-continue"
            elif version == "1.0":
                raise InvalidRequest("Transfer-Encoding in an HTTP/1.0 request; use HTTP/1.1")
    if version == "1.1":
        if hosts != 1:
            raise InvalidRequest(f"{hosts} Host fields; HTTP/1.1 wants exactly one")
    elif version != "1.0" or hosts > 1:
        raise InvalidRequest(f"HTTP/{version} with {hosts} Host fields; use HTTP/1.1 with one")
    if method == b"CONNECT":
        raise MethodNotAllowed("CONNECT is not offered; this is no forward proxy")
    return expects and version == "1.1"


def judge_size(target: bytes, fields: Headers, max_bytes: int) -> None:
    """HeadersTooLarge when target and fields, each field with its four bytes of punctuation, exceed `max_bytes`."""
    size = len(target) + sum(len(name) + len(value) + 4 for name, value in fields)
    if size > max_bytes:
        raise HeadersTooLarge(f"head of {size} bytes; at most {max_bytes} are taken")


def origin_form(target: str, headers: Headers) -> tuple[str, Headers]:
    """Absolute-form as origin-form; the target's authority replaces Host (RFC 9112 section 3.2.2)."""
    if target.startswith("/") or target == "*":
        return target, headers
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise InvalidRequest(f"request target {target[:80]!r}; it must begin with / or http://")
    end = min(i for i in (rest.find("/"), rest.find("?"), len(rest)) if i >= 0)
    authority, tail = rest[:end], rest[end:]
    others = [item for item in headers if item[0] != b"host"]
    return tail if tail.startswith("/") else "/" + tail, [(b"host", authority.encode("latin-1")), *others]


def without_upgrade(method: bytes, target: bytes, version: bytes, fields: Headers) -> bytes:
    """The head again without its offer to change the protocol, which nobody need take up (RFC 9110 section 7.8).

    The parser gives up at such an offer, before the body. Java's client makes one with every first request.
    """
    lines = [b"%b: %b\r\n" % item for item in fields if item[0] != b"upgrade"]
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version, b"".join(lines))
