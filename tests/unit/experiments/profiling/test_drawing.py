"""The picture names everybody, and says who is dominated."""

from warmfront.experiments.profiling import drawing
from warmfront.experiments.profiling.front import Point
from warmfront.experiments.profiling.statistics import times


def test_the_front_as_svg(tmp_path):
    """One file that loads nothing; the same figures give the same file."""
    points = [
        Point(name, times([start]), times([warm]), right, frozenset(), memory)
        for name, start, warm, right, memory in (
            ("small", 0.2, 2e-5, 0.8, 30), ("large", 9.0, 4e-4, 0.93, 1000), ("worse", 10.0, 0.02, 0.7, 1100),
        )
    ]  # fmt: skip
    drawing.front(tmp_path / "front.svg", "langid", points, ["worse"])
    text = (tmp_path / "front.svg").read_text()
    assert text.count("<svg") == 1
    for said in ("Variants of langid", "small, 30 MB", "large, 1000 MB", "(dominated)", "10 s"):
        assert f"<!-- {said} -->" in text
    drawing.front(tmp_path / "again.svg", "langid", points[:1], [])
    assert "(dominated)" not in (tmp_path / "again.svg").read_text()
