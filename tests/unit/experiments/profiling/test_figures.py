"""From rows to figures and to a profile, with numbers small enough to check."""

import pytest

from warmfront.domain import Profile, Spread
from warmfront.experiments.profiling.figures import figures, platform_share, profile
from warmfront.experiments.profiling.labelled import Labelled, Sample
from warmfront.experiments.profiling.measurements import AnswerRow, MemoryRow, StartRow
from warmfront.experiments.profiling.statistics import Share, Times

SAMPLES = tuple(Sample(body=b"x" * (8 if i < 40 else 64), label="a", group="s" if i < 40 else "l") for i in range(80))
DATA = Labelled(
    samples=SAMPLES, long=(Sample(body=b"x" * 1060, label=None),), content_type="text/plain", digest="d", source="f"
)


def answer(index: int, in_flight: int = 1, *, right: bool | None = True, took: float = 0.01, **more) -> AnswerRow:
    size = len((*SAMPLES, *DATA.long)[index].body)
    row = {
        "variant": "v", "revision": "v-1", "data": "d", "index": index, "in_flight": in_flight, "size_bytes": size,
        "label": "a", "right": right, "round_trip_s": took + 0.002, "execution_s": took,
    }  # fmt: skip
    return AnswerRow(**{**row, **more})


def start(total: float, platform: float | None = 1.0, load: float | None = 0.5, *, counted: bool = True) -> StartRow:
    rest = None if platform is None or load is None else total - platform - load
    return StartRow(
        variant="v", revision="v-1", counted=counted, total_s=total, platform_s=platform, load_s=load, answer_s=rest
    )


def measured(rows, declared: Profile | None = None):
    return figures("v", "v-1", declared or Profile(), rows, DATA)


def test_starts_in_their_parts():
    """Five counted ones of 2 to 6 s; the first, of 60 s, filled the file cache."""
    one = measured([start(60.0, counted=False), *(start(float(s), load=s / 10) for s in (2, 3, 4, 5, 6))])
    assert one.total == Times(5, 4.0, 6.0)
    assert one.platform == Times(5, 1.0, 1.0)
    assert one.load == Times(5, 0.4, 0.6)
    assert one.answer == Times(5, pytest.approx(2.6), pytest.approx(4.4))
    assert one.from_zero_s == 4.0
    assert (one.warm, one.accuracy, one.memory_mb) == (None, None, None)


def test_accuracy_by_size_and_group():
    """Thirty of the forty short inputs are right and all of the long ones; what belongs to other data is not seen."""
    rows = [answer(i, right=not 0 <= i < 10) for i in range(80)]
    rows += [answer(0, right=False, data="other")] * 50
    one = measured(rows)
    assert one.accuracy == Share(70, 80)
    assert [(c.above, c.up_to, c.size, c.accuracy) for c in one.by_size] == [
        (0, 8, 8, Share(30, 40)), (8, 64, 64, Share(40, 40)),
    ]  # fmt: skip
    assert one.by_group == {"l": Share(40, 40), "s": Share(30, 40)}


def test_a_refused_input_is_wrong_and_its_time_says_nothing():
    """Two answers of 10 ms and a refusal within a microsecond."""
    rows = [answer(0), answer(1), answer(2, right=False, took=1e-6, execution_s=None, label=None, refused=True)]
    one = measured(rows)
    assert one.accuracy == Share(2, 3)
    assert one.warm == Times(2, 0.01, 0.01)
    assert one.told


def test_latency_without_what_the_size_adds():
    """Inputs of 8 and 64 bytes take 10 ms, one of 1060 takes 30 ms: their median is 36 bytes, so 20 ms a KiB."""
    rows = [*(answer(i) for i in range(80)), answer(80, right=None, took=0.030)]
    one = measured(rows)
    assert one.per_kib_s == pytest.approx(0.020)
    assert one.warm == Times(80, 0.01, 0.01)
    assert one.base.p50 == pytest.approx(0.01 - 0.020 * 36 / 1024)


def test_concurrency_over_the_same_inputs():
    """Alone 10 ms, among four 16 ms: each other one adds 2 ms; four round trips of 18 ms at once are 222 a second."""
    rows = [*(answer(i) for i in range(80)), *(answer(i, 4, took=0.016) for i in (0, 40))]
    one = measured(rows)
    assert [(load.in_flight, load.round_trip.n, round(load.per_second)) for load in one.by_load] == [
        (1, 2, 83), (4, 2, 222),
    ]  # fmt: skip
    assert one.slowdown_s == pytest.approx(0.002)


def test_the_profile_of_what_was_measured():
    """Two digits; cold start p95 is twice the median, since the slowest, 0.55 s, is less; memory whole megabytes."""
    rows = [
        start(2.0, load=0.5), start(2.0, load=0.5123), start(2.0, load=0.55), *(answer(i) for i in range(80)),
        MemoryRow(variant="v", revision="v-1", memory_mb=99.6, source="process"),
    ]  # fmt: skip
    assert profile(measured(rows), 1.0) == Profile(
        accuracy=1.0, accuracy_by_bytes=((8, 1.0), (64, 1.0)), latency_s=Spread(p50=0.01, p95=0.01),
        cold_start_s=Spread(p50=0.51, p95=1.0), memory_mb=100,
    )  # fmt: skip


def test_a_variant_that_does_not_tell_its_parts():
    """Whole starts of 3 s, 12 ms of a warm answer, 1 s of the platform as others told it: 1.988 s, so 2.0."""
    rows = [start(3.0, None, None), *(answer(i, execution_s=None) for i in range(80))]
    one = measured(rows)
    assert not one.told
    assert one.platform is None
    assert profile(one, 1.0).cold_start_s == Spread(p50=2.0, p95=4.0)
    other = measured([start(2.0), start(2.5, platform=1.5)])
    assert platform_share([one, other]) == Times(2, 1.25, 1.5)
    assert platform_share([one]) is None


def test_what_was_not_measured_stays_as_it_was_declared():
    """Nobody told the memory, and nothing was answered."""
    declared = Profile(accuracy=0.7, latency_s=Spread(p50=1.0, p95=2.0), latency_per_kib_s=0.1, memory_mb=512)
    assert profile(measured([start(2.0)], declared), 0.0) == Profile(
        accuracy=0.7, latency_s=Spread(p50=1.0, p95=2.0), latency_per_kib_s=0.1, memory_mb=512,
        cold_start_s=Spread(p50=0.5, p95=1.0),
    )  # fmt: skip
