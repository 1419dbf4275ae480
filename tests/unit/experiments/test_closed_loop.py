"""Callers who wait for an answer before they ask again."""

import pytest
from tests.unit.experiments.worlds import play, requests, truth, world

EXACT = {"spread": 1.000001}
ALWAYS = {"annotations": {"min_scale": "1"}}


def test_one_caller_asks_again_after_its_answer():
    """0.1 s each and 0.4 s of pause: five requests at 0, 0.5, 1.0, 1.5 and 2.0 s, each with its 0.2 s."""
    place = world(truth(**EXACT, **ALWAYS), streams=1, pause_s=0.4)
    asked = requests([0.0] * 5, budget=0.2)
    rows = sorted(play(place, asked, "fastest").requests, key=lambda row: row.arrival_s)[1:]
    started = rows[0].arrival_s
    assert [row.arrival_s - started for row in rows] == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=1e-4)
    assert [row.request_id for row in rows] == ["q1", "q2", "q3", "q4"]
    assert all(row.on_time for row in rows)
    assert [row.deadline_s for row in rows] == pytest.approx([0.2] * 4)


def test_several_callers_share_the_cases():
    """Three callers and one place: once it is ready, each answer takes 0.1 s and is waited for 0.3 s."""
    place = world(truth(**EXACT, **ALWAYS, concurrency=1), streams=3)
    rows = play(place, requests([0.0] * 30), "fastest").requests
    assert len({row.request_id for row in rows}) == 30
    assert [row.latency_s for row in rows[3:]] == pytest.approx([0.3] * 27, abs=1e-3)


def test_more_callers_than_cases_and_none_at_all():
    """Everybody is served once; without cases the run ends when it is told to."""
    place = world(truth(**EXACT), streams=9)
    assert len(play(place, requests([0.0] * 4), "fastest").requests) == 4
    assert play(place, [], "fastest", until_s=7.0).end_s == 7.0
