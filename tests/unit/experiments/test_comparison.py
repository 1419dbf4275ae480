"""Contenders by name, runs that are remembered, and what is summed up of them."""

from pathlib import Path

import msgspec
import pytest

from warmfront.errors import SetupError
from warmfront.experiments import comparison
from warmfront.experiments.comparison import Comparison, compare, summarise
from warmfront.experiments.contenders import contender
from warmfront.experiments.scenarios import Scenario, load

MIN_SCALE = "autoscaling.knative.dev/min-scale"
SHORT = ["duration_s=600"]


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scenario:
    """Some sixty requests to the four language identifiers."""
    monkeypatch.chdir(tmp_path)
    return load("langid-poisson-0.1", overrides=SHORT)


def run(scenario: Scenario, policies: list[str], seeds: list[int], folder: Path, **options) -> Comparison:
    return summarise(scenario, SHORT, list(compare(scenario, policies, seeds, folder, overrides=SHORT, **options)))


def kept(scenario: Scenario, name: str) -> list[str]:
    return [t.variant.name for t in contender(name).world(scenario).truths if MIN_SCALE in t.annotations]


def test_what_an_operator_keeps_is_part_of_the_name(scenario):
    """The least memory is pycld2's; `all` is everybody; without it nobody is kept."""
    assert kept(scenario, "fastest") == []
    assert kept(scenario, "fastest@keep:cheapest") == ["pycld2"]
    assert kept(scenario, "effective@no-plan@keep:cheapest+lingua_high_45") == ["pycld2", "lingua_high_45"]
    assert len(kept(scenario, "random@keep:all")) == 4


def test_options_reach_the_selector(scenario):
    """Planning off, keeping off, and both on by default."""
    told = [contender(name).settings(scenario) for name in ("effective", "effective@no-keep", "effective@no-plan")]
    assert [(one.may_keep, one.dry_run) for one in told] == [(True, False), (False, False), (True, True)]


def test_names_of_variants_may_have_an_at_in_them():
    """As those of image models do, for the size of their input."""
    made = contender("effective@no-plan@keep:net@224+large@384")
    assert (made.policy, made.may_plan, made.kept) == ("effective", False, ("net@224", "large@384"))


def test_the_clairvoyant_may_have_variants_kept(scenario):
    """An operator keeps them, whoever chooses."""
    assert kept(scenario, "clairvoyant@keep:cheapest") == ["pycld2"]


