"""The simulator: the selector's calls are all it takes, and the world behind them is as stated."""

import random
from collections import Counter
from statistics import mean

import pytest
from tests.unit.experiments.worlds import LAPTOP, demo, play, poisson, requests, selector, truth, world

from warmfront.domain import Keep, OnMiss, Release, Request, Spread
from warmfront.experiments.simulation.simulator import Run, simulate
from warmfront.experiments.simulation.world import Case, Change
from warmfront.selection.selector import SelectorSettings

EXACT = {"spread": 1.0}
NO_PLAN = "most-accurate"  # a policy in which nothing is woken in the background


class Scripted:
    """A selector whose plan is this script; everything else as it was."""

    def __init__(self, inner, script) -> None:
        self.inner, self.script = inner, dict(script)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def plan(self, now):
        due = [at for at in self.script if at <= now]
        return [self.script.pop(at) for at in due]

    def next_plan_at(self):
        return min(self.script, default=float("inf"))


def test_the_time_line_of_one_replica():
    """Start 2 s, two at a time for 0.1 s, the third queues. Idle from 30.1 on: the report of second 31 is the last with
    load, it leaves the window of 60 s at 91, the next decision is at 92; a grace period of 30 s later the replica ends.
    """
    run = play(world(truth(**EXACT, concurrency=2)), requests([0.0, 0.5, 1.0, 30.0]), NO_PLAN, until_s=200)
    assert [row.latency_s for row in run.requests] == pytest.approx([2.1, 1.6, 1.2, 0.1])
    assert [row.queued_s for row in run.requests] == pytest.approx([2.0, 1.5, 1.1, 0.0], abs=1e-6)
    assert [row.cold for row in run.requests] == [True, True, True, False]
    (replica,) = run.replicas
    assert (replica.requested_s, replica.ready_s, replica.stopped_s) == pytest.approx((0.0, 2.0, 122.0))
    assert (replica.cause, replica.memory_mb, replica.variant, replica.revision) == ("request", 100.0, "v", "r1")


def test_with_the_activator_always_in_the_path_no_grace_is_needed():
    """With target-burst-capacity -1 traffic is at the activator already: the replica ends with the decision."""
    always = truth(**EXACT, annotations={"target_burst_capacity": "-1"})
    (replica,) = play(world(always), requests([30.0]), NO_PLAN, until_s=200).replicas
    assert (replica.requested_s, replica.ready_s, replica.stopped_s) == pytest.approx((30.0, 32.0, 94.0))


def test_a_burst_makes_as_many_replicas_as_the_load_asks_for():
    """Nine at once, one at a time each, target 0.7: the poke sees one request and makes ceil(1 / 0.7) = 2; the decision
    at 2 s sees nine and panics: ceil(9 / 0.7) = 13, bounded to 5.
    """
    five = truth(**EXACT, concurrency=1, scale="5", execution=3.0)
    run = play(world(five), requests([0.5] * 9, budget=60.0), NO_PLAN, until_s=10)
    asked = Counter(replica.requested_s for replica in run.replicas)
    assert asked == {0.5: 2, 2.0: 3}
    assert [row.latency_s for row in run.requests] == pytest.approx([5.0, 5.0, 6.5, 6.5, 6.5, 8.0, 8.0, 9.5, 9.5])


def test_panic_holds_the_peak_for_a_stable_window():
    """The same burst: 9 inside until 5.5 s, 7 until 7, 4 until 8.5, 2 until 10. The average of six seconds is 46 / 6 at
    the decision of 8 s, asking for 11, more than twice the five that are ready; 33 / 6 at 10 s asks for 8, which is
    less. So the latest panic is at 8 s, the peak is held until 68 s, and from 70 s on, with nothing in the window, half
    may go each time: 5, 2, 1, none at 74 s; the last ends after its grace of 30 s.
    """
    five = truth(**EXACT, concurrency=1, scale="5", execution=3.0)
    run = play(world(five), requests([0.5] * 9, budget=60.0), NO_PLAN, until_s=150)
    assert Counter(replica.stopped_s for replica in run.replicas) == {70.0: 3, 72.0: 1, 104.0: 1}


