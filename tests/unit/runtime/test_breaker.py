"""The breaker's rules: order, limits, choice among replicas, cancellation. Tickets and replicas are plain strings."""

from random import Random

import pytest

from warmfront.errors import Overloaded
from warmfront.runtime.breaker import ACTIVATOR_QUEUE, Breaker


def breaker(concurrency: int) -> Breaker[str, str]:
    return Breaker(concurrency=concurrency, rng=Random(7))


def test_requests_at_zero_wait_and_leave_in_the_order_they_came():
    """With no replica everything waits; a replica of concurrency 2 gets the two oldest, then the third."""
    b = breaker(2)
    assert [b.enter(t, proxied=True) for t in ("a", "b", "c")] == [None, None, None]
    assert (b.queued, b.in_flight) == (3, 0)
    b.add("r1")
    assert list(b.dispatch()) == [("a", "r1"), ("b", "r1")]
    assert (b.queued, b.in_flight) == (1, 2)
    b.leave("r1")
    assert list(b.dispatch()) == [("c", "r1")]


def test_a_newcomer_never_overtakes_who_waits():
    """Room that came free goes to the queue first, even when a request enters before the next dispatch."""
    b = breaker(1)
    b.add("r1")
    assert b.enter("a", proxied=True) == "r1"
    assert b.enter("b", proxied=True) is None
    b.leave("r1")
    assert b.enter("c", proxied=True) is None
    assert list(b.dispatch()) == [("b", "r1")]


def test_without_a_replica_the_activator_holds_ten_thousand():
    """The 10,001st waiting request is refused with 503."""
    b = breaker(1)
    for n in range(ACTIVATOR_QUEUE):
        b.enter(f"t{n}", proxied=True)
    with pytest.raises(Overloaded, match="pending request queue full") as caught:
        b.enter("one more", proxied=True)
    assert caught.value.status == 503


def test_without_the_activator_each_replica_holds_ten_times_its_concurrency():
    """Concurrency 2 on two replicas: 4 in flight, 40 waiting, the 45th refused; with the activator it would wait."""
    b = breaker(2)
    b.add("r1")
    b.add("r2")
    placed = [b.enter(f"t{n}", proxied=False) for n in range(44)]
    assert sum(replica is not None for replica in placed) == 4
    assert b.queued == 40
    with pytest.raises(Overloaded):
        b.enter("one more", proxied=False)
    assert b.enter("held", proxied=True) is None


def test_no_limit_means_no_queue_once_a_replica_is_ready():
    """containerConcurrency 0: every request goes out at once."""
    b = breaker(0)
    b.add("r1")
    assert {b.enter(f"t{n}", proxied=False) for n in range(500)} == {"r1"}
    assert b.in_flight == b.load("r1") == 500


def test_small_concurrency_fills_the_first_replica_first():
    """1 to 3: first available, so that the others may go idle."""
    b = breaker(2)
    for name in ("r1", "r2", "r3"):
        b.add(name)
    assert [b.enter(t, proxied=False) for t in "abcde"] == ["r1", "r1", "r2", "r2", "r3"]


def test_larger_concurrency_goes_round():
    """Above 3: round robin over replicas with room."""
    b = breaker(4)
    for name in ("r1", "r2", "r3"):
        b.add(name)
    assert [b.enter(t, proxied=False) for t in "abcd"] == ["r1", "r2", "r3", "r1"]


def test_no_limit_takes_the_less_busy_of_two():
    """With two replicas both are drawn every time, so their loads never differ by more than one."""
    b = breaker(0)
    b.add("r1")
    b.add("r2")
    for n in range(100):
        b.enter(f"t{n}", proxied=False)
        assert abs(b.load("r1") - b.load("r2")) <= 1


def test_a_cancelled_request_is_not_dispatched():
    """Cancelling works once and only while the request waits."""
    b = breaker(1)
    b.enter("a", proxied=True)
    b.enter("b", proxied=True)
    assert b.cancel("a") is True
    assert b.cancel("a") is False
    b.add("r1")
    assert list(b.dispatch()) == [("b", "r1")]
    assert b.cancel("b") is False


def test_what_is_put_back_goes_before_all_others():
    """A request whose replica refused the connection keeps its place in time."""
    b = breaker(1)
    b.add("r1")
    assert b.enter("a", proxied=True) == "r1"
    b.enter("b", proxied=True)
    b.put_back("a")
    b.remove("r1")
    b.leave("r1")
    b.add("r2")
    assert list(b.dispatch()) == [("a", "r2")]


def test_a_removed_replica_gets_nothing_new_and_is_counted_until_empty():
    """Draining: its load falls to zero by `leave`, then it is forgotten."""
    b = breaker(2)
    b.add("r1")
    b.enter("a", proxied=False)
    b.remove("r1")
    assert (b.ready, b.load("r1"), b.in_flight) == (0, 1, 1)
    assert b.enter("b", proxied=True) is None
    b.leave("r1")
    assert (b.load("r1"), b.in_flight) == (0, 0)
    assert list(b.dispatch()) == []
