"""The virtual-clock driver: the selector's five calls are all it takes, and the world behind them is as stated."""

import random

import pytest

from warmfront.domain import OnMiss, Profile, Request, Spread, Variant
from warmfront.experiments.driver import Driver, Run, Truth
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector, SelectorSettings

LAPTOP = SelectorSettings(platform_start_s=Spread(p50=0.05, p95=0.1))
LANGID = {  # accuracy, execution, start in all, memory: the demo's four variants
    "cld2": (0.76, 0.0005, 0.23, 61.0),
    "fasttext": (0.83, 0.0008, 0.48, 79.0),
    "py3langid": (0.85, 0.004, 1.4, 150.0),
    "lingua": (0.91, 0.03, 11.0, 1090.0),
}


def truth(
    name="v", accuracy=0.8, execution=0.1, start=2.0, memory=100.0, spread=1.5, concurrency=4, wrong=1.0
) -> Truth:
    """A variant whose profile declares `wrong` times its real durations."""
    profile = Profile(
        accuracy=accuracy, memory_mb=memory, latency_s=Spread(p50=execution * wrong, p95=2 * execution * wrong),
        cold_start_s=Spread(p50=start * wrong, p95=1.5 * start * wrong),
    )  # fmt: skip
    variant = Variant(name=name, task="t", revision="r1", url="", profile=profile, concurrency=concurrency)
    return Truth(
        variant=variant, accuracy=accuracy, execution_s=Spread(p50=execution, p95=spread * execution),
        cold_start_s=Spread(p50=start, p95=spread * start), network_s=0.0,
    )  # fmt: skip


def requests(arrivals, budget=10.0, **more) -> list[Request]:
    return [
        Request(id=f"q{i}", task="t", size_bytes=100, arrival_at=at, deadline_at=at + budget, **more)
        for i, at in enumerate(arrivals)
    ]


def play(truths, asked, policy="effective", seed=1, **options) -> Run:
    selector = Selector(policy=POLICIES[policy](rng=random.Random(seed)), settings=LAPTOP)
    return Driver(selector, truths, rng=random.Random(seed), seed=seed, **options).run(asked)


def demo(policy, seed=1, wrong=1.0) -> Run:
    """400 requests in about 30 s, deadlines of 0.2, 1, 3 and 15 s, all asleep at first."""
    rng, now, asked = random.Random(seed), 0.0, []
    for i in range(400):
        now += rng.expovariate(400 / 30)
        budget = rng.choice((0.2, 1.0, 3.0, 15.0))
        asked.append(Request(id=f"q{i}", task="t", size_bytes=100, arrival_at=now, deadline_at=now + budget))
    return play([truth(name, *facts, wrong=wrong) for name, facts in LANGID.items()], asked, policy, seed)


def test_the_time_line_of_one_replica():
    """Exact times, spread 1: start 2 s, two at a time for 0.1 s, the third queues; idle out a window after the last."""
    run = play([truth(spread=1.0, concurrency=2)], requests([0.0, 0.5, 1.0, 30.0]), window_s=60.0)
    assert [row.latency_s for row in run.requests] == pytest.approx([2.1, 1.6, 1.2, 0.1])
    assert [row.queued_s for row in run.requests] == pytest.approx([2.0, 1.5, 1.1, 0.0])
    assert [row.cold for row in run.requests] == [True, True, True, False]
    (replica,) = run.replicas
    assert (replica.requested_s, replica.ready_s, replica.stopped_s) == pytest.approx((0.0, 2.0, 90.1))
    assert (replica.cause, replica.memory_mb, replica.variant, replica.revision) == ("request", 100.0, "v", "r1")


def test_a_replica_that_idled_out_starts_again():
    """Two requests further apart than the window: two replicas, both waited for."""
    run = play([truth(spread=1.0)], requests([0.0, 100.0]), window_s=60.0)
    assert [row.cold for row in run.requests] == [True, True]
    assert len(run.replicas) == 2


def test_request_rows_say_what_was_promised_and_what_came():
    """Every field of a row, on time, late and rejected."""
    asked = [
        *requests([0.0], budget=5.0),
        Request(id="late", task="t", size_bytes=9, arrival_at=200.0, deadline_at=201.0, min_accuracy=0.5),
        Request(id="no", task="t", size_bytes=9, arrival_at=400.0, deadline_at=401.0, on_miss=OnMiss.REJECT),
        Request(id="ever", task="t", size_bytes=9, arrival_at=401.0),
    ]
    run = play([truth(spread=1.0, accuracy=1.0)], asked, run_id="r7")
    rows = {row.request_id: row for row in run.requests}
    first, late, rejected, ever = rows["q0"], rows["late"], rows["no"], rows["ever"]
    assert (first.run_id, first.policy, first.seed, first.task) == ("r7", "effective", 1, "t")
    assert (first.status, first.on_time, first.correct, first.reason) == ("ok", True, True, "chosen")
    assert (first.deadline_s, first.variant, first.revision) == (5.0, "v", "r1")
    assert first.predicted_s == pytest.approx(2.1, rel=0.1)
    assert 0.9 < first.probability <= 1
    assert (late.status, late.on_time, late.reason, late.min_accuracy) == ("late", False, "degraded", 0.5)
    assert (rejected.status, rejected.variant, rejected.correct, rejected.reason) == ("rejected", None, None, "unmet")
    assert (ever.deadline_s, ever.on_time) == (None, True)


def test_same_seeds_same_rows():
    """Two runs with the same seeds agree in every field; another seed gives another run."""
    assert demo("random", seed=3) == demo("random", seed=3)
    assert demo("random", seed=3) != demo("random", seed=4)


def test_every_policy_meets_the_same_requests():
    """Correctness is nested and belongs to the request: whoever the better variant failed, the worse one failed too."""
    one, other = ({row.request_id: row.correct for row in demo(name).requests} for name in ("most-accurate", "fastest"))
    assert set(one) == set(other)
    assert all(one[key] for key, correct in other.items() if correct)


def test_no_state_hides_around_the_selector():
    """A second driver, with a world and clock of its own, on the same selector: only what was learned differs."""
    selector = Selector(policy=POLICIES["effective"](rng=random.Random(1)), settings=LAPTOP)
    slow = truth(wrong=0.2, spread=1.05)
    first = Driver(selector, [slow], rng=random.Random(1)).run(requests([200.0 * i for i in range(6)]))
    again = Driver(selector, [slow], rng=random.Random(1)).run(
        [Request(id="again", task="t", size_bytes=100, arrival_at=5000.0, deadline_at=5010.0)]
    )
    assert first.requests[0].predicted_s < 1.0
    assert again.requests[0].predicted_s == pytest.approx(2.1, rel=0.15)


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
    assert sum(patient) / len(patient) >= 0.97


def test_while_lingua_starts_others_answer():
    """In effective's run lingua is started in the background, others answer meanwhile, and then it takes over."""
    run = demo("effective")
    lingua = next(replica for replica in run.replicas if replica.variant == "lingua")
    assert lingua.cause == "background"
    meanwhile = [row for row in run.requests if lingua.requested_s < row.arrival_s < lingua.ready_s]
    assert sum(row.variant != "lingua" for row in meanwhile) > 50
    after = [row.variant for row in run.requests if row.arrival_s > lingua.ready_s]
    assert after.count("lingua") / len(after) > 0.95