def test_what_was_held_while_nothing_was_ready_goes_in_order():
    """Held requests are answered first come, first served, as places come free."""
    one = truth(**EXACT, concurrency=1)
    run = play(world(one), requests([0.0, 0.1, 0.2, 0.3]), NO_PLAN)
    assert [row.request_id for row in run.requests] == ["q0", "q1", "q2", "q3"]
    assert [row.latency_s for row in run.requests] == pytest.approx([2.1, 2.1, 2.1, 2.1])


def test_min_scale_is_there_from_the_beginning():
    """A variant with min-scale 1 starts at 0 and costs until the end of the run."""
    kept = truth(**EXACT, annotations={"min_scale": "1"})
    run = play(world(kept), requests([100.0]), NO_PLAN, until_s=500)
    (replica,) = run.replicas
    assert (replica.requested_s, replica.ready_s, replica.stopped_s) == pytest.approx((0.0, 2.0, 500.0))
    assert (run.end_s, replica.cause, run.requests[0].cold) == (500.0, "scale", False)


def test_a_keep_holds_until_its_time_and_a_release_ends_it():
    """Kept from 10 s for 300 s: started by the keep. Released at 400 s, which comes too late to matter; kept again at
    500 s, released at 520 s: then it goes as an idle one does, decided upon at the next tick, ended after the grace.
    """
    script = {
        10.0: Keep(variant="v", revision="r1", until_at=310.0, reason="test"),
        400.0: Release(variant="v", revision="r1", reason="test"),
        500.0: Keep(variant="v", revision="r1", until_at=900.0, reason="test"),
        600.0: Release(variant="v", revision="r1", reason="test"),
    }
    run = simulate(world(truth(**EXACT)), [], lambda: Scripted(selector(), script), seed=1, until_s=1000)
    first, second = run.replicas
    assert (first.requested_s, first.cause) == (10.0, "keep")
    assert 310.0 <= first.stopped_s <= 342.0
    assert (second.requested_s, second.cause) == (500.0, "keep")
    assert 600.0 <= second.stopped_s <= 632.0


def test_a_keep_never_goes_above_max_scale():
    """Three replicas asked for, two allowed."""
    script = {1.0: Keep(variant="v", revision="r1", until_at=50.0, reason="test", replicas=3)}
    two = truth(**EXACT, scale="2")
    assert len(simulate(world(two), [], lambda: Scripted(selector(), script), seed=1, until_s=20).replicas) == 2


def test_cost_is_memory_times_starting_and_ready():
    """By hand: one replica of 100 MB from 0 to 122 s."""
    run = play(world(truth(**EXACT)), requests([30.0]), NO_PLAN, until_s=60)
    (replica,) = run.replicas
    assert (replica.stopped_s - replica.requested_s) * replica.memory_mb / 1000 == pytest.approx(3.0)


def test_request_rows_say_what_was_promised_and_what_came():
    """Every field of a row, on time, late and rejected."""
    asked = [
        *requests([0.0], budget=5.0),
        Request(id="late", task="t", size_bytes=9, arrival_at=200.0, deadline_at=201.0, min_accuracy=0.5),
        Request(id="no", task="t", size_bytes=9, arrival_at=400.0, deadline_at=401.0, on_miss=OnMiss.REJECT),
        Request(id="ever", task="t", size_bytes=9, arrival_at=401.0),
    ]
    run = play(world(truth(**EXACT, accuracy=1.0)), asked, NO_PLAN, run_id="r7")
    rows = {row.request_id: row for row in run.requests}
    first, late, rejected, ever = rows["q0"], rows["late"], rows["no"], rows["ever"]
    assert (first.run_id, first.policy, first.seed, first.task) == ("r7", NO_PLAN, 1, "t")
    assert (first.status, first.on_time, first.correct, first.reason) == ("ok", True, True, "chosen")
    assert (first.deadline_s, first.variant, first.revision) == (5.0, "v", "r1")
    assert first.predicted_s == pytest.approx(2.1, rel=0.1)
    assert 0.9 < first.probability <= 1
    assert (late.status, late.on_time, late.reason, late.min_accuracy) == ("late", False, "degraded", 0.5)
    assert (rejected.status, rejected.variant, rejected.correct, rejected.reason) == ("rejected", None, None, "unmet")
    assert (ever.deadline_s, ever.on_time) == (None, True)


