"""What is written on a Revision to keep it and to let it go, and what is due when. Pure."""

import pytest

from warmfront.kube.kept import (
    BEFORE,
    BY,
    MAX_SCALE,  # noqa: F401 - by name in `revision`
    MIN_SCALE,
    PERSON,
    UNTIL,
    Chore,
    Kept,
    due,
    keeping,
    kept_by,
    releasing,
    rfc3339,
)

NOW = 1_900_000_000.0


def revision(**annotations):
    """A Revision of Service `v` with these annotations, by the names of the module under test."""
    labels = {"serving.knative.dev/service": "v"}
    named = {globals()[name]: value for name, value in annotations.items()}
    return {"metadata": {"name": "v-00001", "labels": labels, "annotations": named}}


def keep(obj, **given):
    """The changes that a person's wish for one replica and a minute makes, or another's."""
    return keeping(obj, **{"until": NOW + 60, "by": PERSON, "replicas": 1, "wall": NOW} | given)


def after(obj, changes):
    """The Revision with the changes made."""
    annotations = {**obj["metadata"]["annotations"], **changes}
    kept = {name: value for name, value in annotations.items() if value is not None}
    return {"metadata": {**obj["metadata"], "annotations": kept}}


def kept(**fields):
    """A person's keep of `v-00001` that has a minute left, or another."""
    given = {"variant": "v", "revision": "v-00001", "until": NOW + 60, "by": PERSON, "replicas": 1}
    return Kept(**given | fields)


def test_keeping_writes_scale_end_and_author_and_reads_back():
    """The end in UTC, rounded up: never shorter than asked."""
    changes = keep(revision(), until=NOW + 59.2)
    assert changes == {MIN_SCALE: "1", UNTIL: "2030-03-17T17:47:40Z", BY: PERSON}
    assert kept_by(after(revision(), changes)) == kept()


def test_keeping_again_with_the_same_end_changes_nothing():
    """So selectors that do it twice do it once."""
    once = after(revision(), keep(revision()))
    assert keep(once) == {}
    assert keep(once, until=NOW + 90) == {UNTIL: rfc3339(NOW + 90)}


@pytest.mark.parametrize("before", [None, "2"])
def test_release_restores_what_was_before_however_often_it_was_kept(before):
    """Keep, keep for longer with more, release: the Revision is as at first. A second release does nothing."""
    first = revision(**({"MIN_SCALE": before} if before else {}), MAX_SCALE="9")
    once = after(first, keep(first))
    twice = after(once, keep(once, until=NOW + 900, replicas=3))
    assert twice["metadata"]["annotations"][MIN_SCALE] == "3"
    assert after(twice, releasing(twice)) == first
    assert releasing(first) == {}


@pytest.mark.parametrize(
    ("before", "most", "asked", "scale"), [("2", "5", 1, "2"), ("0", "2", 4, "2"), (None, "0", 4, "4")]
)
def test_the_scale_stays_between_what_it_had_and_its_bound(before, most, asked, scale):
    """Never below the own min-scale, never above max-scale; 0 is no bound."""
    obj = revision(MAX_SCALE=most, **({"MIN_SCALE": before} if before else {}))
    assert after(obj, keep(obj, replicas=asked))["metadata"]["annotations"][MIN_SCALE] == scale


def test_a_selector_leaves_a_persons_keep_alone_until_it_is_over():
    """And a person overrules a selector's, also for a shorter time."""
    persons = after(revision(), keep(revision()))
    assert keep(persons, by="selector/a", until=NOW + 900) == {}
    assert keep(persons, by="selector/a", until=NOW + 900, wall=NOW + 61)[BY] == "selector/a"
    selectors = after(revision(), keep(revision(), by="selector/a"))
    assert keep(selectors, until=NOW + 10) == {UNTIL: rfc3339(NOW + 10), BY: PERSON}


def test_of_two_selectors_the_longer_keep_wins():
    """So they do not write in turns."""
    one = after(revision(), keep(revision(), by="selector/a"))
    assert keep(one, by="selector/b") == {}
    longer = after(one, keep(one, by="selector/b", until=NOW + 61))
    assert kept_by(longer).by == "selector/b"
    assert keep(longer, by="selector/a") == {}


def test_what_is_over_ends_and_what_was_replaced_moves():
    """In time and serving: nothing. A variant that is not known any more keeps until its time is over."""
    assert due([kept()], {"v": "v-00001"}, NOW) == []
    assert due([kept()], {"v": "v-00001"}, NOW + 60) == [Chore(kept())]
    assert due([kept()], {"v": "v-00002"}, NOW) == [Chore(kept(), "v-00002")]
    assert due([kept()], {"v": "v-00002"}, NOW + 60) == [Chore(kept())]
    assert due([kept()], {"v": ""}, NOW) == []
    assert due([kept()], {}, NOW) == []


def test_an_end_that_cannot_be_read_is_over():
    """A Revision that somebody wrote to by hand is not kept for ever."""
    by_hand = revision(UNTIL="tomorrow", MIN_SCALE="x")
    assert kept_by(by_hand) == kept(until=0.0, by="", replicas=0)
    assert kept_by(revision(MIN_SCALE="1")) is None
    assert releasing(by_hand) == {MIN_SCALE: None, UNTIL: None, BY: None, BEFORE: None}
