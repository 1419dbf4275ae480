"""What a scenario file may say, as records: field names, ranges and defaults. Nothing is read or drawn here.

Durations in seconds, rates in requests per second, shares in [0, 1]. A table of the file is a record below; an unknown
field is an error.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Times = tuple[Positive, Positive]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a scenario file."""


class Variants(Record, frozen=True):
    """Who can answer. `table` is a CSV of the columns of `variants.COLUMNS`, beside the file or shipped.

    `only` picks rows by name, in that order. `family = "timm"` makes the table from timm's published figures for the
    models `only` (name@pixels), or takes `table` as the stand-in when they are not there.
    `correctness` is nested (one hardness per request), recorded (by the table `predictions`) or copula (normal scores
    that share a factor of loading `common_factor`).
    """

    table: str
    only: tuple[str, ...] = ()
    family: str = ""
    correctness: Annotated[str, Meta(pattern="^(nested|recorded|copula)$")] = "nested"
    predictions: str = ""
    common_factor: Share = 0.8


class Platform(Record, frozen=True):
    """What Knative adds: its share of a start, the hop, and the scaling annotations that all variants have.

    `start_as_one`: the whole start is one law, its median the sum of both medians and its spread the variant's.
    `always`: variants with one replica kept by min-scale, as an operator would do it.
    """

    start_p50_s: Positive = 1.1
    start_p95_s: Positive = 1.7
    start_as_one: bool = False
    hop_s: NotNegative = 0.001
    window_s: Annotated[int, Meta(ge=6, le=3600)] = 60
    target_percent: Annotated[int, Meta(ge=1, le=100)] = 70
    retention_s: Annotated[int, Meta(ge=0)] = 0
    observed_after_s: NotNegative = 0.0
    always: tuple[str, ...] = ()


class Place(Record, frozen=True):
    """A host: what stands on it, and how far it is, there and back, from callers of each region ("" is any other).

    With places, a row of the table stands on every host that names it, as the variant NAME-HOST; else nowhere.
    """

    variants: tuple[str, ...]
    network_s: dict[str, NotNegative]


class Poisson(Record, frozen=True, tag_field="kind", tag="poisson"):
    """Independent arrivals at `rate`; `steps` [[at_s, rate], ...] change it."""

    rate: NotNegative
    steps: tuple[tuple[NotNegative, NotNegative], ...] = ()


class Gamma(Record, frozen=True, tag_field="kind", tag="gamma"):
    """Independent gaps of the gamma law: `shape` below 1 is more bursty than Poisson, above more regular."""

    rate: Positive
    shape: Positive


class OnOff(Record, frozen=True, tag_field="kind", tag="on-off"):
    """Poisson at `rate` for exponential times of mean `on_s`, then nothing for exponential times of mean `off_s`."""

    rate: Positive
    on_s: Positive
    off_s: Positive


class Timer(Record, frozen=True, tag_field="kind", tag="timer"):
    """One request every `every_s`, the first after one period, each up to `jitter_s` late."""

    every_s: Positive
    jitter_s: NotNegative = 0.0


class Streams(Record, frozen=True, tag_field="kind", tag="streams"):
    """`streams` callers who each wait for the answer, and then `pause_s`, before they ask again: a closed loop."""

    streams: Count
    requests: Count
    pause_s: NotNegative = 0.0


StandIn = Poisson | Gamma | OnOff | Timer


class Trace(Record, frozen=True, tag_field="kind", tag="trace"):
    """Recorded arrivals from `file`, beside the scenario or in the data folder; without it those of `stand_in`.

    The file has one of: `arrival_s` rows (`size_column` times `bytes_per_unit` is the size, if given); `second,
    requests` rows, or `requests` alone, one per second; `function, minute, invocations` rows, of which `function` is
    taken. Seconds and minutes are filled at random, or `evenly`. `from_s` on, for the scenario's duration.
    """

    file: str
    stand_in: StandIn | None = None
    function: str = ""
    evenly: bool = False
    from_s: NotNegative = 0.0
    size_column: str = ""
    bytes_per_unit: Positive = 1.0


Workload = Poisson | Gamma | OnOff | Timer | Streams | Trace


