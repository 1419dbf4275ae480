"""What a request leaves behind: the outcome of each try for the selector; counts, a row and a line of the log for all.

What must not live here: what happens to the request (forwarding.py).
"""

import logging
from typing import TYPE_CHECKING, Protocol

from warmfront.cloudevents import Headers
from warmfront.domain import Decision, Outcome, Request, Status
from warmfront.errors import NotFound
from warmfront.gateway.plane import Plane
from warmfront.gateway.rows import request_row
from warmfront.gateway.targets import Target

if TYPE_CHECKING:
    from warmfront.gateway.forwarding import Passage

_log = logging.getLogger(__name__)
_OK = Status.OK


class Try(Protocol):
    """One variant asked for a request: a passage's latest, or the second one beside it."""

    decision: Decision | None
    request: Request
    target: Target
    sent_at: float
    latency_s: float
    execution_s: float | None
    cold: bool


def report(plane: Plane, tried: Try, status: Status, *, censored: bool, now: float) -> None:
    """Tell the selector how a try ended."""
    decision = tried.decision
    assert decision is not None
    upstream_s = now - tried.sent_at
    tried.latency_s = now - tried.request.arrival_at
    outcome = Outcome(
        decision_id=decision.id, status=status, latency_s=tried.latency_s, upstream_s=upstream_s,
        execution_s=tried.execution_s, cold=tried.cold, censored=censored,
    )  # fmt: skip
    try:
        plane.selector.observe(outcome, now)
    except NotFound:  # the variant left the catalogue meanwhile, or too many requests came since
        _log.debug("outcome of a forgotten decision: %s", decision.id)
    measures = tried.target.measures
    measures.upstream.observe(upstream_s)
    if tried.cold:
        measures.cold.value += 1


def conclude(plane: Plane, passage: "Passage", status: Status, headers: Headers) -> None:
    """Count and record the request as a whole, after the outcome of its last try; `headers` are the client's."""
    decision = passage.decision
    assert decision is not None
    chosen = decision.chosen
    if chosen is not None:
        measures = passage.target.measures
        (measures.ok if status is _OK else measures.ended(status)).value += 1
        measures.latency.observe(passage.latency_s)
    else:
        plane.measures.requests.child(decision.request.task, "", status.value).value += 1
    if passage.label is not None:
        plane.labels.remember(decision.id, passage.label)
    if plane.records is not None:
        row = request_row(
            decision, status=status, cold=passage.cold, hedged=passage.hedged, latency_s=passage.latency_s,
            execution_s=passage.execution_s,
            upstream_s=0.0 if chosen is None else plane.clock() - passage.sent_at,
            run_id=plane.settings.run_id, seed=plane.settings.seed, run_started_at=plane.started_at,
        )  # fmt: skip
        plane.records.write(row)
    if plane.log_every:
        plane.access(decision, status, passage.latency_s, headers)