def test_who_makes_no_rows_cannot_be_simulated(scenario):
    """Nobody else plays under the optimum's name; and no selector runs Cocktail."""
    with pytest.raises(SetupError, match="found offline-optimum, which makes no rows, wanted a policy"):
        contender("offline-optimum").play(scenario, 0)
    with pytest.raises(SetupError, match=r"cocktail: found no policy of a selector, wanted one of effective, "):
        contender("cocktail").selector(scenario, 0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cleverest", "found policy 'cleverest', wanted one of .*effective.*clairvoyant, offline-optimum"),
        ("effective@keen", "found @keen, wanted @no-keep"),
        ("effective@keep:cld9", "found cld9, wanted some of .*pycld2.*, cheapest, all$"),
        ("effective@keep:all+cld9", "found cld9, wanted some of"),
        ("effective@no-keeper", "found @no-keeper, wanted @no-keep, @no-plan, @hedge or @keep:"),
        ("effective@hedged", "found @hedged, wanted @no-keep, @no-plan, @hedge or @keep:"),
        ("effective@keep:pycld2@hedged", "found pycld2@hedged, wanted some of .*; or, after an @, @no-keep"),
        ("effective@keep:", "found @keep:, wanted names after it: .*@keep:cheapest"),
        ("effective@keep:pycld2@keep:all", "found @keep 2 times, wanted it once"),
        (
            "offline-optimum@no-keep",
            "found @no-keep, which does nothing to offline-optimum; wanted offline-optimum alone",
        ),
        ("offline-optimum@keep:cheapest", "found @keep:cheapest, which does nothing to offline-optimum"),
        ("cocktail@no-keep", "found @no-keep, which does nothing to cocktail; wanted cocktail alone"),
        ("clairvoyant@no-plan", "which does nothing to clairvoyant; wanted clairvoyant alone or clairvoyant@keep:"),
    ],
)
def test_an_unknown_contender_is_refused_before_anything_runs(scenario, tmp_path, name, said):
    """With what there is."""
    with pytest.raises(SetupError, match=said):
        run(scenario, ["fastest", name], [0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_best_comes_first_and_regret_is_paired(scenario, tmp_path):
    """Effective before fastest; the regret of a policy is the difference of the means; against the oracle if it ran."""
    found = run(scenario, ["fastest", "effective"], [0, 1], tmp_path / "out")
    best, worse = found.policies.values()
    assert list(found.policies) == ["effective", "fastest"]
    assert found.reference == "effective"
    assert best.regret.mean == 0.0
    assert worse.regret.mean == pytest.approx(best.utility.mean - worse.utility.mean)
    assert worse.regret.mean > 0.05
    oracle = run(scenario, ["fastest", "effective", "offline-optimum"], [0, 1], tmp_path / "out")
    assert oracle.reference == "offline-optimum"
    assert oracle.policies["effective"].regret.mean > 0
    assert oracle.policies["offline-optimum"].cold_wait_share is None


def test_the_clairvoyant_can_be_compared(scenario, tmp_path):
    """Of several who will be right in time it takes the cheapest: no less right than chance, for less memory."""
    found = run(scenario, ["clairvoyant", "random"], [0], tmp_path / "out")
    oracle, chance = found.policies["clairvoyant"], found.policies["random"]
    assert oracle.effective_accuracy.mean >= chance.effective_accuracy.mean
    assert oracle.gb_s_per_request.mean < chance.gb_s_per_request.mean / 2


def test_an_interrupted_comparison_goes_on(scenario, tmp_path, monkeypatch):
    """After two of four runs it is stopped; only the other two are played, and the result is as if it had not been."""
    whole = run(scenario, ["fastest", "random"], [0, 1], tmp_path / "whole")
    part = compare(scenario, ["fastest", "random"], [0, 1], tmp_path / "out", overrides=SHORT)
    next(part)
    next(part)
    part.close()
    played = []
    original = comparison.play
    monkeypatch.setattr(comparison, "play", lambda job: played.append(job.policy) or original(job))
    assert run(scenario, ["fastest", "random"], [0, 1], tmp_path / "out") == whole
    assert sorted(played) == ["fastest", "random"]


def test_other_scenario_or_broken_file_is_played_again(scenario, tmp_path, monkeypatch):
    """What is remembered counts for the same scenario only."""
    folder = tmp_path / "out"
    run(scenario, ["fastest"], [0], folder)
    played = []
    original = comparison.play
    monkeypatch.setattr(comparison, "play", lambda job: played.append(job.digest) or original(job))
    run(scenario, ["fastest"], [0], folder)
    assert played == []
    (folder / "runs" / "fastest" / "0.json").write_text("{")
    run(scenario, ["fastest"], [0], folder)
    assert len(played) == 1
    other = load("langid-poisson-0.1", overrides=[*SHORT, "platform.window_s=10"])
    list(compare(other, ["fastest"], [0], folder, overrides=[*SHORT, "platform.window_s=10"]))
    assert len(set(played)) == 2


@pytest.mark.parametrize(
    ("requests", "grouped"),
    [("[0.1, 0.3, 1.0]", [0.1, 0.3, 1.0]), (f"{[0.1 * i for i in range(1, 14)]}", [0.125, 0.25, 0.5, 1.0, 2.0])],
)
def test_attainment_is_grouped_alike_in_all_runs(tmp_path, monkeypatch, requests, grouped):
    """A dozen requests do not meet all of thirteen deadlines, and yet all runs put them together by powers of two, as
    many deadlines are; of three each is shown.
    """
    monkeypatch.chdir(tmp_path)
    changed = ["duration_s=120", f"objective=[{{deadlines_s={requests}}}]"]
    scenario = load("langid-poisson-0.1", overrides=changed)
    runs = list(compare(scenario, ["fastest"], range(5), tmp_path / "out", overrides=changed))
    pooled = summarise(scenario, changed, runs).policies["fastest"].attainment
    assert {one.deadline_s for one in pooled} <= set(grouped)
    assert {one.deadline_s for run in runs for one in run.attainment} <= set(grouped)
    assert sum(one.requests for one in pooled) == sum(run.summary.requests for run in runs)


@pytest.mark.parametrize(
    ("objective", "weighted", "waiting"),
    [
        ("deadlines_s=[1.0]", False, None),
        ("deadlines_s=[]", False, 0.02),
        ("deadlines_s=[], latency_weight=0.5", True, 0.02),
        ("deadlines_s=[], latency_weight=0", True, None),
        ("deadlines_s=[1.0], latency_weight=0.5", True, None),
    ],
)
def test_the_summary_says_what_utility_is_made_of(tmp_path, monkeypatch, objective, weighted, waiting):
    """The price of waiting where somebody pays it: without a deadline, in proportion to latency's weight."""
    monkeypatch.chdir(tmp_path)
    changed = [*SHORT, f"objective=[{{{objective}}}]"]
    scenario = load("langid-poisson-0.1", overrides=changed)
    told = summarise(scenario, changed, list(compare(scenario, ["fastest"], [0], tmp_path / "out", overrides=changed)))
    assert (told.weighted, told.waiting_price_per_s) == (weighted, waiting)


TABLE = (
    "name,accuracy,latency_p50_s,latency_p95_s,cold_start_p50_s,cold_start_p95_s,memory_mb,concurrency,max_scale\n"
    "one,{accuracy},0.01,0.02,3,4,5,4,2\n"
)


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("mine.csv", TABLE.format(accuracy=1.0), TABLE.format(accuracy=0.0)),
        ("trace.csv", "arrival_s\n10\n20\n", "arrival_s\n10\n30\n"),
        ("said.csv", "label,one\na,a\n", "label,one\na,b\n"),
    ],
)
def test_edited_data_is_played_again(tmp_path, file, before, after):
    """Under the same name and with the same scenario file: the table, the trace, the predictions."""
    texts = {
        "mine.csv": TABLE.format(accuracy=1.0), "trace.csv": "arrival_s\n10\n20\n",
        "said.csv": "label,one\na,a\n",
    }  # fmt: skip
    recorded = 'correctness = "recorded"\npredictions = "said.csv"\n' if file == "said.csv" else ""
    (tmp_path / "own.toml").write_text(
        f'description = "Own"\ntask = "t"\nduration_s = 60\n[variants]\ntable = "mine.csv"\n{recorded}'
        '[workload]\nkind = "trace"\nfile = "trace.csv"\n[workload.stand_in]\nkind = "poisson"\nrate = 1\n'
        "[[objective]]\ndeadlines_s = [10.0]\n"
    )
    for name, text in texts.items():
        (tmp_path / name).write_text(text)

    def played() -> comparison.Result:
        own = load(tmp_path / "own.toml", tmp_path)
        (one,) = compare(own, ["fastest"], [0], tmp_path / "out", data=tmp_path)
        return one

    (tmp_path / file).write_text(before)
    first = played()
    assert played().digest == first.digest
    (tmp_path / file).write_text(after)
    second = played()
    assert second.digest != first.digest
    if file != "trace.csv":
        assert (first.summary.effective_accuracy, second.summary.effective_accuracy) == (1.0, 0.0)


