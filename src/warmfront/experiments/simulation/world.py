"""What a simulation is given: how variants really behave, and the requests. Data only.

Times are seconds of the run, sizes bytes, memory megabytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from warmfront.domain import Request, Spread, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How a variant really behaves, whatever its profile declares. Durations are lognormal through their Spread.

    `load_s` is process start to ready, `network_s` there and back by the caller's region ("" when it names none).
    `slowdown_s` is added to an execution for every other one on the same replica when it begins. `annotations` are
    Knative's (`autoscaling.knative.dev/window` and so on). `accuracy` counts where a case has no recorded correctness.
    """

    variant: Variant
    accuracy: float
    execution_s: Spread
    load_s: Spread
    memory_mb: float
    execution_per_kib_s: float = 0.0
    slowdown_s: float = 0.0
    annotations: Mapping[str, str] = field(default_factory=dict)
    network_s: Mapping[str, float] = field(default_factory=dict)
    failure_rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Drift: from `at_s` on the variant `name` is like this. A name not seen before appears; None disappears.

    Replicas that run go on under the new facts, and scaling goes on by the annotations it began with. Of a variant that
    disappears replicas end what they execute; what was held for them goes elsewhere.
    """

    at_s: float
    name: str
    truth: Truth | None


_CLUSTER_START = Spread(p50=1.1, p95=1.7)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything but the requests and the selector.

    A start takes `platform_start_s` (scheduling, container, proxies) and then the variant's `load_s`. `hop_s` is the
    way from the selector to a ready replica and back. `selectors` share the requests at random and hear of each other
    every `exchange_s` (None: never). With `streams` the arrivals of the cases count for nothing: so many callers take
    them in order, each its next one `pause_s` after its last answer (a closed loop). The catalogue shows a change
    `observed_after_s` late. Of `feedback_share` of the answers the truth becomes known, `feedback_delay_s` after them.
    """

    truths: tuple[Truth, ...]
    platform_start_s: Spread = _CLUSTER_START
    hop_s: float = 0.001
    changes: tuple[Change, ...] = ()
    selectors: int = 1
    exchange_s: float | None = 1.0
    feedback_share: float = 0.0
    feedback_delay_s: float = 0.0
    observed_after_s: float = 0.0
    streams: int = 0
    pause_s: float = 0.0


class Case(NamedTuple):
    """One request, the same under every policy (common random numbers).

    `luck` is the standard normal of its execution time. `right` says per variant, in the order of `World.truths` and
    then of appearance, whether its answer is correct; without it an answer is correct when `hardness`, uniform in
    [0, 1), is below the variant's accuracy (so whatever a weak variant gets right a better one does too).
    """

    request: Request
    hardness: float
    luck: float
    right: tuple[bool, ...] | None = None
