"""One execution per identity, and a memory that stays within its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from warmfront.gateway.duplicates import Duplicates

KEY = ("/s", "1")


def memory(answers: int = 10, bytes_: int = 100_000, age_s: float = 60.0) -> Duplicates[str, str]:
    return Duplicates(max_answers=answers, max_bytes=bytes_, max_age_s=age_s)


def test_deliveries_join_the_one_in_flight_and_then_get_its_answer():
    """The story of one event delivered three times."""
    known = memory()
    assert known.kept(KEY, 0.0) is None
    assert not known.join(KEY, "second")
    flight = known.begin(KEY, "first", 5.0)
    assert flight.first_at == 5.0
    assert known.join(KEY, "second")
    assert list(known.in_flight()) == [KEY]
    assert known.end(KEY, "answer", 6, 8.0) == ["first", "second"]
    assert known.kept(KEY, 9.0) == "answer"
    assert not known.join(KEY, "third")


def test_a_failed_event_runs_again_and_counts_from_its_first_delivery():
    """After a failure nothing is kept but the instant of the first delivery."""
    known = memory()
    known.begin(KEY, "first", 1.0)
    assert known.end(KEY, None, 0, 2.0) == ["first"]
    assert known.kept(KEY, 3.0) is None
    assert known.begin(KEY, "again", 4.0).first_at == 1.0
    known.end(KEY, "answer", 6, 5.0)
    assert known.kept(KEY, 6.0) == "answer"
    assert len(known) == 1


def test_what_is_old_is_forgotten():
    """Age counts from the answer, in seconds."""
    known = memory(age_s=60.0)
    known.begin(KEY, "w", 0.0)
    known.end(KEY, "answer", 6, 100.0)
    assert known.kept(KEY, 160.0) == "answer"
    assert known.kept(KEY, 160.1) is None
    assert (len(known), known.bytes) == (0, 0)
    assert known.begin(KEY, "w", 161.0).first_at == 161.0


def test_an_answer_above_the_whole_memory_is_not_kept():
    """It would push out everything else and go itself next."""
    known = memory(bytes_=2000)
    known.begin(("/s", "2"), "w", 0.0)
    known.end(("/s", "2"), "small", 5, 0.0)
    known.begin(KEY, "w", 0.0)
    assert known.end(KEY, "huge", 5000, 0.0) == ["w"]
    assert known.kept(KEY, 0.0) is None
    assert known.kept(("/s", "2"), 0.0) == "small"


@given(
    st.lists(st.tuples(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 900)), st.floats(0, 10)), max_size=60)
)
def test_memory_stays_within_its_bounds(events):
    """Law: after any sequence of events count, bytes and age hold, and bytes is the sum of what is kept."""
    known = memory(answers=5, bytes_=4000, age_s=20.0)
    now = 0.0
    for number, size, pause in events:
        now += pause
        key = ("/s", str(number))
        known.begin(key, "w", now)
        known.end(key, None if size is None else f"answer {number}", size or 0, now)
        assert len(known) <= 5
        assert known.bytes <= 4000
    assert len(known) == 0 or known.bytes >= 512 * len(known)
    known.kept(("/s", "none"), now + 21)
    assert (len(known), known.bytes) == (0, 0)
