"""Selectors of one revision tell each other what they have in flight and what they were taught, so that none herds.

What may live here: who the peers are, when they are told, what is taken from them. What must not: what a selector
makes of it (selection). Every `EXCHANGE_S` this selector posts its report to each peer's `/peers`, if anything is in
flight or new, else every `HEARTBEAT_S`. What a peer said counts for two seconds, so a dead one leaves no ghosts.

Who may tell: whoever has the selector's token, if one is set; else only addresses of the revision's own replicas, and
not through a proxy, behind which anyone could be.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

import msgspec

from warmfront.cloudevents import Headers
from warmfront.domain import PeerReport
from warmfront.errors import InvalidRequest, Unauthorized
from warmfront.gateway.plane import Plane
from warmfront.wire.messages import Exchange
from warmfront.wire.pool import Failure, Origin

Address = tuple[str, int]

PATH = "/peers"
EXCHANGE_S = 0.25
HEARTBEAT_S = 1.0
FORGOTTEN_AFTER_S = 60.0
_TIMEOUT_S = 1.0
_MOST = 1e6  # requests in flight, seconds or spreads: beyond is a mistake
_PROXY_MARKS = (b"x-forwarded-for", b"forwarded")


class _Reply(msgspec.Struct):
    """Who was told."""

    peer: str


_report_decoder = msgspec.json.Decoder(PeerReport)
_reply_decoder = msgspec.json.Decoder(_Reply)


class Peers:
    """The exchange with the other replicas. `members` gives where replicas of this revision listen, this one included.

    This process recognises itself by its own name in the answer, so that nobody must know its address.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.name = plane.id_prefix.rstrip("-")
        self.members: Callable[[], frozenset[Address]] = frozenset
        self._self: frozenset[Address] = frozenset()
        self._under_way: set[Address] = set()
        self._reached: dict[Address, float] = {}
        self._heard: dict[str, tuple[float, int]] = {}
        self._told_in_flight = False
        self._beat_at = -inf
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to exchange, on the running loop."""
        loop = asyncio.get_running_loop()

        def again() -> None:
            self._timer = loop.call_later(EXCHANGE_S, again)
            self.tick()

        again()

    def close(self) -> None:
        """Exchange no more."""
        if self._timer is not None:
            self._timer.cancel()

    def tick(self) -> None:
        """Tell every peer what is new, if anything is."""
        plane, now = self._plane, self._plane.clock()
        members = self.members()
        self._self &= members
        self._heard = {peer: heard for peer, heard in self._heard.items() if now - heard[0] < FORGOTTEN_AFTER_S}
        peers = members - self._self
        if not peers:
            return
        report = plane.selector.report(self.name, now)
        news = report.in_flight or self._told_in_flight or report.arrivals or report.lessons or report.verdicts
        if not news and now < self._beat_at:
            return
        self._told_in_flight = bool(report.in_flight)
        self._beat_at = now + HEARTBEAT_S
        body = msgspec.json.encode(report)
        for address in peers - self._under_way:
            self._tell(address, body)

    def _tell(self, address: Address, body: bytes) -> None:
        headers: Headers = [(b"content-type", b"application/json")]
        if token := self._plane.settings.token:
            headers.append((b"authorization", b"Bearer " + token.encode()))
        self._under_way.add(address)
        origin = Origin(host=address[0], port=address[1])
        self._plane.pool.send(origin, "POST", PATH, headers, body, _Telling(self, address), timeout_s=_TIMEOUT_S)

    def told(self, address: Address, status: int, body: bytes) -> None:
        """A peer, or this process itself, has answered; status 0 when nobody did."""
        self._under_way.discard(address)
        if status != 200:
            self._reached.pop(address, None)
            return
        try:
            reply = _reply_decoder.decode(body)
        except msgspec.DecodeError:
            return
        if reply.peer == self.name:
            self._self |= {address}
        else:
            self._reached[address] = self._plane.clock()

    def hear(self, exchange: Exchange) -> dict[str, str]:
        """Take a peer's report; the answer to it. Raises Unauthorized or InvalidRequest."""
        if not self._plane.settings.token:
            self._admit(exchange)
        try:
            report = _report_decoder.decode(exchange.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"not a peer's report ({error}); only selectors post here") from None
        if not _plausible(report):
            raise InvalidRequest("a peer's report has numbers out of range; only selectors post here")
        if report.peer != self.name:
            now = self._plane.clock()
            self._heard[report.peer] = (now, sum(report.in_flight.values()))
            self._plane.selector.update(report, now)
        return {"peer": self.name}

    def _admit(self, exchange: Exchange) -> None:
        if exchange.remote not in {host for host, _ in self.members()} or any(
            exchange.header(mark) is not None for mark in _PROXY_MARKS
        ):
            raise Unauthorized(
                f"only replicas of this selector may report here, directly; {exchange.remote or 'the sender'} is none"
            )

    def describe(self) -> str:
        """How many peers there are and how many answer."""
        peers = self.members() - self._self
        return f"{len(self._reached.keys() & peers)} of {len(peers)} reached" if peers else "none"

    def document(self) -> dict[str, Any]:
        """Who was reached, who was heard, how long ago; the peers' requests in flight."""
        now = self._plane.clock()
        return {
            "name": self.name,
            "peers": [
                {
                    "address": f"{host}:{port}",
                    "reached_ms_ago": _ms_since(self._reached.get((host, port)), now),
                }
                for host, port in sorted(self.members() - self._self)
            ],
            "heard": [
                {"name": name, "in_flight": count, "heard_ms_ago": _ms_since(at, now)}
                for name, (at, count) in sorted(self._heard.items())
            ],
        }


class _Telling:
    """The sink of one report."""

    __slots__ = ("_address", "_body", "_peers", "_status")

    def __init__(self, peers: Peers, address: Address) -> None:
        self._peers = peers
        self._address = address
        self._status = 0
        self._body = b""

    def on_response(self, status: int, headers: Headers) -> None:  # noqa: ARG002 - the pool's interface
        self._status = status

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_complete(self) -> None:
        self._peers.told(self._address, self._status, self._body)

    def on_failure(self, failure: Failure) -> None:  # noqa: ARG002 - the pool's interface
        self._peers.told(self._address, 0, b"")


def _plausible(report: PeerReport) -> bool:
    return (
        all(0 <= count <= _MOST for count in report.in_flight.values())
        and all(
            0 < lesson.upstream_s <= _MOST
            and 0 <= (lesson.execution_s or 0.0) <= _MOST
            and abs(lesson.z) <= _MOST
            and lesson.size_bytes >= 0
            for lesson in report.lessons
        )
        and all(
            abs(request.arrival_at) <= _MOST and abs(request.deadline_at or 0.0) <= _MOST and request.size_bytes >= 0
            for request in report.arrivals
        )
        and all(0 <= verdict.correct <= 1 and verdict.size_bytes >= 0 for verdict in report.verdicts)
    )


def _ms_since(at: float | None, now: float) -> float | None:
    return None if at is None else round((now - at) * 1000)
