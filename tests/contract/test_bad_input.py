"""What comes in broken, hostile or twice: a clear status and message, and the next good request works."""

import json
import socket
import threading
import time

import pytest

from warmfront.wire.messages import Exchange


@pytest.fixture(scope="module")
def front(start):
    """The native front with its limits as deployed, except that it is less patient."""
    return start("native", WARMFRONT_HEADER_TIMEOUT_S="1", WARMFRONT_BODY_TIMEOUT_S="1")


@pytest.fixture(autouse=True)
def works_afterwards(front, platform):
    """Whatever the test did, the next good request is served."""
    for variant in platform.variants.values():
        variant.reset()
    yield
    assert front.ask("POST", "/tasks/lang", b"good").status == 200


def talk(front, *pieces: bytes) -> bytes:
    """Send pieces over one raw connection; all that comes back until it closes."""
    with socket.create_connection(("127.0.0.1", front.port), 20) as sock:
        for piece in pieces:
            try:
                sock.sendall(piece)
            except OSError:  # the server has seen enough
                break
        received = b""
        try:
            while part := sock.recv(65_536):
                received += part
        except ConnectionResetError:
            pass
        return received


def problem(reply) -> str:
    """The detail of a problem reply."""
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == reply.status
    return reply.json["detail"]


EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/tests",
    "ce-type": "dev.warmfront.inference.request",
    "ce-subject": "lang",
}


def test_malformed_events(front):
    """400 with every fault by attribute; what is no event at all says what is wanted; a batch is 415."""
    reply = front.ask("POST", "/", b"x", EVENT | {"ce-id": "", "ce-specversion": "0.3"})
    assert reply.status == 400
    assert set(reply.json["faults"]) == {"id", "specversion"}
    reply = front.ask("POST", "/", b"{}", {"content-type": "application/json"})
    assert (reply.status, "CloudEvents" in problem(reply)) == (400, True)
    reply = front.ask("POST", "/", b'{"id": ', {"content-type": "application/cloudevents+json"})
    assert reply.status == 400
    reply = front.ask("POST", "/", b"[]", {"content-type": "application/cloudevents-batch+json"})
    assert (reply.status, "one by one" in problem(reply)) == (415, True)
    without_subject = {name: text for name, text in EVENT.items() if name != "ce-subject"}
    reply = front.ask("POST", "/", b"x", without_subject)
    assert (reply.status, "subject" in reply.json["faults"]) == (400, True)
    reply = front.ask("POST", "/", b"x", EVENT | {"ce-type": "dev.warmfront.inference.response"})
    assert (reply.status, "let the Trigger filter" in problem(reply)) == (422, True)


def test_unknown_task(front):
    """404, in event mode 422, both naming the task."""
    assert "nosuch" in problem(front.ask("POST", "/tasks/nosuch", b"x"))
    reply = front.event("t-1", subject="nosuch")
    assert (reply.status, "nosuch" in problem(reply)) == (422, True)


@pytest.mark.parametrize(
    ("header", "value", "rule"),
    [
        ("Warmfront-Deadline-Ms", "soon", "milliseconds above 0"),
        ("Warmfront-Deadline-Ms", "-5", "milliseconds above 0"),
        ("Warmfront-Deadline-Ms", "0", "milliseconds above 0"),
        ("Warmfront-Deadline-Ms", "nan", "milliseconds above 0"),
        ("Warmfront-Deadline-Ms", "1e9", "milliseconds above 0"),
        ("Warmfront-Min-Accuracy", "1.5", "[0, 1]"),
        ("Warmfront-On-Miss", "maybe", "degrade or reject"),
        ("Warmfront-Weights", "latency=1", "latency=W,accuracy=W"),
    ],
)
def test_wrong_objective(front, header, value, rule):
    """400 that names field, value and rule, as a header and as an extension."""
    reply = front.ask("POST", "/tasks/lang", b"x", {header: value})
    assert reply.status == 400
    assert f"{header} is {value!r}; it must be" in problem(reply)
    assert rule in problem(reply)
    extension = header.removeprefix("Warmfront-").replace("-", "").lower()
    reply = front.event(f"o-{value}", **{extension: value})
    assert (reply.status, f"{extension} is {value!r}" in problem(reply)) == (400, True)


def test_wrong_absolute_deadline(front):
    """A `deadlineat` that is no instant is 400; both faults of one event are told at once."""
    reply = front.event("a-1", deadlineat="2026-13-01T00:00:00Z", minaccuracy="2")
    assert reply.status == 400
    assert "deadlineat is '2026-13-01T00:00:00Z'; it must be an RFC 3339" in problem(reply)
    assert "minaccuracy is '2'" in problem(reply)


def test_body_of_100_mb(front):
    """Refused by its declared length before it is sent, and by its real length when chunked."""
    head = b"POST /tasks/lang HTTP/1.1\r\nhost: x\r\ncontent-length: 104857600\r\n\r\n"
    reply = talk(front, head, b"x" * 65_536)
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in reply
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    head = b"POST /tasks/lang HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert talk(front, head, *[chunk] * 100).startswith(b"HTTP/1.1 413 ")


