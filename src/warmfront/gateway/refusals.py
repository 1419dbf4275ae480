"""Why there is no reply: a decision without a choice, or variants that failed, as the error to answer with."""

from collections.abc import Iterable, Mapping

from warmfront.domain import Candidate, Decision, Reason, Variant
from warmfront.errors import (
    NoVariant,
    ObjectiveUnmet,
    Overloaded,
    Unprocessable,
    UnsupportedMediaType,
    UpstreamFailed,
    UpstreamTimeout,
    WarmfrontError,
)

_NO_VARIANT_RETRY_S = 2.0
MUTE = "does not speak this protocol"
_NONE: Mapping[str, str] = {}


def undecided(decision: Decision, mute: frozenset[str], unfit: Mapping[str, str] = _NONE) -> WarmfrontError:
    """A decision without a choice as the error that says why, with the verdict on every variant.

    `mute` names the variants that no way leads to from the client's protocol, `unfit` says of each that turned out
    later why this request cannot be put to it.
    """
    task = decision.request.task
    if all(c.variant.name in mute or c.variant.name in unfit for c in decision.alternatives):
        return unspoken(task, (c.variant for c in decision.alternatives), unfit)
    known = dict.fromkeys(mute, MUTE) | dict(unfit)
    verdicts = "; ".join(
        f"{c.variant.name}: {known.get(c.variant.name) or c.verdict or _chance(c)}" for c in decision.alternatives
    )
    if decision.reason is Reason.UNMET:
        return ObjectiveUnmet(f"no variant of {task!r} meets the objective ({verdicts}); relax it or send degrade")
    return NoVariant(
        f"no variant of {task!r} can take this request now ({verdicts})", retry_after_s=_NO_VARIANT_RETRY_S
    )


def _chance(candidate: Candidate) -> str:
    """Why one that may be asked is not: it is not likely enough to answer in time."""
    return f"{candidate.probability:.0%} likely in time, expected after {candidate.predicted_s * 1000:.0f} ms"


def unspoken(task: str, variants: Iterable[Variant], unfit: Mapping[str, str] = _NONE) -> WarmfrontError:
    """415 when no variant speaks what the client does, 422 when some would, but not this body (`unfit` says why)."""
    told = "; ".join(
        f"{v.name} speaks {', '.join(v.protocols)}" + (f" ({unfit[v.name]})" if v.name in unfit else "")
        for v in variants
    )
    if unfit:
        return Unprocessable(f"this body can be put to no variant of {task!r}: {told}")
    return UnsupportedMediaType(f"no variant of {task!r} can be asked by this protocol: {told}; use one of those")


def all_failed(failures: tuple[str, ...], *, retry_after_s: float | None, timed_out: bool) -> WarmfrontError:
    """What every tried variant answered, in order. `retry_after_s` is set when one of them was overloaded."""
    told = ", then ".join(failures)
    if retry_after_s is not None:
        return Overloaded(f"{told}; try again later", retry_after_s=retry_after_s)
    if timed_out:
        return UpstreamTimeout(f"{told}; send a longer deadline or try again")
    return UpstreamFailed(f"{told}; no reply from a variant")
