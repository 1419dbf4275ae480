"""What all parts of the data plane share: the selector, the pool, limits, metrics, clocks. Held together, not acted on.

Clocks come from here only: `clock` is the event loop's monotonic clock, `wall` seconds since 1970 and used for one
thing, the absolute deadline and the `time` of events.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from warmfront.cloudevents import Headers
from warmfront.domain import Action, Decision, Feedback, Observation, Outcome, PeerReport, Request, Status
from warmfront.errors import NoVariant, UnknownTask, WarmfrontError
from warmfront.gateway.admission import Admission
from warmfront.gateway.measures import Measures
from warmfront.gateway.settings import Settings
from warmfront.gateway.targets import Target
from warmfront.selection.warmset.planner import WarmSet
from warmfront.telemetry.logs import Seldom, trace_id
from warmfront.telemetry.records import RecordFile
from warmfront.wire.messages import first
from warmfront.wire.pool import Pool

_log = logging.getLogger(__name__)


class Selector(Protocol):
    """The five calls by which a selector is driven, the view of its catalogue, and what it tells its peers."""

    @property
    def catalogue(self) -> Mapping[str, Observation]:
        """The latest observation of every variant, by its name."""
        ...

    def update(self, observation: Observation | PeerReport, now: float) -> None:
        """Take note of a variant, or of what a peer says."""
        ...

    def decide(self, request: Request, now: float) -> Decision:
        """Choose a variant; changes nothing."""
        ...

    def started(self, decision: Decision, now: float) -> None:
        """The chosen variant was asked."""
        ...

    def observe(self, outcome: Outcome | Feedback, now: float) -> None:
        """What became of it, or whether it was right."""
        ...

    def plan(self, now: float) -> Sequence[Action]:
        """Which variants to wake, keep or release now."""
        ...

    def warm_set(self, task: str, now: float) -> WarmSet:
        """Which variants of the task are awake and which should be."""
        ...

    def report(self, peer: str, now: float) -> PeerReport:
        """What peers should know, under this selector's name."""
        ...


class Memory:
    """Remembers one text per key, the youngest `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._texts: dict[str, str] = {}

    def remember(self, key: str, text: str) -> None:
        """Keep `text`; the oldest goes when there are too many."""
        self._texts[key] = text
        if len(self._texts) > self._limit:
            del self._texts[next(iter(self._texts))]

    def recall(self, key: str) -> str | None:
        """What was kept, None when nothing was or it is forgotten."""
        return self._texts.get(key)


@dataclass(slots=True, kw_only=True, eq=False)
class Plane:
    """The shared parts. `source`, `timeout_s` and `log_every` (every n-th request is logged, 0: none) repeat settings
    that every request reads. `targets` holds where each variant of the catalogue is reached, and no other address.
    `settled` tells whether the catalogue was read once.
    """

    settings: Settings
    selector: Selector
    pool: Pool
    admission: Admission
    measures: Measures
    labels: Memory
    records: RecordFile | None
    clock: Callable[[], float]
    wall: Callable[[], float]
    started_at: float
    settled: Callable[[], bool] = lambda: True
    targets: dict[str, Target] = field(default_factory=dict)
    seldom: Seldom = field(default_factory=Seldom)
    answered: int = 0
    _ids: int = 0
    id_prefix: str = ""
    source: str = field(init=False)
    timeout_s: float = field(init=False)
    log_every: int = field(init=False)

    def __post_init__(self) -> None:
        """Work out what is read per request."""
        self.source = self.settings.source
        self.timeout_s = self.settings.timeout_s
        share = self.settings.access_log
        self.log_every = max(1, round(1 / share)) if share else 0

    def unknown(self, task: str) -> WarmfrontError:
        """The error for a task without variants: not known, or not known yet."""
        if not self.settled():
            return NoVariant("the catalogue of variants is still being read; try again", retry_after_s=1.0)
        return UnknownTask(
            f"no variant serves task {task!r}; GET /tasks lists the tasks, the label warmfront.dev/task makes one"
        )

    def access(self, decision: Decision, status: Status, latency_s: float, headers: Headers) -> None:
        """Log this request if its turn has come: every n-th one, n being one over the setting's share."""
        self.answered += 1
        if self.answered % self.log_every:
            return
        chosen = decision.chosen
        facts = {
            "decision_id": decision.id,
            "task": decision.request.task,
            "variant": chosen.variant.name if chosen else None,
            "status": status.value,
            "latency_ms": round(latency_s * 1000, 3),
            "trace_id": trace_id(first(headers, b"traceparent")),
        }
        _log.info("request", extra={"fields": facts})

    def seldom_log(self, message: str, decision: Decision, now: float) -> None:
        """Warn about a decided request, at most once a second per variant and kind of message."""
        chosen = decision.chosen
        name = chosen.variant.name if chosen else ""
        suppressed = self.seldom.admit(f"{message[:16]} {name}", now)
        if suppressed is not None:
            facts = {"decision_id": decision.id, "task": decision.request.task, "variant": name}
            _log.warning(message, extra={"fields": facts | {"suppressed": suppressed}})

    def next_id(self) -> str:
        """A request id that no other selector process gives, past or present."""
        self._ids += 1
        return f"{self.id_prefix}{self._ids:x}"
