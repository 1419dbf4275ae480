"""What a call hears of every kind of reply. Oracle: the standard library's http.server, and RFC 9112 byte for byte."""

import asyncio
import http.server
import shutil
import ssl
import subprocess
import threading

import pytest

from warmfront.errors import InvalidRequest, UpstreamFailed
from warmfront.wire.pool import FailureKind, Origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Echo(http.server.BaseHTTPRequestHandler):
    """The standard library's server, saying what it received."""

    protocol_version = "HTTP/1.1"

    def _reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("X-Seen", f"{self.command} {self.path} {self.headers['host']} {self.headers['x-a']}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str):
        if name.startswith("do_"):
            return self._reply
        raise AttributeError(name)

    def log_message(self, *_) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def standard_server():
    """Port of a running http.server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_standard_library_server_understands_the_pool(run, pooling, standard_server):
    """Every method over one kept connection; names under localhost reach this machine with their Host."""
    calls = [
        ("GET", "/a?x=1", b""),
        ("POST", "/b", b"hello"),
        ("POST", "/c", b""),
        ("PUT", "/d", b"x" * 300_000),
        ("HEAD", "/e", b""),
        ("DELETE", "/f", b""),
        ("GET", "/g", b""),
    ]
    host = f"dummy.default.localhost:{standard_server}"

    async def story():
        async with pooling() as (pool, _):
            for method, target, body in calls:
                reply = await pool.fetch(f"http://{host}", method, target, [(b"x-a", b"1")], body, timeout_s=10)
                assert (reply.status, reply.body) == (200, body)
                assert reply.header(b"x-seen") == f"{method} {target} {host} 1".encode()
            (lane,) = pool._lanes.values()
            assert len(lane.idle) == len(lane._open) == 1

    run(story())


REPLIES = {
    "length": (OK, 200, b"ok", True),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok", True),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\nok", 200, b"ok", False),
    "until close, 1.0": (b"HTTP/1.0 200 OK\r\n\r\nok", 200, b"ok", False),
    "length, 1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    "length, 1.0, kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
    "connection: close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    "interim replies": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        200,
        b"ok",
        True,
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304 with length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, b"", True),
    "no phrase": (b"HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", 599, b"", True),
    "surplus bytes": (OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200, b"ok", False),
    "surplus garbage": (OK + b"garbage", 200, b"ok", False),
}


@pytest.mark.parametrize(("sent", "status", "body", "kept"), REPLIES.values(), ids=REPLIES.keys())
def test_replies_of_every_framing(run, pooling, upstream, sent, status, body, kept):
    """Status and body are right, and a connection is used again only if the reply left it clean."""

    async def story():
        async def script(client, _):
            while True:
                await client.reader.readuntil(b"\r\n\r\n")
                await client.send(sent)
                if b"\r\n\r\nok" in sent and b"ength" not in sent and b"hunked" not in sent:
                    return

        async with upstream(script) as origin, pooling() as (pool, send):
            for _ in range(2):
                listener = send(origin)
                await listener.over.wait()
                assert (listener.status, listener.body, listener.failure, listener.ends) == (status, body, None, 1)
                assert (origin in pool._lanes and len(pool._lanes[origin].idle) == 1) is kept

    run(story())


def test_head_replies_have_no_body_whatever_they_declare(run, pooling, upstream):
    """A HEAD reply that declares a length leaves the connection usable."""

    async def story():
        async def script(client, number):
            assert number == 1
            for _ in range(2):
                request = await client.reader.readuntil(b"\r\n\r\n")
                await client.send(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (b"" if request.startswith(b"HEAD") else b"ok")
                )
            await client.rest()

        async with upstream(script) as origin, pooling() as (_, send):
            head = send(origin, "HEAD")
            await head.over.wait()
            get = send(origin, "GET")
            await get.over.wait()
            assert (head.body, get.body, head.failure, get.failure) == (b"", b"ok", None, None)

    run(story())


def test_a_body_is_heard_while_it_arrives(run, pooling, upstream):
    """Each piece reaches the sink before the upstream has sent the next one."""

    async def story():
        go_on = asyncio.Event()

        async def script(client, _):
            await client.reader.readuntil(b"\r\n\r\n")
            await client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(3):
                await go_on.wait()
                go_on.clear()
                await client.send(b"3\r\nabc\r\n")
            await client.send(b"0\r\n\r\n")

        async with upstream(script) as origin, pooling() as (_, send):
            listener = send(origin)
            await listener.head_came.wait()
            for n in range(1, 4):
                go_on.set()
                await listener.body_came.wait()
                listener.body_came.clear()
                assert listener.body == b"abc" * n
            await listener.over.wait()

    run(story())


def test_a_paused_call_stops_the_upstream(run, pooling, upstream):
    """pause() stops reading until TCP holds the sender back; resume() brings the rest; nothing is lost."""
    size = 12 * 2**20

    async def story():
        blocked = asyncio.Event()

        async def script(client, _):
            await client.reader.readuntil(b"\r\n\r\n")
            client.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
            blocked.set()
            await client.writer.drain()
            await client.rest()

        async with upstream(script) as origin, pooling() as (_, send):
            listener = send(origin)
            await listener.body_came.wait()
            listener.call.pause()
            listener.call.pause()
            await blocked.wait()
            seen = len(listener.body)
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert len(listener.body) - seen <= 2**18
            listener.call.resume()
            listener.call.resume()
            await listener.over.wait()
            assert len(listener.body) == size

    run(story())


def test_the_request_is_framed_by_the_pool_alone(run, pooling, upstream):
    """Host and framing of the caller's fields: its Host wins, its lengths and hop-by-hop fields do not."""
    requests = []

    async def story():
        async def script(client, _):
            while True:
                requests.append(await client.reader.readuntil(b"\r\n\r\n"))
                await client.send(OK)

        async with upstream(script) as origin, pooling() as (_, send):
            mine = [(b"host", b"mine"), (b"content-length", b"99"), (b"transfer-encoding", b"chunked"), (b"x", b"1")]
            for method, headers, body in [("POST", mine, b""), ("GET", [], b"")]:
                await send(origin, method, "/p?q", headers, body).over.wait()
            return origin

    origin = run(story())
    assert requests == [
        b"POST /p?q HTTP/1.1\r\nhost: mine\r\nx: 1\r\ncontent-length: 0\r\n\r\n",
        b"GET /p?q HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n\r\n" % origin.port,
    ]


@pytest.mark.parametrize(
    ("target", "headers"), [("/a b", []), ("a", []), ("/a\r\nX: y", []), ("/", [(b"x", b"a\r\nb: c")])]
)
def test_requests_that_would_break_the_framing_are_refused(run, pooling, target, headers):
    """A blank or line end in the target, or a line end in a field, could forge a request: ValueError before sending."""

    async def story():
        async with pooling() as (_, send):
            with pytest.raises(ValueError, match=r"target|line end"):
                send(Origin("127.0.0.1", 1), "GET", target, headers)

    run(story())


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt-get install -y openssl")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
    ]
    subprocess.run([*new, *names, *files], check=True, capture_output=True)
    return tmp_path


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_verified(run, pooling, certificate, trusted):
    """With the right root the call works; without it the connection fails before a byte of the request is sent."""

    async def story():
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        ours = ssl.create_default_context(cafile=certificate / "cert.pem" if trusted else None)

        async def play(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(play, "127.0.0.1", 0, ssl=theirs)
        origin = Origin("localhost", server.sockets[0].getsockname()[1], ours)
        async with pooling() as (_, send):
            listener = send(origin)
            await listener.over.wait()
            if trusted:
                assert (listener.status, listener.body) == (200, b"ok")
            else:
                assert (listener.failure.kind, listener.failure.sent) == (FailureKind.CONNECT, False)
        server.close()

    run(story())


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://a.b:81/path?q", Origin("a.b", 81)),
        ("http://A", Origin("a", 80)),
        ("http://[::1]:8080", Origin("::1", 8080)),
    ],
)
def test_origins_come_from_urls(url, origin):
    """Host, port and nothing else of a URL; the Host field follows from it."""
    assert Origin.parse(url) == origin


