"""Small worlds for the simulator's tests."""

import random

from warmfront.domain import Profile, Request, Spread, Variant
from warmfront.experiments.simulation.simulator import Run, simulate
from warmfront.experiments.simulation.world import Case, Truth, World
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector, SelectorSettings

LAPTOP = SelectorSettings(platform_start_s=Spread(p50=0.05, p95=0.1))
NO_PLATFORM = Spread(p50=1e-9, p95=1e-9)
LANGID = {  # accuracy, execution, start in all, memory: the demo's four variants
    "cld2": (0.76, 0.0005, 0.23, 61.0),
    "fasttext": (0.83, 0.0008, 0.48, 79.0),
    "py3langid": (0.85, 0.004, 1.4, 150.0),
    "lingua": (0.91, 0.03, 11.0, 1090.0),
}


def truth(
    name="v", accuracy=0.8, execution=0.1, start=2.0, memory=100.0, spread=1.5, concurrency=4, wrong=1.0, scale="1",
    window="60s", **more,
) -> Truth:  # fmt: skip
    """A variant of at most `scale` replicas whose profile declares `wrong` times its real durations."""
    profile = Profile(
        accuracy=accuracy, memory_mb=memory, latency_s=Spread(p50=execution * wrong, p95=2 * execution * wrong),
        cold_start_s=Spread(p50=start * wrong, p95=1.5 * start * wrong),
    )  # fmt: skip
    variant = Variant(
        name=name, task="t", revision="r1", url="", profile=profile, concurrency=concurrency, max_replicas=int(scale)
    )
    annotations = {f"autoscaling.knative.dev/{key}": text for key, text in {
        "window": window, "max-scale": scale, "target-burst-capacity": "0",
        **{key.replace("_", "-"): value for key, value in more.pop("annotations", {}).items()},
    }.items()}  # fmt: skip
    return Truth(
        variant=variant, accuracy=accuracy, execution_s=Spread(p50=execution, p95=spread * execution),
        load_s=Spread(p50=start, p95=spread * start), memory_mb=memory, annotations=annotations, **more,
    )  # fmt: skip


def world(*truths, **more) -> World:
    """These variants, the platform's own share of a start and the hop being nothing."""
    return World(**{"truths": truths, "platform_start_s": NO_PLATFORM, "hop_s": 0.0, **more})


def requests(arrivals, budget=10.0, **more) -> list[Request]:
    """At these times, with one budget or each its own."""
    budgets = budget if isinstance(budget, list) else [budget] * len(arrivals)
    return [
        Request(id=f"q{i}", task="t", size_bytes=100, arrival_at=at, deadline_at=at + left, **more)
        for i, (at, left) in enumerate(zip(arrivals, budgets, strict=True))
    ]


def cases(asked, seed=1) -> list[Case]:
    """Each with its own luck and hardness."""
    rng = random.Random(f"{seed}/cases")
    return [Case(request=request, luck=rng.gauss(0, 1), hardness=rng.random()) for request in asked]


def selector(policy="effective", seed=1, settings=LAPTOP) -> Selector:
    return Selector(policy=POLICIES[policy](rng=random.Random(seed)), settings=settings)


def play(place, asked, policy="effective", seed=1, **options) -> Run:
    """`asked` are requests or cases."""
    played = asked if asked and isinstance(asked[0], Case) else cases(asked, seed)
    return simulate(place, played, lambda: selector(policy, seed), seed=seed, **options)


def poisson(rng, rate, seconds) -> list[float]:
    instants, now = [], rng.expovariate(rate)
    while now < seconds:
        instants.append(now)
        now += rng.expovariate(rate)
    return instants


def demo(policy, seed=1, wrong=1.0) -> Run:
    """400 requests in about 30 s, deadlines of 0.2, 1, 3 and 15 s, all asleep at first."""
    rng, now, arrivals, budgets = random.Random(seed), 0.0, [], []
    for _ in range(400):
        now += rng.expovariate(400 / 30)
        arrivals.append(now)
        budgets.append(rng.choice([0.2, 1.0, 3.0, 15.0]))
    place = world(*(truth(name, *facts, wrong=wrong) for name, facts in LANGID.items()), hop_s=0.001)
    return play(place, requests(arrivals, budgets), policy, seed)
