"""The records that everything else speaks in: frozen, slotted, keyword-only, validated when built.

Candidate, Decision and Outcome are named tuples, for one or more are made per request and they cost a third. Name the
fields all the same.

What may live here: names of the field (docs/glossary.md), their fields, units and rules. What must not: anything that
acts, waits, reads a clock or knows a wire format.
Units: seconds as float (`_s`), instants on the driver's own monotonic clock (`_at`), accuracy in [0, 1], size in bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

LONGEST_KEEP_S = 7 * 86_400
"""For how long at a time a person may have a variant kept warm."""


class OnMiss(Enum):
    """What to do when no variant can meet the objective."""

    DEGRADE = "degrade"
    REJECT = "reject"


class Status(Enum):
    """How a request ended; fit for a metric label."""

    OK = "ok"
    LATE = "late"
    REJECTED = "rejected"
    FAILED = "failed"


class Warmth(Enum):
    """Warm: a ready replica exists. Starting: one is coming. Cold: none."""

    WARM = "warm"
    STARTING = "starting"
    COLD = "cold"


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} is {value!r}; it must be above 0")


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}; it must lie in [0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Trade-off when deadline and accuracy are both soft: utility = latency * P + accuracy * a * P."""

    latency: float
    accuracy: float

    def __post_init__(self) -> None:
        _share("latency weight", self.latency)
        _share("accuracy weight", self.accuracy)
        _positive("sum of the weights", self.latency + self.accuracy)

    @property
    def latency_share(self) -> float:
        """Latency's part of both, in [0, 1]."""
        return self.latency / (self.latency + self.accuracy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A duration's median and 95th percentile, in seconds."""

    p50: float
    p95: float

    def __post_init__(self) -> None:
        _positive("p50", self.p50)
        if self.p95 < self.p50:
            raise ValueError(f"p95 is {self.p95!r}, below p50 {self.p50!r}; swap or correct them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Declared or measured facts of a variant, before any live data. Everything absent is learned.

    `accuracy_by_bytes` is a rising list of (input size in bytes, accuracy at that size). `latency_s` is one warm
    execution; `latency_per_kib_s` is added per KiB of input. `cold_start_s` is process start to ready.
    """

    accuracy: float | None = None
    accuracy_by_bytes: tuple[tuple[int, float], ...] = ()
    latency_s: Spread | None = None
    latency_per_kib_s: float = 0.0
    cold_start_s: Spread | None = None
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        if self.accuracy is not None:
            _share("accuracy", self.accuracy)
        sizes = [size for size, _ in self.accuracy_by_bytes]
        if sizes != sorted(set(sizes)):
            raise ValueError(f"accuracy_by_bytes has sizes {sizes}; they must rise")
        for _, accuracy in self.accuracy_by_bytes:
            _share("accuracy_by_bytes", accuracy)
        if self.latency_per_kib_s < 0:
            raise ValueError(f"latency per_kib is {self.latency_per_kib_s!r}; it must not be negative")
        if self.memory_mb is not None:
            _positive("memory_mb", self.memory_mb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One implementation of a task: one Knative Service at its latest ready revision.

    `url` is where requests go. `concurrency` is the limit per replica (0: none), `max_replicas` the scale bound
    (0: none), `startable` false when the platform would refuse to start one (Ready=False): then `reason` says why.
    """

    name: str
    task: str
    revision: str
    url: str
    protocols: tuple[str, ...] = ("cloudevents", "raw")
    profile: Profile = Profile()
    concurrency: int = 0
    max_replicas: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of a variant at one time; the latest one replaces all earlier ones.

    `starting_at` holds the instant each coming replica was asked for. `available` is false when the platform says the
    variant cannot serve (Ready=False, image error, crash loop), with the `reason`. `gone` removes the variant.
    """

    variant: Variant
    ready: int = 0
    starting_at: tuple[float, ...] = ()
    available: bool = True
    reason: str = ""
    gone: bool = False


class Request(NamedTuple):
    """One inference request, as the policies see it. `id` is unique; `excluded` names variants already tried.

    `hedges` is the id of a decision that is under way when a second variant is to be asked at the same time; the first
    one is among the excluded then. A tuple: one is made per request on the data plane.
    """

    id: str
    task: str
    size_bytes: int
    arrival_at: float
    deadline_at: float | None = None
    min_accuracy: float | None = None
    on_miss: OnMiss = OnMiss.DEGRADE
    weights: Weights | None = None
    region: str = ""
    excluded: frozenset[str] = frozenset()
    hedges: str = ""


class Reason(Enum):
    """Why a decision came out as it did; fit for a metric label."""

    CHOSEN = "chosen"
    DEGRADED = "degraded"
    UNMET = "unmet"
    NO_VARIANT = "no-variant"
    UNKNOWN_TASK = "unknown-task"


class Candidate(NamedTuple):
    """Variant, observation and estimate, for one request now. A tuple: thirty-two of them are made per decision.

    `accuracy` is the expected accuracy for this input, `probability` that of a reply within the deadline,
    `predicted_s` and `p95_s` quantiles of the whole latency from now, `wait_s` the part of `predicted_s` that is
    cold start and queue. `price` is what choosing it costs beyond this request: memory, starts, and those it will be in
    the way of, less what a second variant would save; below 0, what it gains.
    `score` is the policy's less the price, larger is better. `verdict` is empty for an eligible candidate, else why it
    is not.
    """

    variant: Variant
    warmth: Warmth
    ready: int
    in_flight: int
    accuracy: float
    probability: float
    predicted_s: float
    p95_s: float
    wait_s: float
    score: float
    verdict: str
    price: float = 0.0


class Decision(NamedTuple):
    """The chosen candidate or a refusal (`chosen` is None), with the reason and every alternative's numbers.

    `hedge_at` is when to ask a second variant too, if no reply has begun by then; None when that is worth nothing. It
    is chosen then, by another decision: for the request with the first one excluded, that `hedges` this decision.
    """

    id: str
    request: Request
    policy: str
    reason: Reason
    chosen: Candidate | None
    alternatives: tuple[Candidate, ...]
    hedge_at: float | None = None

    @property
    def cold(self) -> bool:
        """Whether the chosen variant has no ready replica, so that the request waits for a start."""
        return self.chosen is not None and self.chosen.warmth is not Warmth.WARM


class Outcome(NamedTuple):
    """What happened to a decided request. Given to `Selector.observe` exactly once per started decision.

    `latency_s` is receipt to last byte of the reply, `upstream_s` sent to last byte, `execution_s` the variant's own
    time when it said so, `cold` whether the request waited for a start. A request cut off at `upstream_s` (late or
    failed without a reply) is `censored`: its true duration is longer than what was seen.
    """

    decision_id: str
    status: Status
    latency_s: float
    upstream_s: float
    execution_s: float | None = None
    cold: bool = False
    censored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """The truth about an earlier answer, in [0, 1] (1: correct). May come late or never."""

    decision_id: str
    correct: float

    def __post_init__(self) -> None:
        _share("correct", self.correct)


class Lesson(NamedTuple):
    """What one reply taught: the numbers of its outcome that estimators learn from, fit to be told to a peer.

    `z` is how far it came out from what was predicted, in units of the prediction's spread. `waited`: a cold start or a
    queue was part of the prediction. `beside` others were on the same replica when it was sent.
    """

    variant: str
    revision: str
    size_bytes: int
    upstream_s: float
    execution_s: float | None
    z: float
    waited: bool
    cold: bool
    censored: bool
    beside: int = 0


class Verdict(NamedTuple):
    """What one feedback taught: how right an answer to an input of that size was, in [0, 1]."""

    variant: str
    revision: str
    size_bytes: int
    correct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReport:
    """What another selector of the same variants has in flight now, and what happened to it since its last report.

    `peer` is the name of that selector's process, never given twice. `lessons` and `verdicts` are what it was taught,
    `arrivals` the latest requests that it sent, their instants counted from this report.
    """

    peer: str
    in_flight: Mapping[str, int]
    lessons: tuple[Lesson, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    arrivals: tuple[Request, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """An action of the plan: wake this variant now, by a real request; `reason` gives the numbers."""

    variant: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """An action of the plan: keep `replicas` of this revision ready until `until_at`, whether or not anybody asks."""

    variant: str
    revision: str
    until_at: float
    reason: str
    replicas: int = 1

    def __post_init__(self) -> None:
        _positive("replicas", self.replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An action of the plan: keep this revision no longer; it scales by its traffic again."""

    variant: str
    revision: str
    reason: str


Action = Start | Keep | Release
