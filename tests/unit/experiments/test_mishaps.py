"""What goes wrong in a simulated world: requests meet it as they do live (gateway/forwarding.py, runtime/breaker.py).

All executions take exactly 0.1 s and all starts 2 s, unless said otherwise.
"""

from collections import Counter

import pytest
from tests.unit.experiments.worlds import cases, play, requests, selector, truth, world

from warmfront.domain import Feedback, Observation, OnMiss, Request, Start
from warmfront.experiments.simulation.simulator import Simulator, simulate
from warmfront.experiments.simulation.world import Change
from warmfront.selection.selector import SelectorSettings

EXACT = {"spread": 1.0}
ALWAYS = {"annotations": {"min_scale": "1"}}
BEST = "most-accurate"


class Spy:
    """A selector that notes what it is shown, and whose plan is one start."""

    def __init__(self, start_at=float("inf")) -> None:
        self.inner, self.start_at, self.shown = selector(BEST), start_at, []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def update(self, observation, now):
        if isinstance(observation, Observation):
            self.shown.append((round(now, 6), observation.variant.name, observation.ready, observation.gone))
        self.inner.update(observation, now)

    def plan(self, now):
        if now < self.start_at:
            return []
        self.start_at = float("inf")
        return [Start(variant="v", reason="test")]

    def next_plan_at(self):
        return self.start_at


def test_a_variant_may_disappear_while_it_is_being_woken():
    """Woken at 1 s it would be ready at 3 s, and is deleted at 2 s: its replica has cost one second, nobody waits."""
    place = world(truth(**EXACT), changes=(Change(at_s=2.0, name="v", truth=None),))
    run = simulate(place, [], lambda: Spy(start_at=1.0), seed=1, until_s=10.0)
    assert [(r.requested_s, r.stopped_s, r.cause) for r in run.replicas] == [(1.0, 2.0, "background")]
    assert run.requests == []


def test_a_wake_takes_no_execution_time():
    """The readiness path answers at once: a request that comes as the woken replica gets ready has it for itself."""
    slow = truth(**EXACT, concurrency=1, execution=5.0)
    rows = simulate(world(slow), cases(requests([3.0])), lambda: Spy(start_at=1.0), seed=1).requests
    assert rows[0].latency_s == pytest.approx(5.0)


def test_what_is_executed_ends_when_its_variant_is_deleted_and_what_is_held_goes_elsewhere():
    """Deleted at 10.5 s with one request in execution until 11 s and one held: the replica drains, the other waits for
    the substitute's start of 2 s.
    """
    place = world(
        truth("a", 0.9, **EXACT, **ALWAYS, concurrency=1, execution=1.0), truth("b", 0.8, **EXACT),
        changes=(Change(at_s=10.5, name="a", truth=None),),
    )  # fmt: skip
    run = play(place, requests([10.0, 10.1]), BEST)
    assert [(r.request_id, r.variant, r.status) for r in run.requests] == [("q0", "a", "ok"), ("q1", "b", "ok")]
    assert [r.latency_s for r in run.requests] == pytest.approx([1.0, 10.5 - 10.1 + 2.1])
    assert next(r.stopped_s for r in run.replicas if r.variant == "a") == pytest.approx(11.0)


def test_a_late_catalogue_shows_everything_as_late_and_in_order():
    """Everything is shown half a second late, once the run has begun: ready at 2 s, deleted at 2.2 s, back at 3 s."""
    changes = (Change(at_s=2.2, name="v", truth=None), Change(at_s=3.0, name="v", truth=truth(**EXACT, **ALWAYS)))
    place = world(truth(**EXACT, **ALWAYS), changes=changes, observed_after_s=0.5)
    spy = Spy()
    simulate(place, [], lambda: spy, seed=1, until_s=8.0)
    assert list(dict.fromkeys(spy.shown))[-4:] == [
        (2.5, "v", 1, False), (2.7, "v", 0, True), (3.5, "v", 0, False), (5.5, "v", 1, False),
    ]  # fmt: skip
    assert spy.shown[0] == (0.0, "v", 0, False)


def test_who_is_sent_to_a_variant_that_is_gone_is_sent_elsewhere():
    """The catalogue does not know yet that the better one was deleted: one failure, then the other one answers."""
    place = world(
        truth("a", 0.9, **EXACT, **ALWAYS), truth("b", 0.8, **EXACT, **ALWAYS),
        changes=(Change(at_s=10.0, name="a", truth=None),), observed_after_s=5.0,
    )  # fmt: skip
    rows = play(place, requests([12.0]), BEST).requests
    assert [(row.variant, row.status) for row in rows] == [("b", "ok")]


def test_a_failure_after_the_deadline_is_not_tried_again():
    """The variant fails after 0.1 s; of 0.05 s nothing is left for another one, of 1 s there is."""
    place = world(truth("a", 0.9, **EXACT, **ALWAYS, failure_rate=1.0), truth("b", 0.8, **EXACT, **ALWAYS))
    rows = play(place, requests([10.0, 20.0], budget=[0.05, 1.0]), BEST).requests
    assert [(row.variant, row.status) for row in rows] == [("a", "failed"), ("b", "ok")]
    assert [row.latency_s for row in rows] == pytest.approx([0.1, 0.2])


