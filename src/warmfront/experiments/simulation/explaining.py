"""A decision as a row of the records, with everyone's numbers. What must not live here: files, deciding."""

from warmfront.domain import Candidate, Decision
from warmfront.telemetry.records import CandidateRow, DecisionRow


def decision_row(decision: Decision, at_s: float, *, run_id: str, seed: int) -> DecisionRow:
    """The row of a decision taken at `at_s`, in seconds of the run."""
    request, chosen = decision.request, decision.chosen
    return DecisionRow(
        run_id=run_id, policy=decision.policy, seed=seed, request_id=request.id, decision_id=decision.id, at_s=at_s,
        reason=decision.reason.value, chosen=None if chosen is None else chosen.variant.name,
        hedge_at_s=decision.hedge_at, hedges=request.hedges or None,
        candidates=tuple(map(_row, decision.alternatives)),
    )  # fmt: skip


def _row(one: Candidate) -> CandidateRow:
    return CandidateRow(
        variant=one.variant.name, revision=one.variant.revision, warmth=one.warmth.value, ready=one.ready,
        in_flight=one.in_flight, accuracy=one.accuracy, probability=one.probability, predicted_s=one.predicted_s,
        p95_s=one.p95_s, wait_s=one.wait_s, price=one.price, score=one.score, excluded=one.verdict,
    )  # fmt: skip
