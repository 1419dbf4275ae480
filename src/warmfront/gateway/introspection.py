"""What the selector shows of itself: a decision without acting on it, tasks, variants, readiness. JSON documents only.

Durations on the wire are milliseconds, as everywhere outside the code.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from warmfront.domain import Candidate, Decision, Observation
from warmfront.gateway.settings import Settings
from warmfront.selection.warmset.planner import WarmSet

#: The size of input that the estimates of `/tasks` are made for: about a sentence of text.
ESTIMATE_BYTES = 100


def candidate(one: Candidate) -> dict[str, Any]:
    """One candidate's numbers. `verdict` is empty for an eligible one."""
    return {
        "variant": one.variant.name,
        "revision": one.variant.revision,
        "warmth": one.warmth.value,
        "ready": one.ready,
        "in_flight": one.in_flight,
        "accuracy": round(one.accuracy, 4),
        "probability": round(one.probability, 4),
        "predicted_ms": round(one.predicted_s * 1000, 3),
        "p95_ms": round(one.p95_s * 1000, 3),
        "wait_ms": round(one.wait_s * 1000, 3),
        "score": round(one.score, 6),
        "verdict": one.verdict,
    }


def decision(one: Decision, left_out: Mapping[str, str]) -> dict[str, Any]:
    """The choice, its reason and every alternative's numbers, best score first. `left_out` gives the verdict on those
    variants that the request cannot be put to.
    """
    request = one.request
    budget_s = None if request.deadline_at is None else request.deadline_at - request.arrival_at
    ranked = sorted(one.alternatives, key=lambda c: (bool(c.verdict), -c.score))
    return {
        "decision_id": one.id,
        "task": request.task,
        "policy": one.policy,
        "reason": one.reason.value,
        "chosen": one.chosen.variant.name if one.chosen else None,
        "cold": one.cold,
        "deadline_ms": None if budget_s is None else round(budget_s * 1000, 3),
        "min_accuracy": request.min_accuracy,
        "hedge_after_ms": None if one.hedge_at is None else round((one.hedge_at - request.arrival_at) * 1000, 3),
        "candidates": [
            candidate(c) | ({"verdict": left_out[c.variant.name]} if c.variant.name in left_out else {}) for c in ranked
        ],
    }


def observation(one: Observation) -> dict[str, Any]:
    """What is known of a variant from the platform and from its annotations."""
    variant = one.variant
    return {
        "variant": variant.name,
        "revision": variant.revision,
        "url": variant.url,
        "protocols": list(variant.protocols),
        "concurrency": variant.concurrency,
        "max_replicas": variant.max_replicas,
        "ready": one.ready,
        "starting": len(one.starting_at),
        "available": one.available,
        "reason": one.reason,
    }


def task(
    name: str, observations: list[Observation], estimate: Decision, kept_until: Mapping[str, str | None]
) -> dict[str, Any]:
    """One task: its variants as observed, each with its estimate for an input of ESTIMATE_BYTES without a deadline."""
    estimates = {c.variant.name: candidate(c) for c in estimate.alternatives}
    return {
        "task": name,
        "policy": estimate.policy,
        "estimate_bytes": ESTIMATE_BYTES,
        "would_choose": estimate.chosen.variant.name if estimate.chosen else None,
        "variants": [
            observation(o) | {"kept_until": kept_until.get(o.variant.name), "estimate": estimates.get(o.variant.name)}
            for o in observations
        ],
    }


def warm_set(one: WarmSet, kept_until: Mapping[str, str | None], settings: Settings) -> dict[str, Any]:
    """Who is awake, who should be, why, and what is done about it (`acting`)."""
    acting = "starts and keeps" if settings.keep_warm else "starts only: WARMFRONT_KEEP_WARM is off"
    if settings.plan == "dry-run":
        acting = "nothing: WARMFRONT_PLAN is dry-run"
    return {
        "task": one.task,
        "idle_ms": round(one.idle_s * 1000, 3) if isfinite(one.idle_s) else None,
        "acting": acting,
        "reason": one.reason,
        "variants": [
            {
                "variant": row.variant,
                "warmth": row.warmth.value,
                "wanted": row.wanted,
                "kept_until": kept_until[row.variant],
                "reason": row.reason,
            }
            for row in one.variants
        ],
    }
