"""Every figure from rows, against numbers worked out by hand."""

from statistics import fmean

import pytest

from warmfront.experiments import metrics
from warmfront.experiments.metrics import Attainment, Bin, Interval
from warmfront.telemetry.records import ReplicaRow, RequestRow


def request(number=0, *, on_time=True, correct=True, **more) -> RequestRow:
    fields = {
        "run_id": "r", "policy": "p", "seed": 1, "request_id": f"q{number}", "task": "t", "arrival_s": float(number),
        "deadline_s": 1.0, "min_accuracy": None, "variant": "v", "revision": "v-1", "reason": "chosen",
        "predicted_s": 0.1, "probability": 0.9, "cold": False, "queued_s": 0.0, "latency_s": 0.2, "on_time": on_time,
        "correct": correct, "status": "ok" if on_time else "late",
    }  # fmt: skip
    return RequestRow(**(fields | more))


def replica(requested=0.0, ready=2.0, stopped=10.0, *, cause="request", memory=500.0, variant="v") -> ReplicaRow:
    return ReplicaRow(
        run_id="r", variant=variant, revision="v-1", requested_s=requested, ready_s=ready, stopped_s=stopped,
        cause=cause, memory_mb=memory,
    )  # fmt: skip


def test_a_summary_worked_out_by_hand():
    """Four requests: right in time, wrong in time, right too late, rejected. Two replicas of 0.5 GB for 10 and 6 s."""
    rows = [
        request(0, cold=True, latency_s=2.0),
        request(1, correct=False, latency_s=0.4),
        request(2, on_time=False, latency_s=3.0, reason="degraded"),
        request(3, on_time=False, correct=None, status="rejected", reason="unmet", variant=None, probability=None),
    ]
    told = metrics.summarise(rows, [replica(), replica(20, 21, 26, cause="keep")], price_per_gb_s=0.01)
    assert told.gb_s_per_request == pytest.approx(8 / 4)
    assert told.utility == pytest.approx((1 - 0.01 * 8) / 4)
    assert (told.effective_accuracy, told.on_time, told.cold_wait_share) == (0.25, 0.5, 0.25)
    assert (told.starts_per_1000, told.background_starts_per_1000) == (500.0, 250.0)
    assert told.accuracy == pytest.approx(2 / 3)
    assert (told.rejected, told.failed, told.hedged, told.objective_met) == (0.25, 0.0, 0.0, 0.5)
    assert (told.latency_p50_s, told.latency_p95_s) == (2.0, 3.0)
    assert told.brier == pytest.approx((0.01 + 0.01 + 0.81) / 3)
    assert told.unused_warm_share == pytest.approx(3 / 8)


def test_nothing_cannot_be_summarised():
    """It says what was wanted."""
    with pytest.raises(ValueError, match="found no request rows"):
        metrics.summarise([], [replica()])


def test_what_an_answer_is_worth():
    """Plain: right and in time. With weights: latency's share for being in time, the rest for being right as well."""
    assert metrics.gained(request()) == 1.0
    assert metrics.gained(request(correct=False)) == 0.0
    assert metrics.gained(request(on_time=False)) == 0.0
    assert metrics.gained(request(latency_weight=0.3)) == 1.0
    assert metrics.gained(request(latency_weight=0.3, correct=False)) == pytest.approx(0.3)
    assert metrics.gained(request(latency_weight=1.0, correct=False)) == 1.0
    assert metrics.gained(request(latency_weight=0.3, on_time=False)) == 0.0


def test_without_a_deadline_waiting_costs():
    """5 s at 0.02 each are 0.1, with half the weight on latency 0.05, with none nothing."""
    late = {"deadline_s": None, "latency_s": 5.0}
    assert metrics.gained(request(**late)) == pytest.approx(0.9)
    assert metrics.gained(request(**late, latency_weight=0.5)) == pytest.approx(0.95)
    assert metrics.gained(request(**late, latency_weight=0.0)) == 1.0


def test_promises_by_decile():
    """0.05 belongs to the first decile, 0.9 and 1.0 to the last; a refusal promised nothing."""
    rows = [
        request(0, probability=0.05, on_time=False), request(1, probability=0.9), request(2, probability=1.0),
        request(3, probability=0.95, on_time=False), request(4, probability=None),
    ]  # fmt: skip
    first, last = metrics.calibration(rows)
    assert (first.low, first.high, first.requests, first.promised, first.realised) == (0.0, 0.1, 1, 0.05, 0.0)
    assert (last.low, last.high, last.requests) == (0.9, 1.0, 3)
    assert (last.promised, last.realised) == pytest.approx((0.95, 2 / 3))