def test_a_failure_that_nobody_else_can_make_good_is_a_failure():
    """There is no other variant: the row says who failed, and that it is no refusal."""
    place = world(truth(**EXACT, **ALWAYS, failure_rate=1.0))
    (row,) = play(place, requests([10.0]), BEST).requests
    assert (row.variant, row.status, row.on_time, row.correct) == ("v", "failed", False, None)


def test_without_any_variant_a_request_fails_and_an_unmet_objective_is_rejected():
    """As the gateway counts them: nobody to ask is a failure, an objective out of reach a refusal."""
    empty = play(world(), requests([1.0]), BEST).requests
    assert [(row.variant, row.status, row.reason) for row in empty] == [(None, "failed", "unknown-task")]
    asked = Request(id="q", task="t", size_bytes=9, arrival_at=9.0, deadline_at=9.01, on_miss=OnMiss.REJECT)
    (row,) = play(world(truth(**EXACT, **ALWAYS)), [asked], BEST).requests
    assert (row.variant, row.status, row.reason) == (None, "rejected", "unmet")


def test_a_full_queue_turns_requests_away():
    """One ready replica of one place holds ten (queue-proxy): of fifteen at once four go to the other variant."""
    place = world(truth("a", 0.9, **EXACT, **ALWAYS, concurrency=1), truth("b", 0.8, **EXACT, **ALWAYS, concurrency=0))
    run = play(place, requests([10.0] * 15, budget=60.0), BEST)
    assert Counter(row.variant for row in run.requests) == {"a": 11, "b": 4}
    assert {row.status for row in run.requests} == {"ok"}


def test_asleep_a_variant_holds_them_all():
    """Nothing is ready, so the activator holds them: ten thousand would be its limit."""
    run = play(world(truth(**EXACT, concurrency=1)), requests([10.0] * 15, budget=60.0), BEST)
    assert [row.status for row in run.requests] == ["ok"] * 15


def test_failures_are_the_same_under_every_policy():
    """Whether a request fails is drawn with the request, not with the order in which requests end."""
    unsafe = [truth(name, accuracy, **ALWAYS, failure_rate=0.3) for name, accuracy in (("a", 0.9), ("b", 0.8))]
    asked = requests([10.0 + i for i in range(200)])
    failed = {}
    for policy in (BEST, "fastest", "round-robin"):
        rows = play(world(*unsafe), asked, policy).requests
        failed[policy] = {row.request_id for row in rows if row.status == "failed"}
    assert failed[BEST] == failed["fastest"] == failed["round-robin"]
    assert 8 <= len(failed[BEST]) <= 30  # 18 expected, 0.3 squared of 200; a standard deviation is 4


def test_a_truth_that_comes_too_late_is_lost():
    """The truth of each of two answers comes after 30 s. A selector that remembers one answer learns one of them."""
    for remembered in (1, 2):
        settings = SelectorSettings(max_answered=remembered)
        taught = Taught(settings)
        place = world(truth(**EXACT, **ALWAYS), feedback_share=1.0, feedback_delay_s=30.0)
        simulate(place, cases(requests([10.0, 11.0])), lambda spy=taught: spy, seed=1, until_s=60.0)
        assert taught.verdicts == remembered


class Taught(Spy):
    """Counts the truths that it was told and could place."""

    def __init__(self, settings) -> None:
        super().__init__()
        self.inner, self.verdicts = selector(BEST, settings=settings), 0

    def observe(self, outcome, now):
        self.inner.observe(outcome, now)
        self.verdicts += isinstance(outcome, Feedback)


def test_a_plan_for_a_variant_that_is_gone_comes_to_nothing():
    """Deleted at 1 s, unknown to the catalogue until 6 s, woken at 3 s: nothing starts."""
    place = world(truth(**EXACT), changes=(Change(at_s=1.0, name="v", truth=None),), observed_after_s=5.0)
    assert simulate(place, [], lambda: Spy(start_at=3.0), seed=1, until_s=10.0).replicas == []


def test_a_variant_that_never_was_may_be_said_to_go():
    """A change names what is not there: nothing happens."""
    place = world(truth(**EXACT), changes=(Change(at_s=1.0, name="other", truth=None),))
    assert [row.status for row in play(place, requests([2.0]), BEST).requests] == ["ok"]


def test_a_second_try_is_decided_by_the_same_selector():
    """Of two selectors that never tell each other only the one that sent the request knows that it failed."""
    place = world(
        truth("a", 0.9, **EXACT, **ALWAYS, failure_rate=1.0), truth("b", 0.8, **EXACT, **ALWAYS),
        selectors=2, exchange_s=None,
    )  # fmt: skip
    spies = [Asked(), Asked()]
    makers = iter(spies)
    simulate(place, cases(requests([10.0 + i for i in range(20)])), lambda: next(makers), seed=3)
    first, second = (set(spy.asked) for spy in spies)
    assert first
    assert second
    assert not first & second


class Asked(Spy):
    """Notes which requests it decided."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = []

    def decide(self, request, now):
        self.asked.append(request.id)
        return self.inner.decide(request, now)


def test_a_run_can_be_driven_by_a_selector_made_before():
    """The class underneath takes the selector itself."""
    place = world(truth(**EXACT, **ALWAYS))
    run = Simulator(place, cases(requests([10.0])), selector(BEST), seed=1, run_id="mine").run()
    assert [row.run_id for row in run.requests] == ["mine"]
