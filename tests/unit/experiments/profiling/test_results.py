"""The files beside the rows are those of a scenario."""

from warmfront.domain import Profile, Spread, Variant
from warmfront.experiments.contenders import contender
from warmfront.experiments.profiling import results
from warmfront.experiments.profiling.figures import figures, profile
from warmfront.experiments.profiling.labelled import Labelled, Sample
from warmfront.experiments.profiling.measurements import AnswerRow, MemoryRow, StartRow
from warmfront.experiments.scenarios import load

DATA = Labelled(
    samples=(Sample(body=b"eins", label="de"), Sample(body=b"one", label="en")), long=(), content_type="text/plain",
    digest="d", source="f",
)  # fmt: skip


def rows(name: str, labels: tuple[str, str], load_s: float):
    shared = {"variant": name, "revision": f"{name}-00001"}
    return [
        StartRow(**shared, counted=True, total_s=load_s + 0.5, platform_s=0.4, load_s=load_s, answer_s=0.1),
        *(
            AnswerRow(**shared, data="d", index=i, in_flight=1, size_bytes=len(sample.body), label=label,
                      right=label == sample.label, round_trip_s=0.012, execution_s=0.01)
            for i, (label, sample) in enumerate(zip(labels, DATA.samples, strict=True))
        ),
        MemoryRow(**shared, memory_mb=100.0, source="process"),
    ]  # fmt: skip


def test_what_was_measured_can_be_simulated(tmp_path):
    """Recorded answers, the platform's share and the times of two variants, one wrong about English."""
    found, book = [], {}
    for name, labels, load_s in (("good", ("de", "en"), 2.0), ("weak", ("de", "de"), 0.2)):
        variant = Variant(name=name, task="t", revision=f"{name}-00001", url="", concurrency=4, max_replicas=2)
        book[variant.revision] = rows(name, labels, load_s)
        one = figures(name, variant.revision, Profile(), book[variant.revision], DATA)
        found.append((variant, one, profile(one, 0.4)))
    results.write(tmp_path, "t", found, book, DATA)
    (tmp_path / "mine.toml").write_text(
        'extends = "measured"\ndescription = "d"\nduration_s = 100\n[workload]\nkind = "timer"\nevery_s = 10\n'
        "[[objective]]\ndeadlines_s = [5.0]\n"
    )
    scenario = load(tmp_path / "mine.toml", tmp_path)
    assert scenario.recorded == ((4, (True, True)), (3, (True, False)))
    assert scenario.world.platform_start_s == Spread(p50=0.4, p95=0.4)
    good, weak = scenario.world.truths
    assert (good.load_s, good.memory_mb, good.accuracy) == (Spread(p50=2.0, p95=4.0), 100.0, 1.0)
    assert (weak.variant.concurrency, weak.variant.max_replicas, weak.accuracy) == (4, 2, 0.5)
    assert len(contender("effective").play(scenario, 1).requests) == 10


def test_half_a_measurement_makes_no_table(tmp_path):
    """Figures are written, tables need all of them."""
    variant = Variant(name="v", task="t", revision="v-00001", url="")
    one = figures("v", "v-00001", Profile(), [], DATA)
    results.write(tmp_path, "t", [(variant, one, profile(one, 0.0))], {"v-00001": []}, DATA)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json"]
