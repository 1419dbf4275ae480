"""What a request leaves behind: the outcome of each try for the selector; counts, a row and a line of the log for all.

What must not live here: what happens to the request (forwarding.py).
"""

import logging
from typing import TYPE_CHECKING

from warmfront.cloudevents import Headers
from warmfront.domain import Outcome, Status
from warmfront.errors import NotFound
from warmfront.gateway.plane import Plane
from warmfront.gateway.rows import request_row

if TYPE_CHECKING:
    from warmfront.gateway.forwarding import Passage

_log = logging.getLogger(__name__)
_OK = Status.OK


def report(plane: Plane, passage: "Passage", status: Status, *, censored: bool, now: float) -> None:
    """Tell the selector how the last try ended."""
    decision = passage.decision
    assert decision is not None
    upstream_s = now - passage.sent_at
    passage.latency_s = now - passage.request.arrival_at
    outcome = Outcome(
        decision_id=decision.id, status=status, latency_s=passage.latency_s, upstream_s=upstream_s,
        execution_s=passage.execution_s, cold=passage.cold, censored=censored,
    )  # fmt: skip
    try:
        plane.selector.observe(outcome, now)
    except NotFound:  # the variant left the catalogue meanwhile, or too many requests came since
        _log.debug("outcome of a forgotten decision: %s", decision.id)
    measures = passage.target.measures
    measures.upstream.observe(upstream_s)
    if passage.cold:
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
            decision, status=status, cold=passage.cold, latency_s=passage.latency_s, execution_s=passage.execution_s,
            upstream_s=0.0 if chosen is None else plane.clock() - passage.sent_at,
            run_id=plane.settings.run_id, seed=plane.settings.seed, run_started_at=plane.started_at,
        )  # fmt: skip
        plane.records.write(row)
    if plane.log_every:
        plane.access(decision, status, passage.latency_s, headers)