def test_calibrations_are_pooled_by_their_requests():
    """One with promise 0.9 and three with 0.5, of which one and none came true."""
    parts = [
        [Bin(low=0.5, high=0.6, requests=1, promised=0.58, realised=1.0)],
        [Bin(low=0.5, high=0.6, requests=3, promised=0.5, realised=0.0)],
    ]
    (pooled,) = metrics.pool(parts)
    assert (pooled.requests, pooled.promised, pooled.realised) == pytest.approx((4, 0.52, 0.25))


def test_attainment_by_deadline():
    """Two within 1 s, one of them right; one within 5 s, too late; one with all the time there is."""
    rows = [
        request(0), request(1, correct=False), request(2, deadline_s=5.0, on_time=False), request(3, deadline_s=None),
    ]  # fmt: skip
    assert metrics.attainment(rows, few=True) == [
        Attainment(deadline_s=1.0, requests=2, on_time=1.0, effective_accuracy=0.5),
        Attainment(deadline_s=5.0, requests=1, on_time=0.0, effective_accuracy=0.0),
        Attainment(deadline_s=None, requests=1, on_time=1.0, effective_accuracy=1.0),
    ]


def test_many_deadlines_are_put_together():
    """Twenty from 0.1 to 2.0 s: up to 0.125, 0.25, 0.5, 1 and 2 s there are 1, 1, 3, 5 and 10."""
    rows = [request(i, deadline_s=0.1 * (i + 1)) for i in range(20)]
    found = metrics.attainment(rows, few=False)
    assert [(one.deadline_s, one.requests) for one in found] == [(0.125, 1), (0.25, 1), (0.5, 3), (1.0, 5), (2.0, 10)]
    twice = metrics.pool_attainment([found, found])
    assert [one.requests for one in twice] == [2, 2, 6, 10, 20]
    assert twice[0].on_time == 1.0


def test_the_run_in_parts():
    """A part of 240 s is 10 s: two in the first, one right; one in the third; one after the end, in the last."""
    rows = [
        request(1), request(9, correct=False), request(25, on_time=False), request(300),
    ]  # fmt: skip
    found = metrics.over_time(rows, 240.0)
    assert [(p.from_s, p.requests, p.on_time, p.effective_accuracy) for p in found] == [
        (0.0, 2, 1.0, 0.5), (20.0, 1, 0.0, 0.0), (230.0, 1, 1.0, 1.0),
    ]  # fmt: skip
    pooled = metrics.pool_parts([found, metrics.over_time([request(2)], 240.0)])
    assert (pooled[0].requests, pooled[0].effective_accuracy) == (3, pytest.approx(2 / 3))
    assert len(pooled) == 3


def test_quantiles_are_values_that_occurred():
    """The smallest that so many do not exceed."""
    assert metrics.quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert metrics.quantile([1.0, 2.0, 3.0, 4.0], 0.51) == 3.0
    assert metrics.quantile([1.0], 0.99) == 1.0
    assert metrics.quantile([], 0.5) is None


def test_an_interval_is_about_two_standard_errors():
    """Of 0..9: mean 4.5, standard error 0.91, so about 2.7 to 6.3; the same each time; one value has no width."""
    values = [float(i) for i in range(10)]
    found = metrics.interval(values)
    assert found.mean == 4.5
    assert (found.low, found.high) == pytest.approx((4.5 - 1.96 * 0.908, 4.5 + 1.96 * 0.908), abs=0.15)
    assert metrics.interval(values) == found
    assert metrics.interval([0.7]) == metrics.interval([0.7, 0.7]) == Interval(0.7, 0.7, 0.7)


def test_pairing_takes_away_what_seeds_have_in_common():
    """Two policies that differ by 0.1 in every seed: each varies, the difference does not."""
    easy = [0.5, 0.9, 0.7, 0.6]
    regrets = metrics.regrets({"best": easy, "worse": [u - 0.1 for u in easy]}, "best")
    assert regrets["best"] == [0.0] * 4
    alone, paired = metrics.interval(easy), metrics.interval([round(r, 9) for r in regrets["worse"]])
    assert alone.high - alone.low > 0.2
    assert paired == Interval(pytest.approx(0.1), 0.1, 0.1)
    assert fmean(regrets["worse"]) == pytest.approx(0.1)
