"""Four selectors against one on the same arrivals: what it costs to see a part only, what telling each other saves."""

import random
from functools import cache
from statistics import mean

import pytest

from warmfront.domain import Profile, Request, Spread, Variant
from warmfront.experiments.driver import Driver, Truth
from warmfront.experiments.several import Several
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector, SelectorSettings

LAPTOP = SelectorSettings(platform_start_s=Spread(p50=0.05, p95=0.1))
SEEDS = (1, 2, 3)
LANGID = (  # accuracy, execution, start in all, memory: the demo's four variants
    ("cld2", 0.76, 0.0005, 0.23, 61.0), ("fasttext", 0.83, 0.0008, 0.48, 79.0),
    ("py3langid", 0.85, 0.004, 1.4, 150.0), ("lingua", 0.91, 0.03, 11.0, 1090.0),
)  # fmt: skip
IMAGES = (("large", 0.9, 0.2, 3.0, 1000.0), ("medium", 0.8, 0.08, 1.0, 300.0), ("small", 0.6, 0.01, 0.2, 60.0))


def truth(name, accuracy, execution, start, memory) -> Truth:
    profile = Profile(
        accuracy=accuracy, memory_mb=memory, latency_s=Spread(p50=execution, p95=2 * execution),
        cold_start_s=Spread(p50=start, p95=1.5 * start),
    )  # fmt: skip
    variant = Variant(name=name, task="t", revision="r1", url="", profile=profile, concurrency=4)
    return Truth(
        variant=variant, accuracy=accuracy, execution_s=Spread(p50=execution, p95=1.5 * execution),
        cold_start_s=Spread(p50=start, p95=1.5 * start), network_s=0.001,
    )  # fmt: skip


def asked(instants, budgets) -> list[Request]:
    return [
        Request(id=f"q{i}", task="t", size_bytes=100, arrival_at=at, deadline_at=at + budget)
        for i, (at, budget) in enumerate(zip(instants, budgets, strict=True))
    ]


def poisson(rng, rate, seconds) -> list[float]:
    instants, now = [], rng.expovariate(rate)
    while now < seconds:
        instants.append(now)
        now += rng.expovariate(rate)
    return instants


def demo(rng) -> list[Request]:
    """The demo's: 13 requests a second for 30 s, deadlines of 0.2, 1, 3 and 15 s."""
    instants = poisson(rng, 400 / 30, 30)
    return asked(instants, [rng.choice((0.2, 1.0, 3.0, 15.0)) for _ in instants])


def sparse(rng) -> list[Request]:
    """One request every 20 s on average, the demo's deadlines."""
    instants = poisson(rng, 0.05, 3000)
    return asked(instants, [rng.choice((0.2, 1.0, 3.0, 15.0)) for _ in instants])


def bursts(rng) -> list[Request]:
    """Ten bursts of about a hundred requests in 1 s, 10 s apart, each worth an answer for 0.5 s."""
    instants = [0.5 * i for i in range(4)]
    for i in range(10):
        instants += [20 + 11 * i + at for at in poisson(rng, 100, 1)]
    return asked(instants, [60.0] * 4 + [0.5] * (len(instants) - 4))


WORLDS = {"demo": (LANGID, demo), "sparse": (LANGID, sparse), "bursts": (IMAGES, bursts)}
ALONE = "alone"


@cache
def right_and_in_time(world, exchange_s, deal=(1, 1, 1, 1)) -> float:
    """Share of answers right and in time, mean over seeds: four selectors, or one (`ALONE`)."""
    variants, workload = WORLDS[world]
    shares = []
    for seed in SEEDS:

        def built(seed=seed) -> Selector:
            return Selector(policy=POLICIES["effective"](rng=random.Random(seed)), settings=LAPTOP)

        if exchange_s == ALONE:
            chooser = built()
        else:
            dealer = random.Random(f"{seed}/deal")
            chooser = Several([built() for _ in deal], exchange_s=exchange_s, rng=dealer, shares=deal)
        driver = Driver(chooser, [truth(*facts) for facts in variants], rng=random.Random(seed))
        rows = driver.run(workload(random.Random(f"{seed}/requests"))).requests
        shares.append(mean(row.on_time and bool(row.correct) for row in rows))
    return mean(shares)


@pytest.mark.parametrize("exchange_s", [0.25, 1.0])
@pytest.mark.parametrize("world", WORLDS)
def test_four_that_tell_each_other_are_as_good_as_one(world, exchange_s):
    """Knowing of each other what is up to a quarter or a whole second old costs at most 0.02 of all answers."""
    assert right_and_in_time(world, exchange_s) >= right_and_in_time(world, ALONE) - 0.02


@pytest.mark.parametrize("deal", [(7, 1, 1, 1), (1, 0, 0, 0)])
def test_it_does_not_matter_who_gets_the_requests(deal):
    """Most of a burst, or all of it, reaches one of the four: still within 0.02 of one selector alone."""
    assert right_and_in_time("bursts", 0.25, deal) >= right_and_in_time("bursts", ALONE) - 0.02


@pytest.mark.parametrize("world", ["bursts", "sparse"])
def test_four_that_keep_to_themselves_lose(world):
    """In bursts they crowd the same replica, for each counts its own requests only; where requests are sparse none of
    them sees enough to wake a better variant.
    """
    lost = right_and_in_time(world, ALONE) - right_and_in_time(world, None)
    assert lost > 0.02
    assert right_and_in_time(world, 0.25) > right_and_in_time(world, None) + 0.01