def test_recorded_correctness_is_by_variant():
    """Wrong by the first, right by the second, whatever the hardness says."""
    asked = Case(request=requests([0.0])[0], hardness=0.0, luck=0.0, right=(False, True))
    first, second = truth("a", **EXACT), truth("b", **EXACT)
    for favoured, correct in ((first, False), (second, True)):
        place = world(*(t if t is favoured else truth(t.variant.name, 0.1, **EXACT) for t in (first, second)))
        (row,) = play(place, [asked], NO_PLAN).requests
        assert (row.variant, row.correct) == (favoured.variant.name, correct)


def test_slowdown_network_and_size_take_their_time():
    """0.1 s, 0.4 s for 2 KiB, 0.05 s for the other one on the replica, 0.3 s of network for callers from afar."""
    slow = truth(
        **EXACT, execution_per_kib_s=0.2, slowdown_s=0.05, network_s={"afar": 0.3}, annotations={"min_scale": "1"}
    )
    asked = [
        Request(id=f"q{i}", task="t", size_bytes=2048, arrival_at=10.0, deadline_at=20.0, region=region)
        for i, region in enumerate(("", "afar"))
    ]
    rows = {row.request_id: row for row in play(world(slow), asked, NO_PLAN).requests}
    assert rows["q0"].latency_s == pytest.approx(0.5)
    assert rows["q1"].latency_s == pytest.approx(0.5 + 0.05 + 0.3)


def test_a_failed_request_is_tried_once_more_elsewhere():
    """The better variant always fails: the other answers; where both do, the row says failed. Nothing is lost."""
    broken, good = truth("a", 0.9, **EXACT, failure_rate=1.0), truth("b", 0.8, **EXACT)
    run = play(world(broken, good), requests([0.0]), NO_PLAN)
    assert [(row.variant, row.status) for row in run.requests] == [("b", "ok")]
    both = world(broken, truth("b", 0.8, **EXACT, failure_rate=1.0))
    assert [row.status for row in play(both, requests([0.0]), NO_PLAN).requests] == ["failed"]


def test_changes_come_at_their_time():
    """One slows down, another one appears, the first disappears with a request inside, which it ends."""
    a, b = truth("a", 0.9, **EXACT), truth("b", 0.8, **EXACT)
    changes = (
        Change(at_s=50.0, name="a", truth=truth("a", 0.9, execution=1.0, **EXACT)),
        Change(at_s=90.0, name="b", truth=b),
        Change(at_s=100.5, name="a", truth=None),
    )
    run = play(world(a, changes=changes), requests([0.0, 60.0, 100.0, 110.0]), NO_PLAN)
    rows = {row.request_id: row for row in run.requests}
    assert [rows[f"q{i}"].variant for i in range(4)] == ["a", "a", "a", "b"]
    assert rows["q1"].latency_s == pytest.approx(1.0)
    assert {row.status for row in run.requests} == {"ok"}


def test_feedback_of_a_share_arrives_late_and_teaches():
    """Accuracies declared the wrong way round: with labels the better variant is chosen in the end, without not."""
    good, bad = truth("good", 0.95, **EXACT), truth("bad", 0.3, **EXACT)
    lie = {"good": 0.3, "bad": 0.95}

    def declared(one):
        profile = one.variant.profile.__class__(
            accuracy=lie[one.variant.name], memory_mb=1.0, latency_s=Spread(p50=0.1, p95=0.2),
            cold_start_s=Spread(p50=2.0, p95=3.0),
        )  # fmt: skip
        variant = one.variant.__class__(
            **{name: getattr(one.variant, name) for name in one.variant.__slots__} | {"profile": profile}
        )
        return one.__class__(**{name: getattr(one, name) for name in one.__slots__} | {"variant": variant})

    asked = requests([float(i) for i in range(400)])
    for share, last in ((0.0, "bad"), (0.5, "good")):
        place = world(declared(good), declared(bad), feedback_share=share, feedback_delay_s=5.0)
        assert play(place, asked, NO_PLAN).requests[-1].variant == last


