"""What this selector has for its peers, and how much they are like it.

What may live here: what waits to be told, and how busy everybody is. What must not: what is made of it.
"""

from collections import deque
from math import exp

from warmfront.domain import Lesson, PeerReport, Request, Verdict
from warmfront.selection.settings import SelectorSettings

_MEMORY_S = 60.0  # how far back the comparison of who is how busy reaches


class Sharing:
    """Keeps the latest lessons, verdicts and arrivals until the next report."""

    def __init__(self, settings: SelectorSettings) -> None:
        self._lessons: deque[Lesson] = deque(maxlen=settings.max_lessons)
        self._verdicts: deque[Verdict] = deque(maxlen=settings.max_lessons)
        self._arrivals: deque[tuple[float, Request]] = deque(maxlen=settings.recent_requests)
        self.arrived = self._arrivals.append  # (now, request); on the hot path
        self._own = _Activity()
        self._peers: dict[str, _Activity] = {}

    def taught(self, lesson: Lesson | Verdict) -> None:
        """One's own requests taught this."""
        if isinstance(lesson, Verdict):
            self._verdicts.append(lesson)
        else:
            self._lessons.append(lesson)

    def report(self, peer: str, in_flight: dict[str, int], now: float) -> PeerReport:
        """All that waits to be told, once, in the name of `peer`."""
        arrivals = tuple(_moved(request, at, -now) for at, request in self._arrivals)
        report = PeerReport(
            peer=peer, in_flight=in_flight, lessons=tuple(self._lessons), verdicts=tuple(self._verdicts),
            arrivals=arrivals,
        )  # fmt: skip
        for told in (self._lessons, self._verdicts, self._arrivals):
            told.clear()
        self._own.add(len(arrivals), now)
        return report

    def heard(self, report: PeerReport, now: float) -> float:
        """How busy the peer has been in the last minute compared with this selector: from 0, idle, to 1, as busy."""
        self._peers = {name: seen for name, seen in self._peers.items() if now - seen.at < _MEMORY_S}
        peer = self._peers.setdefault(report.peer, _Activity())
        peer.add(len(report.arrivals), now)
        own = self._own.count + len(self._arrivals)
        return min(peer.count / own, 1.0) if own else 1.0


def arrivals(report: PeerReport, now: float) -> list[Request]:
    """The requests that the peer sent since its last report, on one's own clock."""
    return [_moved(request, request.arrival_at, now) for request in report.arrivals]


class _Activity:
    """A fading count of requests."""

    __slots__ = ("at", "count")

    def __init__(self) -> None:
        self.count, self.at = 0.0, 0.0

    def add(self, requests: int, now: float) -> None:
        self.count = self.count * exp((self.at - now) / _MEMORY_S) + requests
        self.at = now


def _moved(request: Request, at: float, by_s: float) -> Request:
    """The request as if it had been sent `by_s` after `at`."""
    budget_s = None if request.deadline_at is None else request.deadline_at - request.arrival_at
    sent_at = at + by_s
    deadline_at = None if budget_s is None else sent_at + budget_s
    return request._replace(id="", arrival_at=sent_at, deadline_at=deadline_at, excluded=frozenset())
