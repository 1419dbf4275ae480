"""What holds of every policy, whatever it is made of: played in a small world where much goes wrong."""

import random
from dataclasses import replace

import pytest
from tests.unit.experiments.worlds import poisson, requests, truth, world

from warmfront.domain import Keep, Outcome, Release, Start, Status, Warmth
from warmfront.experiments.simulation.simulator import simulate
from warmfront.experiments.simulation.world import Case, Change
from warmfront.selection.policies import POLICIES, ramsis
from warmfront.selection.policies.comparing import Comparing
from warmfront.selection.policies.traffic import in_time
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


@pytest.mark.parametrize("policy", POLICIES)
def test_asking_twice_answers_alike_and_changes_nothing(lab, policy):
    """A decision can be asked for as often as one likes, by name or by chance."""
    selector = lab.selector(
        lab.seen("a", lab.profile(0.7), ready=1), lab.seen("b", lab.profile(0.9, 0.05), ready=1),
        lab.seen("c", lab.profile(0.8, 0.02, 5.0)), policy=policy,
    )  # fmt: skip
    for i in range(20):
        lab.reply(selector, lab.send(selector, lab.request(f"q{i}", at=float(i))), 0.05)
    request = lab.request("again", at=30.0)
    first = selector.decide(request, 30.0)
    assert all(selector.decide(request, 30.0) == first for _ in range(3))
    assert first.chosen in first.alternatives


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


def test_the_share_in_time_of_a_queue():
    """Nobody waits for places without number; beyond what can be served nobody is in time; Erlang C in between: one
    server at half load makes half of all wait, and with no time to wait the other half is in time.
    """
    assert in_time(100.0, float("inf"), 1.0, 0.0) == 1.0
    assert in_time(2.0, 1.0, 1.0, 10.0) == 0.0
    assert in_time(0.5, 1.0, 1.0, 0.0) == pytest.approx(0.5)


def test_mulambda_learns_nothing_from_what_was_cut_off(lab):
    """Its speed is the last answer's; there was none."""
    policy = POLICIES["mulambda"](rng=random.Random(1))
    selector = Selector(policy=policy, settings=SelectorSettings())
    selector.update(lab.seen("a", ready=1), 0.0)
    before = lab.numbers(selector, "a").score
    cut_off = Outcome(decision_id="q-1", status=Status.LATE, latency_s=9.0, upstream_s=9.0, censored=True)
    policy.ended(lab.seen("a").variant, 100, cut_off, 9.0)
    assert lab.numbers(selector, "a").score == before
    policy.ended(lab.seen("a").variant, 100, cut_off._replace(censored=False), 9.0)
    assert lab.numbers(selector, "a").score < before


def test_ramsis_keeps_few_tables(monkeypatch):
    """What was solved for another traffic goes when there is no room; it still answers everybody."""
    monkeypatch.setattr(ramsis, "MOST_TABLES", 1)
    asked, run = play("ramsis", seconds=120.0)
    assert len(run.requests) == len(asked)
