"""The rule by which one of several selectors is chosen, on clocks of the test's own making."""

from typing import Any

from warmfront.kube.lease import DURATION_S, Election


class Table:
    """A Lease that candidates read and write in turn, with the API server's optimistic lock left out."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] = {"metadata": {}}

    def turn(self, candidate: Election, now: float) -> bool:
        """One try of a candidate; whether it holds the Lease then."""
        candidate.see(self.lease, now)
        if candidate.may_claim(now):
            spec = {**(self.lease.get("spec") or {}), **candidate.claim(self.lease, f"t{now}")}
            self.lease = {"metadata": {}, "spec": spec}
            candidate.claimed(self.lease, now)
        return candidate.holds(now)


def test_an_empty_lease_is_taken_by_the_first_and_kept_by_renewal():
    """The second waits as long as the first renews; the transitions are counted, the renewals are not."""
    table, first, second = Table(), Election("first"), Election("second")
    for now in range(0, 60, 5):
        assert table.turn(first, now)
        assert not table.turn(second, now + 1)
    assert second.holder == "first"
    assert table.lease["spec"]["leaseTransitions"] == 1
    assert table.lease["spec"]["acquireTime"] == "t0"
    assert table.lease["spec"]["renewTime"] == "t55"


def test_a_dead_holder_is_replaced_when_its_lease_is_over_and_not_before():
    """Measured from when the onlooker saw it change last, whatever time is written in it."""
    table, first, second = Table(), Election("first"), Election("second")
    assert table.turn(first, 0)
    assert not table.turn(second, 1000)  # another machine's clock: only differences of its own count
    assert not table.turn(second, 1000 + DURATION_S - 0.1)
    assert table.turn(second, 1000 + DURATION_S)
    assert table.lease["spec"]["leaseTransitions"] == 2


def test_a_holder_that_cannot_renew_stops_before_anybody_else_begins():
    """There is no instant at which both act."""
    table, first, second = Table(), Election("first"), Election("second")
    table.turn(first, 0)
    table.turn(second, 0)
    instants = [step / 10 for step in range(300)]
    taken = next(now for now in instants if table.turn(second, now))
    assert taken == DURATION_S
    assert [now for now in instants if first.holds(now) and now >= taken] == []
    assert not first.holds(10.0)


def test_an_old_holder_that_comes_back_sees_that_it_is_no_more():
    """What it believed is dropped by the first look."""
    table, first, second = Table(), Election("first"), Election("second")
    table.turn(first, 0)
    table.turn(second, 1)
    assert table.turn(second, 17)
    assert not table.turn(first, 17)
    assert first.holder == "second"


def test_a_lease_given_back_is_taken_at_once():
    """No holder in it: nobody waits for it to die."""
    table, first, second = Table(), Election("first"), Election("second")
    table.turn(first, 0)
    table.turn(second, 1)
    first.resigned()
    table.lease["spec"].pop("holderIdentity")
    assert not first.holds(2)
    assert table.turn(second, 2)


def test_the_duration_is_the_one_that_the_holder_wrote():
    """Another program may have asked for longer."""
    election = Election("me")
    election.see({"spec": {"holderIdentity": "other", "leaseDurationSeconds": 60, "renewTime": "t"}}, 0)
    assert not election.may_claim(59)
    assert election.may_claim(60)
