"""Why there is no reply: a decision without a choice, or variants that failed, as the error to answer with."""

from warmfront.domain import Decision, Reason
from warmfront.errors import (
    NoVariant,
    ObjectiveUnmet,
    Overloaded,
    UpstreamFailed,
    UpstreamTimeout,
    WarmfrontError,
)

_NO_VARIANT_RETRY_S = 2.0
MUTE = "does not speak this protocol"


def undecided(decision: Decision, mute: frozenset[str]) -> WarmfrontError:
    """A decision without a choice as the error that says why, with the verdict on every variant.

    `mute` names the variants that were excluded because they do not speak the client's protocol.
    """
    task = decision.request.task
    verdicts = "; ".join(
        f"{c.variant.name}: {MUTE if c.variant.name in mute else c.verdict or 'eligible'}"
        for c in decision.alternatives
    )
    if decision.reason is Reason.UNMET:
        return ObjectiveUnmet(f"no variant of {task!r} meets the objective ({verdicts}); relax it or send degrade")
    return NoVariant(
        f"no variant of {task!r} can take this request now ({verdicts})", retry_after_s=_NO_VARIANT_RETRY_S
    )


def all_failed(failures: tuple[str, ...], *, retry_after_s: float | None, timed_out: bool) -> WarmfrontError:
    """What every tried variant answered, in order. `retry_after_s` is set when one of them was overloaded."""
    told = ", then ".join(failures)
    if retry_after_s is not None:
        return Overloaded(f"{told}; try again later", retry_after_s=retry_after_s)
    if timed_out:
        return UpstreamTimeout(f"{told}; send a longer deadline or try again")
    return UpstreamFailed(f"{told}; no reply from a variant")
