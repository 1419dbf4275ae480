"""One finished request as a row of the records. What must not live here: files."""

from warmfront.domain import Decision, Status
from warmfront.telemetry.records import RequestRow


def request_row(
    decision: Decision,
    *,
    status: Status,
    cold: bool,
    hedged: bool,
    latency_s: float,
    upstream_s: float,
    execution_s: float | None,
    run_id: str,
    seed: int | None,
    run_started_at: float,
) -> RequestRow:
    """The row of a decided request. What the variant did not say of its execution counts as time before it began."""
    request, chosen = decision.request, decision.chosen
    deadline_s = None if request.deadline_at is None else request.deadline_at - request.arrival_at
    return RequestRow(
        run_id=run_id,
        policy=decision.policy,
        seed=seed,
        request_id=request.id,
        task=request.task,
        arrival_s=request.arrival_at - run_started_at,
        deadline_s=deadline_s,
        min_accuracy=request.min_accuracy,
        variant=chosen.variant.name if chosen else None,
        revision=chosen.variant.revision if chosen else None,
        reason=decision.reason.value,
        predicted_s=chosen.predicted_s if chosen else None,
        probability=chosen.probability if chosen else None,
        cold=cold,
        queued_s=max(0.0, latency_s - (upstream_s if execution_s is None else execution_s)),
        latency_s=latency_s,
        on_time=status is Status.OK,
        correct=None,
        status=status.value,
        hedged=hedged,
        latency_weight=None if request.weights is None else request.weights.latency_share,
    )