def test_two_processes_give_the_same_summary(scenario, tmp_path):
    """To the byte."""
    one = comparison.write(run(scenario, ["fastest", "effective"], [0, 1], tmp_path / "one"), tmp_path / "one")
    two = comparison.write(
        run(scenario, ["fastest", "effective"], [0, 1], tmp_path / "two", workers=2), tmp_path / "two"
    )
    assert one.read_bytes() == two.read_bytes()


def test_the_summary_has_every_figure_with_its_interval(scenario, tmp_path):
    """By the names that others read."""
    path = comparison.write(run(scenario, ["fastest"], [100, 101], tmp_path / "out"), tmp_path / "out")
    told = msgspec.json.decode(path.read_bytes())
    assert told["seeds"] == [100, 101]
    assert told["sources"] == {"variants": "langid_variants.csv"}
    for field in (
        "utility", "effective_accuracy", "on_time", "gb_s_per_request", "cold_wait_share", "starts_per_1000", "regret",
    ):  # fmt: skip
        assert set(told["policies"]["fastest"][field]) == {"mean", "low", "high"}
    assert {"calibration", "attainment", "also"} <= set(told["policies"]["fastest"])


def test_the_optimum_is_refused_where_it_means_nothing(tmp_path, monkeypatch):
    """With weights, with drift, with too many variants."""
    monkeypatch.chdir(tmp_path)
    for name in ("frontier-scp-hyperlocal", "drift-gone", "frontier-mda-parity"):
        with pytest.raises(SetupError, match="offline-optimum: found"):
            list(compare(load(name), ["offline-optimum"], [0], tmp_path / "out"))


def test_cocktail_is_refused_before_anything_runs(tmp_path, monkeypatch):
    """Where variants drift; the policies before it have not been played."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError, match="cocktail: found callers who wait or drift"):
        list(compare(load("drift-gone"), ["fastest", "cocktail"], [0], tmp_path / "out"))
    assert not (tmp_path / "out").exists()
