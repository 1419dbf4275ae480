"""MuLambda's weighted selection with its quirks, worked by hand."""

import pytest

from warmfront.domain import Weights
from warmfront.selection.policies.mulambda import bucket

LATENCY, ACCURACY = Weights(latency=1.0, accuracy=0.0), Weights(latency=0.0, accuracy=1.0)


def selector_of(lab):
    """20 ms and 0.8 before 200 ms and 0.9: with 2 ms there and back in the buckets up to 30 and 240 ms."""
    quick, good = lab.seen("quick", lab.profile(0.8, 0.02), ready=1), lab.seen("good", lab.profile(0.9, 0.2), ready=1)
    return lab.selector(quick, good, policy="mulambda")


def scores(lab, selector, now=0.0, **request):
    decision = selector.decide(lab.request(at=now, **request), now)
    return {c.variant.name: round(c.score, 3) for c in decision.alternatives}, decision.chosen.variant.name


@pytest.mark.parametrize(
    ("ms", "value"), [(5, 1.0), (10, 1.0), (11, 0.89), (90, 0.67), (240, 0.44), (1020, 0.11), (1021, 0.0)]
)
def test_latencies_count_by_bucket(ms, value):
    """Nine buckets: 1 - i / 9 in two digits, 0 beyond 1020 ms."""
    assert bucket(ms / 1000) == value


def test_the_weighted_sum_over_the_best_accuracy(lab):
    """Half each: 0.89 / 2 + 0.8 / 0.9 / 2 = 0.889 and 0.44 / 2 + 1 / 2 = 0.72."""
    assert scores(lab, selector_of(lab)) == ({"quick": 0.889, "good": 0.72}, "quick")
    assert scores(lab, selector_of(lab), weights=LATENCY) == ({"quick": 0.89, "good": 0.44}, "quick")
    assert scores(lab, selector_of(lab), weights=ACCURACY) == ({"quick": 0.889, "good": 1.0}, "good")


def test_one_slow_answer_is_believed_for_good(lab):
    """3 s, a cold start perhaps: 0 for latency, and nobody asks again, so it stays at that."""
    selector = selector_of(lab)
    lab.reply(selector, lab.send(selector, lab.request("q")), 3.0, execution_s=0.02, cold=True)
    assert scores(lab, selector, now=4.0) == ({"quick": 0.444, "good": 0.72}, "good")
    for i in range(20):
        decision = lab.send(selector, lab.request(f"q{i}", at=5.0 + i))
        assert decision.chosen.variant.name == "good"
        lab.reply(selector, decision, 0.21, execution_s=0.2)


def test_latency_grows_with_the_size(lab):
    """90 ms beyond a ping of 10 ms for 100 bytes is 0.9 ms a byte: 10 bytes take 19 ms, 1000 take 910 ms."""
    selector = selector_of(lab)
    decision = lab.send(selector, lab.request("q", size=104))  # rounded to 104
    lab.reply(selector, decision, 0.1036, execution_s=0.0936)
    for size, value in ((10, 0.89), (100, 0.56), (1000, 0.11), (2000, 0.0)):
        assert scores(lab, selector, now=1.0, size=size, weights=LATENCY)[0]["quick"] == value


def test_a_request_cut_off_says_nothing(lab):
    """Only answers are measured."""
    selector = selector_of(lab)
    lab.reply(selector, lab.send(selector, lab.request("q")), 0.022, execution_s=0.02)
    lab.reply(selector, lab.send(selector, lab.request("r", at=1.0)), 9.0, censored=True)
    assert scores(lab, selector, now=10.0)[0]["quick"] == 0.889


def test_accuracy_is_the_mean_of_the_last_ten_verdicts(lab):
    """Eleven verdicts, the first forgotten: 5 of 10. The best accuracy is then 0.9, so 0.5 / 0.9 = 0.556."""
    selector = selector_of(lab)
    for i, correct in enumerate([1.0] + [0.0, 1.0] * 5):
        decision = lab.send(selector, lab.request(f"q{i}", at=float(i), weights=LATENCY))
        lab.reply(selector, decision, 0.022, execution_s=0.02)
        lab.feedback(selector, decision, correct, now=i + 0.1)
    assert scores(lab, selector, now=20.0, weights=ACCURACY)[0] == {"quick": 0.556, "good": 1.0}


def test_nobody_ever_right_is_no_division_by_zero(lab):
    """Then only latency is left."""
    never = [lab.seen(name, lab.profile(0.0), ready=1) for name in "ab"]
    assert scores(lab, lab.selector(*never, policy="mulambda"))[0] == {"a": 0.445, "b": 0.445}


def test_ties_go_to_the_first_in_the_list(lab):
    """Not to the more accurate: all slower than 1020 ms, and only latency counts."""
    slow = [lab.seen(name, lab.profile(accuracy, 2.0), ready=1) for name, accuracy in (("z", 0.1), ("a", 0.9))]
    assert scores(lab, lab.selector(*slow, policy="mulambda"), weights=LATENCY) == ({"z": 0.0, "a": 0.0}, "z")
