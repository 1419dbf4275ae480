"""What the selector believes before it has seen anything, and what things are worth. Numbers only, no behaviour."""

from dataclasses import dataclass

from warmfront.domain import Spread

_NETWORK = Spread(p50=0.002, p95=0.01)
_PLATFORM_START = Spread(p50=1.1, p95=1.7)
_EXECUTION = Spread(p50=0.1, p95=0.5)
_COLD_START = Spread(p50=2.0, p95=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorSettings:
    """Priors, prices and limits of a Selector. Durations in seconds; one unit of utility is one right answer in time.

    The defaults fit a cluster. On a laptop a start from nothing costs the platform 0.05 s rather than 1.1 s.
    """

    # priors: what is believed until it is learned
    network_s: Spread = _NETWORK
    platform_start_s: Spread = _PLATFORM_START
    default_execution_s: Spread = _EXECUTION
    default_cold_start_s: Spread = _COLD_START
    default_accuracy: float = 0.5
    default_memory_mb: float = 256.0

    # prices
    price_per_gb_s: float = 0.001  # utility lost per GB-second of a replica
    waiting_price_per_s: float = 0.02  # utility lost per second of waiting when a request has no deadline

    # rules
    transport_timeout_s: float = 60.0  # the deadline of a request that names none
    can_probability: float = 0.5  # a variant "can" meet a deadline when it is more likely than not
    doomed_probability: float = 0.05  # below this nobody can make it: think of the next request instead
    hold_s: float = 60.0  # how long an idle replica stays, the platform's window

    # what is inferred while nothing is observed
    presumed_start_timeout_s: float = 60.0

    # a start that takes longer than so many times what 19 of 20 take, and than so many seconds, is overdue: perhaps it
    # never ends, and the platform may not say so (Knative: for ten minutes)
    overdue_factor: float = 2.0
    overdue_least_s: float = 5.0

    # failures: the second one in a row makes a variant rest for `backoff_s`, each further one doubles it
    backoff_s: float = 1.0
    backoff_limit_s: float = 60.0

    # other selectors of the same variants
    peer_hold_s: float = 2.0  # how long a peer's counts hold without a new report: it may have died
    max_lessons: int = 64  # lessons, and as many verdicts, that one report to peers carries: the latest

    # hedging: a second variant is asked beside one that may not answer in time
    hedge: bool = False
    hedge_share: float = 0.05  # of the requests, at most

    # memory
    learned_half_life_s: float = 86_400.0  # what was learned before a restart counts half after a day
    max_pending: int = 20_000  # decisions started and not yet ended
    max_answered: int = 20_000  # ended decisions that feedback may still name

    # the warm set
    recent_requests: int = 64  # the shapes of that many recent requests stand for the next ones
    may_keep: bool = True  # whether variants are kept beyond the platform's window; else they are only started
    dry_run: bool = False  # plan, and show the plan, but act on nothing
    max_warm_gb: float = 4.0  # memory of all that the plan keeps or starts, of all tasks
    keep_ahead_s: float = 300.0  # a keep ends by itself after at most that
    budget_gb_s_per_hour: float | None = None  # memory to be used on average, requests' own starts included


DEFAULTS = SelectorSettings()
