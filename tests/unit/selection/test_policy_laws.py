"""What holds of every policy, whatever it is made of: played in a small world where much goes wrong."""

import random
from dataclasses import replace

import pytest
from tests.unit.experiments.worlds import poisson, requests, truth, world

from warmfront.domain import Keep, Release, Start, Status, Warmth
from warmfront.experiments.simulation.simulator import simulate
from warmfront.experiments.simulation.world import Case, Change
from warmfront.selection.policies import POLICIES, ramsis
from warmfront.selection.policies.comparing import Comparing
from warmfront.selection.selector import Selector, SelectorSettings

WORLD = world(
    truth("fast", 0.6, execution=0.01, start=0.5, memory=60.0, scale="2", failure_rate=0.05, network_s={"": 0.01}),
    truth("fair", 0.75, execution=0.05, start=2.0, memory=200.0, scale="2", slowdown_s=0.02),
    truth("good", 0.9, execution=0.2, start=8.0, memory=1000.0, concurrency=2, failure_rate=0.05),
    changes=(Change(at_s=150.0, name="fair", truth=None), Change(at_s=190.0, name="fair", truth=truth("fair", 0.75))),
    feedback_share=0.3, feedback_delay_s=2.0,
)  # fmt: skip


def cases(seed, rate=3.0, seconds=240.0, **more):
    """Poisson arrivals that stop for two minutes, deadlines from 20 ms to 15 s, some without one."""
    rng = random.Random(seed)
    arrivals = [at if at < seconds / 2 else at + 120.0 for at in poisson(rng, rate, seconds)]
    asked = requests(arrivals, [rng.choice([0.02, 0.2, 1.0, 3.0, 15.0]) for _ in arrivals], **more)
    played = []
    for i, request in enumerate(asked):
        free = request._replace(deadline_at=None) if i % 11 == 0 else request
        played.append(Case(request=free, hardness=rng.random(), luck=rng.gauss(0, 1)))
    return played


def play(policy, seed=1, settings=None, the_world=WORLD, **more):
    def built():
        return Selector(policy=POLICIES[policy](rng=random.Random(seed)), settings=settings or SelectorSettings())

    asked = cases(seed, **more)
    return asked, simulate(the_world, asked, built, seed=seed)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_request_ends_and_goes_to_a_variant_there_is(policy):
    """One row a request, sent to one of the three, most of them answered; the same again with the same seed."""
    asked, run = play(policy)
    assert sorted(row.request_id for row in run.requests) == sorted(case.request.id for case in asked)
    assert {row.variant for row in run.requests} <= {"fast", "fair", "good"}
    answered = [row for row in run.requests if row.status in {Status.OK.value, Status.LATE.value}]
    assert len(answered) > 0.95 * len(asked)
    assert play(policy)[1] == run


@pytest.mark.parametrize("policy", POLICIES)
def test_a_floor_is_kept(policy):
    """With a floor of 0.7 nobody is sent to `fast`, declared 0.6 and never judged, while one above it is there."""
    _, run = play(policy, seconds=60.0, min_accuracy=0.7, the_world=replace(WORLD, feedback_share=0.0))
    served = [row.variant for row in run.requests if row.reason == "chosen"]
    assert served
    assert "fast" not in served


@pytest.mark.parametrize("policy", POLICIES)
def test_without_leave_to_keep_nothing_is_kept(policy):
    """Starts may come of the plan, holds do not."""
    _, run = play(policy, settings=SelectorSettings(may_keep=False))
    assert "keep" not in {row.cause for row in run.replicas}


class Scripted(Comparing):
    """Wants what it is told to want."""

    name = "scripted"
    plan_at = 0.0

    def __init__(self, *actions) -> None:
        super().__init__(rng=random.Random(1))
        self.actions = actions

    def compare(self, pool, _moment):
        return [0.5 for _ in pool]

    def plan(self, _now, _settings):
        return self.actions


@pytest.mark.parametrize("may_keep", [True, False])
def test_what_a_policy_wants_awake_is_carried_out_as_far_as_may_be(lab, may_keep):
    """Unknown and unavailable variants are left out, keeps are where they may not be; the rest is told and presumed."""
    keep = Keep(variant="a", revision="r1", until_at=99.0, reason="test")
    start, nobody = Start(variant="b", reason="test"), Start(variant="x", reason="test")
    broken, release = Start(variant="c", reason="test"), Release(variant="d", revision="r1", reason="test")
    policy = Scripted(keep, start, nobody, broken, release)
    selector = Selector(policy=policy, settings=SelectorSettings(may_keep=may_keep))
    for name in "abcd":
        selector.update(lab.seen(name, available=name != "c"), 0.0)
    assert selector.plan(1.0) == ([keep] if may_keep else []) + [start, release]
    assert selector.next_plan_at() == 0.0
    assert lab.numbers(selector, "b", now=1.0).warmth is Warmth.STARTING
    assert (lab.numbers(selector, "a", now=1.0).warmth is Warmth.STARTING) is may_keep


def test_ramsis_keeps_few_tables(monkeypatch):
    """What was solved for another traffic goes when there is no room; it still answers everybody."""
    monkeypatch.setattr(ramsis, "MOST_TABLES", 1)
    asked, run = play("ramsis", seconds=120.0)
    assert len(run.requests) == len(asked)
