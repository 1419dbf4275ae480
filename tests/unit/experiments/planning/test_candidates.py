"""Settings as values, and a scenario under them."""

import pytest

from warmfront.experiments.contenders import contender
from warmfront.experiments.planning.candidates import Candidate, Setting, one_more, present, warm_sets
from warmfront.experiments.scenarios import load

SCALING = "autoscaling.knative.dev/"
TWO = Candidate.of({"a": Setting(concurrency=4), "b": Setting(min_scale=1, window_s=30)})


def kept(candidates) -> list[dict[str, int]]:
    return [{name: one.min_scale for name, one in c.settings if one.min_scale} for c in candidates]


def test_warm_sets():
    """All subsets, the smallest first; windows and limits stay."""
    sets = list(warm_sets(TWO))
    assert kept(sets) == [{}, {"a": 1}, {"b": 1}, {"a": 1, "b": 1}]
    assert {dict(one.settings)["b"].window_s for one in sets} == {30}
    assert TWO.kept == ("b",)


def test_one_more():
    """One that sleeps, or a second of one that is kept."""
    assert kept(one_more(TWO)) == [{"a": 1, "b": 1}, {"b": 2}]


def test_for_all_or_for_one():
    """Windows and limits of all; a setting of one."""
    assert {one.window_s for _, one in TWO.windowed(10).settings} == {10}
    assert {one.concurrency for _, one in TWO.concurrent(2).settings} == {2}
    assert TWO.having("a", Setting()).settings == (("a", Setting()), TWO.settings[1])


def test_knatives_annotations():
    """With Knative's defaults, and durations as Knative writes them."""
    assert Setting.read({}, 0) == Setting(min_scale=0, window_s=60, concurrency=0)
    said = {f"{SCALING}min-scale": "2", f"{SCALING}window": "1m30s"}
    assert Setting.read(said, 4) == Setting(min_scale=2, window_s=90, concurrency=4)


def test_a_scenario_under_a_candidate():
    """Annotations and limits change, everything else stays; min-scale stays below max-scale, which is 5 here."""
    scenario = load("langid-poisson-0.1")
    now = present(scenario)
    assert now.settings[0] == ("pycld2", Setting(min_scale=0, window_s=60, concurrency=4))
    changed = now.keeping({"pycld2": 9}).windowed(10).concurrent(2).applied(scenario)
    first, second = changed.world.truths[:2]
    assert first.annotations[f"{SCALING}min-scale"] == "5"
    assert first.annotations[f"{SCALING}window"] == "10s"
    assert f"{SCALING}min-scale" not in second.annotations
    assert (first.variant.concurrency, first.variant.max_replicas) == (2, 5)
    assert first.load_s == scenario.world.truths[0].load_s
    assert present(now.applied(scenario)) == now
    with pytest.raises(KeyError):
        TWO.applied(scenario)


def test_keeping_is_what_an_operator_does_by_a_contenders_name():
    """The same world as `@keep:`, so `compare` plays what the plan has found."""
    scenario = load("langid-poisson-0.1")
    kept = present(scenario).keeping({"pycld2": 1, "py3langid": 1}).applied(scenario)
    assert kept.world == contender("effective@keep:pycld2+py3langid").world(scenario)