class Phase(Record, frozen=True):
    """One kind of objective. `share` of the requests, at random, or those of `from_share` of the run on (of its
    requests, where streams decide when they come).

    `deadlines_s` are equally likely, [] is none; `deadline_multiple` [low, high] is uniform, in units of the fastest
    variant's median.
    """

    share: Positive = 1.0
    from_share: Share | None = None
    deadlines_s: tuple[Positive, ...] = ()
    deadline_multiple: tuple[Positive, Positive] | None = None
    min_accuracy: Share | None = None
    latency_weight: Share | None = None
    on_miss: Annotated[str, Meta(pattern="^(degrade|reject)$")] = "degrade"


class Callers(Record, frozen=True):
    """Where requests come from and how large they are: equally likely `regions` and `sizes_bytes`."""

    regions: tuple[str, ...] = ("",)
    sizes_bytes: tuple[Annotated[int, Meta(ge=0)], ...] = (100,)


class Declared(Record, frozen=True):
    """How profiles differ from the truth, for `variants` or all. Factors multiply; `accuracies`: true or reversed."""

    variants: tuple[str, ...] = ()
    execution_factor: Positive = 1.0
    cold_start_factor: Positive = 1.0
    accuracy_offset: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    accuracies: Annotated[str, Meta(pattern="^(true|reversed)$")] = "true"


class Drift(Record, frozen=True):
    """From `at_s` on, `variant` is different: it appears, is gone, or runs by these factors and this accuracy."""

    at_s: Positive
    variant: str
    appears: bool = False
    gone: bool = False
    execution_factor: Positive = 1.0
    cold_start_factor: Positive = 1.0
    accuracy: Share | None = None
    failure_rate: Share | None = None


class Feedback(Record, frozen=True):
    """Of which share of the answers the truth becomes known, and how late."""

    share: Share = 0.0
    delay_s: NotNegative = 0.0


class Selectors(Record, frozen=True):
    """How many selectors share the requests, and how often they tell each other (0: never)."""

    count: Count = 1
    exchange_s: NotNegative = 1.0


class Selector(Record, frozen=True):
    """What selectors are told in place of SelectorSettings' defaults, field by field; a duration is [p50, p95]."""

    network_s: Times | UnsetType = UNSET
    platform_start_s: Times | UnsetType = UNSET
    default_execution_s: Times | UnsetType = UNSET
    default_cold_start_s: Times | UnsetType = UNSET
    default_accuracy: Share | UnsetType = UNSET
    default_memory_mb: Positive | UnsetType = UNSET
    price_per_gb_s: NotNegative | UnsetType = UNSET
    waiting_price_per_s: NotNegative | UnsetType = UNSET
    transport_timeout_s: Positive | UnsetType = UNSET
    can_probability: Share | UnsetType = UNSET
    doomed_probability: Share | UnsetType = UNSET
    hold_s: NotNegative | UnsetType = UNSET
    presumed_start_timeout_s: Positive | UnsetType = UNSET
    overdue_factor: Positive | UnsetType = UNSET
    overdue_least_s: NotNegative | UnsetType = UNSET
    backoff_s: Positive | UnsetType = UNSET
    backoff_limit_s: Positive | UnsetType = UNSET
    peer_hold_s: NotNegative | UnsetType = UNSET
    max_lessons: Count | UnsetType = UNSET
    hedge: bool | UnsetType = UNSET
    hedge_share: Share | UnsetType = UNSET
    learned_half_life_s: Positive | UnsetType = UNSET
    max_pending: Count | UnsetType = UNSET
    max_answered: Count | UnsetType = UNSET
    recent_requests: Count | UnsetType = UNSET
    may_keep: bool | UnsetType = UNSET
    dry_run: bool | UnsetType = UNSET
    max_warm_gb: NotNegative | UnsetType = UNSET
    keep_ahead_s: Positive | UnsetType = UNSET
    budget_gb_s_per_hour: Positive | UnsetType = UNSET


class ScenarioFile(Record, frozen=True):
    """A whole scenario file, what it extends included."""

    description: str
    task: str
    duration_s: Positive
    variants: Variants
    workload: Workload
    objective: tuple[Phase, ...]
    platform: Platform = Platform()
    places: dict[str, Place] = {}
    callers: Callers = Callers()
    declared: tuple[Declared, ...] = ()
    drift: tuple[Drift, ...] = ()
    feedback: Feedback = Feedback()
    selectors: Selectors = Selectors()
    selector: Selector = Selector()
