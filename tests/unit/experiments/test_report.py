"""The report: one file, nothing from elsewhere, the same bytes for the same figures."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec import structs

from warmfront.experiments.comparison import Comparison, Result, compare, summarise
from warmfront.experiments.report import write
from warmfront.experiments.report.figures import plots
from warmfront.experiments.scenarios import load

GAINED = "Utility is what answers gained per request less 0.001 for each GB-second of replicas. An answer on time"
POLICIES = ["effective", "fastest", "offline-optimum"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, list[Result]]:
    """Three contenders on two seeds of a short scenario."""
    changed = ["duration_s=600"]
    scenario = load("langid-poisson-0.1", overrides=changed)
    results = list(compare(scenario, POLICIES, [0, 1], tmp_path_factory.mktemp("out"), overrides=changed))
    return summarise(scenario, changed, results), results


class Page(HTMLParser):
    """What a browser would find: headings, cells, tags still open, and everything that points elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {"h2": [], "td": []}
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href"}:
                self.links.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in self.found:
            self.found[self.open[-1]].append(data)


def test_the_page_has_all_and_asks_for_nothing(compared, tmp_path):
    """Six plots, a row per policy with its utility; links lead to its own parts only, which have ids of their own."""
    summary, results = compared
    page = Page(write(summary, results, tmp_path).read_text("utf-8"))
    assert page.open == []
    assert page.found["h2"] == [
        "Accuracy against cost", "Attainment by deadline", "Answers over time", "Warm set over time",
        "Calibration", "Regret",
    ]  # fmt: skip
    cells = page.found["td"]
    assert [cell for cell in cells if cell in POLICIES] == list(summary.policies)
    assert f"{summary.policies['effective'].utility.mean:.3f}" in cells
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize(
    ("weighted", "waiting", "said"),
    [
        (False, None, "Utility is the share right and on time less 0.001 for each GB-second of replicas."),
        (False, 0.02, f"{GAINED} gains 1 when right. Without a deadline each second of waiting costs 0.02."),
        (
            True,
            None,
            f"{GAINED} gains 1 when right; with weights, latency's weight in any case and the rest when right.",
        ),
        (True, 0.02, "each second of waiting costs 0.02, with weights times latency's."),
    ],
)
def test_it_says_what_utility_is(compared, tmp_path, weighted, waiting, said):
    """For the scenario at hand; lines of the same utility are drawn where it is accuracy and memory alone."""
    summary, results = compared
    other = structs.replace(summary, weighted=weighted, waiting_price_per_s=waiting)
    page = write(other, results, tmp_path).read_text("utf-8")
    assert f"{said}</p>" in unescape(page)
    assert ("Utility is the same along a dotted line" in page) == (not weighted and waiting is None)


def test_intervals_are_called_what_they_are(compared, tmp_path):
    """Only regret's are of differences; one seed has none."""
    summary, results = compared
    assert "those of regret over the differences seed by seed" in write(summary, results, tmp_path).read_text("utf-8")
    single = write(structs.replace(summary, seeds=[0]), results, tmp_path).read_text("utf-8")
    assert "One seed, 0: no intervals." in single
    assert "<small>" not in single


def test_many_policies_are_all_told_apart(compared):
    """Forty: no two alike, none cut from the legend, and it is said that not all warm sets are shown."""
    summary, results = compared
    names = [f"policy-{i}" for i in range(40)]
    many = structs.replace(summary, policies=dict.fromkeys(names, summary.policies["effective"]))
    runs = [structs.replace(results[0], policy=name) for name in names]
    drawn = {plot.name: plot for plot in plots(many, runs)}
    assert drawn["warm-set"].caption.endswith("The best 4 of 40 policies.")
    for name in ("over-time", "front", "attainment", "calibration"):
        figure = drawn[name].figure
        figure.draw_without_rendering()
        (legend,) = figure.legends
        assert len(legend.get_texts()) == 40
        assert legend.get_window_extent().y0 >= 0
    lines = drawn["over-time"].figure.axes[0].lines
    assert len({(one.get_color(), one.get_marker(), one.get_linestyle()) for one in lines}) == 40


def test_plots_are_exported(compared, tmp_path):
    """Each as PNG and SVG beside the page, when asked for."""
    write(*compared, tmp_path, ["png", "svg"])
    names = ["attainment", "calibration", "front", "over-time", "regret", "warm-set"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"{name}.png" for name in names]
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == [f"{name}.svg" for name in names]
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "front.svg").read_text()


def test_same_figures_same_bytes(compared, tmp_path):
    """No dates, no random ids."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (write(*compared, tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert not re.search(r"20\d\d-\d\d-\d\dT", first.read_text())


def test_a_comparison_of_the_oracle_alone_has_a_page(compared, tmp_path):
    """It has no rows, so there is no time line, and plots of nothing are empty, not an error."""
    summary, results = compared
    alone = summarise(load("langid-poisson-0.1"), [], [one for one in results if one.policy == "offline-optimum"])
    assert summary.reference == alone.reference
    page = Page(Path(write(alone, [], tmp_path)).read_text("utf-8"))
    assert "Warm set over time" not in page.found["h2"]