def test_a_late_catalogue_is_believed_while_it_lasts():
    """Shown 5 s late, a replica ready since 2 s is said to be starting until 7 s; yet nobody waits for it."""
    place = world(truth(**EXACT), observed_after_s=5.0)
    rows = {row.request_id: row for row in play(place, requests([0.0, 2.05, 4.0]), NO_PLAN).requests}
    assert rows["q1"].latency_s == pytest.approx(0.1)
    assert not rows["q1"].cold


def test_same_seeds_same_rows():
    """Two runs with the same seeds agree in every field; another seed gives another run."""
    assert demo("random", seed=3) == demo("random", seed=3)
    assert demo("random", seed=3) != demo("random", seed=4)


def test_every_policy_meets_the_same_requests_and_the_same_starts():
    """Correctness belongs to the request and is nested; the n-th start of a variant takes as long under each policy."""
    runs = [demo(name) for name in ("most-accurate", "random")]
    one, other = ({row.request_id: row.correct for row in run.requests} for run in runs)
    assert set(one) == set(other)
    assert all(one[key] for key, correct in other.items() if correct)
    starts = [{r.variant: r.ready_s - r.requested_s for r in reversed(run.replicas)} for run in runs]
    assert starts[0]["lingua"] == pytest.approx(starts[1]["lingua"])


def test_every_case_has_one_row_whatever_happens():
    """Failures, changes, several selectors, a late catalogue: as many rows as cases, each of another request."""
    rng = random.Random(5)
    arrivals = poisson(rng, 3.0, 200)
    place = world(
        truth("a", 0.9, failure_rate=0.2), truth("b", 0.7, failure_rate=0.1, scale="3"),
        changes=(Change(at_s=80.0, name="a", truth=None), Change(at_s=120.0, name="a", truth=truth("a", 0.9))),
        selectors=3, observed_after_s=0.5, feedback_share=0.1, feedback_delay_s=3.0,
    )  # fmt: skip
    run = play(place, requests(arrivals), "effective")
    assert sorted(row.request_id for row in run.requests) == sorted(f"q{i}" for i in range(len(arrivals)))
    assert {row.status for row in run.requests} >= {"ok", "failed"}


def score(run: Run) -> int:
    return sum(bool(row.correct) and row.on_time for row in run.requests)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("wrong", [0.5, 1.0, 2.0])
def test_effective_wins_the_demo(seed, wrong):
    """The most answers that are right and in time, 97 % in time from one second on, profiles right or wrong by half."""
    runs = {name: demo(name, seed, wrong) for name in ("effective", "fastest", "most-accurate", "round-robin")}
    scores = {name: score(run) for name, run in runs.items()}
    assert max(scores, key=scores.__getitem__) == "effective"
    assert scores["effective"] > 20 + max(value for name, value in scores.items() if name != "effective")
    patient = [row.on_time for row in runs["effective"].requests if row.deadline_s > 0.9]
    assert mean(patient) >= 0.97


def test_while_lingua_starts_others_answer():
    """In effective's run lingua is started in the background, others answer meanwhile, and then it takes over."""
    run = demo("effective")
    lingua = next(replica for replica in run.replicas if replica.variant == "lingua")
    assert lingua.cause in {"background", "keep"}
    meanwhile = [row for row in run.requests if lingua.requested_s < row.arrival_s < lingua.ready_s]
    assert sum(row.variant != "lingua" for row in meanwhile) > 50
    after = [row.variant for row in run.requests if row.arrival_s > lingua.ready_s]
    assert after.count("lingua") / len(after) > 0.95


def test_settings_reach_the_selector():
    """A selector built by the caller is the one that is driven: without a price nothing speaks against a start."""
    free = SelectorSettings(platform_start_s=LAPTOP.platform_start_s, price_per_gb_s=0.0)
    run = simulate(world(truth(**EXACT)), [], lambda: selector(settings=free), seed=1, until_s=5.0)
    assert (run.requests, run.end_s) == ([], 5.0)
