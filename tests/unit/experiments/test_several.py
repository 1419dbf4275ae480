"""Several selectors against one on the same arrivals: the cost of seeing a part, and what telling the others saves."""

import random
from functools import cache
from statistics import mean

import pytest
from tests.unit.experiments.worlds import cases, poisson, requests, selector, truth
from tests.unit.experiments.worlds import world as world_of

from warmfront.experiments.several import Several
from warmfront.experiments.simulation.simulator import Simulator

SEEDS = (1, 2, 3)
LANGID = (  # accuracy, execution, start in all, memory: the demo's four variants
    ("cld2", 0.76, 0.0005, 0.23, 61.0), ("fasttext", 0.83, 0.0008, 0.48, 79.0),
    ("py3langid", 0.85, 0.004, 1.4, 150.0), ("lingua", 0.91, 0.03, 11.0, 1090.0),
)  # fmt: skip
IMAGES = (("large", 0.9, 0.2, 3.0, 1000.0), ("medium", 0.8, 0.08, 1.0, 300.0), ("small", 0.6, 0.01, 0.2, 60.0))


def demo(rng) -> list:
    """The demo's: 13 requests a second for 30 s, deadlines of 0.2, 1, 3 and 15 s."""
    instants = poisson(rng, 400 / 30, 30)
    return requests(instants, [rng.choice((0.2, 1.0, 3.0, 15.0)) for _ in instants])


def sparse(rng) -> list:
    """One request every 20 s on average, the demo's deadlines."""
    instants = poisson(rng, 0.05, 3000)
    return requests(instants, [rng.choice((0.2, 1.0, 3.0, 15.0)) for _ in instants])


def bursts(rng) -> list:
    """Ten bursts of about a hundred requests in 1 s, 10 s apart, each worth an answer for 0.5 s."""
    instants = [0.5 * i for i in range(4)]
    for i in range(10):
        instants += [20 + 11 * i + at for at in poisson(rng, 100, 1)]
    return requests(instants, [60.0] * 4 + [0.5] * (len(instants) - 4))


WORLDS = {"demo": (LANGID, demo), "sparse": (LANGID, sparse), "bursts": (IMAGES, bursts)}
ALONE = "alone"
EIGHT = (1,) * 8


@cache
def right_and_in_time(world, exchange_s, deal=(1, 1, 1, 1)) -> float:
    """Share of answers right and in time, mean over seeds: as many selectors as `deal` has shares, or one (`ALONE`)."""
    variants, workload = WORLDS[world]
    shares = []
    for seed in SEEDS:
        place = world_of(*(truth(*facts) for facts in variants), hop_s=0.001)
        if exchange_s == ALONE:
            chooser = selector(seed=seed)
        else:
            dealer = random.Random(f"{seed}/deal")
            chooser = Several([selector(seed=seed) for _ in deal], exchange_s=exchange_s, rng=dealer, shares=deal)
        asked = cases(workload(random.Random(f"{seed}/requests")), seed)
        rows = Simulator(place, asked, chooser, seed=seed, run_id="run").run().requests
        shares.append(mean(row.on_time and bool(row.correct) for row in rows))
    return mean(shares)


@pytest.mark.parametrize("world", WORLDS)
def test_four_that_tell_each_other_are_as_good_as_one(world):
    """Knowing of each other what is up to a quarter of a second old costs at most 0.02 of all answers."""
    assert right_and_in_time(world, 0.25) >= right_and_in_time(world, ALONE) - 0.02


@pytest.mark.parametrize("world", ["demo", "sparse"])
def test_four_that_hear_of_each_other_late_are_as_good_as_one(world):
    """A whole second old, outside bursts as short as that: at most 0.02 as well."""
    assert right_and_in_time(world, 1.0) >= right_and_in_time(world, ALONE) - 0.02


def test_in_bursts_as_short_as_their_exchanges_four_lose_a_little_more():
    """What they hear of each other in a burst of a second comes when it is over: at most 0.03."""
    assert right_and_in_time("bursts", 1.0) >= right_and_in_time("bursts", ALONE) - 0.03


@pytest.mark.parametrize("world", ["demo", "sparse"])
def test_eight_that_tell_each_other_every_second_are_as_good_as_one(world):
    """Each sees an eighth, and plans for all: at most 0.02 of all answers is lost."""
    assert right_and_in_time(world, 1.0, EIGHT) >= right_and_in_time(world, ALONE) - 0.02


def test_in_bursts_shorter_than_their_exchanges_eight_gain_by_telling_all_the_same():
    """A burst is over before they hear of each other in it. What they heard before helps them to share it out."""
    assert right_and_in_time("bursts", 1.0, EIGHT) > right_and_in_time("bursts", None, EIGHT) + 0.03


@pytest.mark.parametrize("deal", [(7, 1, 1, 1), (1, 0, 0, 0)])
def test_it_does_not_matter_who_gets_the_requests(deal):
    """Most of a burst, or all of it, reaches one of the four: still within 0.02 of one selector alone."""
    assert right_and_in_time("bursts", 0.25, deal) >= right_and_in_time("bursts", ALONE) - 0.02


def test_four_that_keep_to_themselves_lose():
    """In bursts they crowd the same replica, for each counts its own requests only."""
    assert right_and_in_time("bursts", 0.25) > right_and_in_time("bursts", None) + 0.01


def test_a_burst_is_shared_out_over_variants():
    """One selector alone starts what a burst needs, not only the best and the smallest variant."""
    assert right_and_in_time("bursts", ALONE) > 0.7