def test_slow_clients(front):
    """One that dribbles its head or its body is told 408, and keeps nobody waiting meanwhile."""
    for part in (
        b"POST /tasks/lang HTTP/1.1\r\nho",
        b"POST /tasks/lang HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab",
    ):
        with socket.create_connection(("127.0.0.1", front.port), 20) as slow:
            slow.sendall(part)
            assert front.ask("POST", "/tasks/lang", b"x").status == 200
            reply = slow.recv(65_536)
            assert reply.startswith(b"HTTP/1.1 408 ")
            assert b"did not arrive in time" in reply


def test_header_flood(front):
    """431 for too many and for too long fields."""
    many = b"".join(b"x-%d: y\r\n" % i for i in range(1000))
    assert talk(front, b"POST / HTTP/1.1\r\nhost: x\r\n", many, b"\r\n").startswith(b"HTTP/1.1 431 ")
    long = b"x-long: " + b"y" * 100_000 + b"\r\n\r\n"
    assert talk(front, b"POST / HTTP/1.1\r\nhost: x\r\n", long).startswith(b"HTTP/1.1 431 ")


def test_truncated_body(front, platform):
    """A client that ends before its body does has asked nothing: no variant is called."""
    with socket.create_connection(("127.0.0.1", front.port), 20) as sock:
        sock.sendall(b"POST /tasks/lang HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1000):
            pass
    assert front.ask("POST", "/tasks/lang", b"after").status == 200
    assert [seen.body for seen in platform.variants["good"].seen] == [b"after"]


def test_not_utf8(front, platform):
    """Bytes that are no UTF-8: in a body they pass, in attributes, objective or path they are 400."""
    raw = b"\xff\xfe\x00text"
    assert front.ask("POST", "/tasks/lang", raw).status == 200
    assert platform.variants["good"].seen[0].body == raw
    reply = front.ask("POST", "/", b"x", EVENT | {"ce-id": "%C0%A0"})
    assert (reply.status, list(reply.json["faults"])) == (400, ["id"])
    reply = front.ask("POST", "/", b"x", EVENT | {"ce-subject": b"\xff".decode("latin-1")})
    assert reply.status == 400
    reply = front.ask("POST", "/tasks/lang", b"x", {"Warmfront-Deadline-Ms": b"\xff".decode("latin-1")})
    assert (reply.status, "\\xff" in problem(reply)) == (400, True)
    assert front.ask("POST", "/tasks/%FF", b"x").status == 400
    body = b'{"parameters": {"deadlinems": "\xff"}}'
    assert front.ask("POST", "/v2/models/tensor/infer", body).status == 400


def test_duplicate_ids(front, platform):
    """Deliveries of one event at the same time are executed once and answered alike; by source and id."""
    held: list[Exchange] = []
    arrived = threading.Event()

    def hold(exchange: Exchange) -> None:
        held.append(exchange)
        arrived.set()

    platform.variants["good"].answer = hold
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(front.event("d-1"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert arrived.wait(10)
    until = time.monotonic() + 10
    wanted = 'warmfront_duplicates_total{answer="joined"} 4'
    while wanted not in front.ask("GET", "/metrics").body.decode():
        assert time.monotonic() < until
    platform.call(lambda: held[0].respond(200, [], b"once"))
    for thread in threads:
        thread.join()
    assert len(held) == 1
    assert {(reply.status, reply.body, reply.headers["ce-id"]) for reply in replies} == {
        (200, b"once", replies[0].headers["ce-id"])
    }
    platform.variants["good"].reset()
    assert front.event("d-1", source="/other").headers["ce-id"] != replies[0].headers["ce-id"]


@pytest.mark.parametrize("when", ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00+14:00"])
def test_clock_skew_in_time_moves_no_deadline(front, when):
    """An event's own `time` is the sender's clock: the deadline counts from receipt, whatever it says."""
    reply = front.event(f"c-{when}", time=when, deadlinems="5000", minaccuracy="0.7", onmiss="reject")
    assert (reply.status, reply.headers["ce-type"]) == (200, "dev.warmfront.inference.response")


def test_a_deadline_that_has_passed_is_late_or_rejected(front):
    """An instant in the past cannot be met: `reject` says so, `degrade` answers all the same."""
    past = {"deadlineat": "2020-01-01T00:00:00Z"}
    assert front.event("p-1", **past, onmiss="reject").headers["ce-type"] == "dev.warmfront.inference.rejected"
    assert front.event("p-2", **past).headers["ce-type"] == "dev.warmfront.inference.response"


def test_feedback_that_is_no_json(front):
    """422: sending it again is no use."""
    reply = front.event("j-1", b"\xff{", type="dev.warmfront.feedback")
    assert (reply.status, "decision_id" in problem(reply)) == (422, True)
    reply = front.event("j-2", json.dumps([1]).encode(), type="dev.warmfront.feedback")
    assert reply.status == 422