def test_the_host_field_leaves_out_the_default_port_and_brackets_ipv6():
    """RFC 9110 section 7.2."""
    assert [Origin(h, p).authority for h, p in [("a", 80), ("a", 81), ("::1", 81)]] == ["a", "a:81", "[::1]:81"]


@pytest.mark.parametrize("host", ["localhost", "svc.ns.localhost", "SVC.LOCALHOST", "localhost."])
def test_localhost_names_need_no_resolver(host):
    """RFC 6761 section 6.3: whatever ends in .localhost is this machine."""
    assert Origin(host, 1).address == "127.0.0.1"


@pytest.mark.parametrize(
    "url", ["https://a", "ftp://a", "a:80", "http://", "http://u:p@a", "http://a:99999", "/path", "http://ä"]
)
def test_what_is_no_origin_is_refused_with_the_value(url):
    """The message repeats what was found."""
    with pytest.raises(InvalidRequest, match="not"):
        Origin.parse(url)


def test_a_reply_above_the_limit_of_fetch_is_not_kept_in_memory(run, pooling, upstream):
    """fetch() bounds what it collects."""

    async def story():
        async def script(client, _):
            await client.reader.readuntil(b"\r\n\r\n")
            await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)

        async with upstream(script) as origin, pooling() as (pool, _):
            with pytest.raises(UpstreamFailed, match="99 bytes"):
                await pool.fetch(origin, "GET", "/", [], b"", timeout_s=10, max_body=99)

    run(story())
