"""kill -9 of every part with work in progress: each accepted event is answered, and answered again with the same id.

The whole system with real parts: `warmfront up`, the selector, real functions, the Broker and Triggers of `knative/`.
"""

import asyncio
import os
import signal

import pytest

from warmfront.cloudevents import CloudEvent
from warmfront.experiments.profiling.labelled import shipped
from warmfront.runtime.eventing import read_dead_letters

REQUEST, RESPONSE = "dev.warmfront.inference.request", "dev.warmfront.inference.response"
# some answers come soon, most are in flight then
SPREAD = {"DUMMY_LATENCY_MS": 300, "DUMMY_JITTER_MS": 2500}


def request(number: int, task: str, text: bytes) -> CloudEvent:
    """An event with an id of its own that may take its time."""
    return CloudEvent(
        id=f"{task}-{number}",
        source="/tests/crashes",
        type=REQUEST,
        subject=task,
        datacontenttype="text/plain; charset=utf-8",
        extensions={"deadlinems": "30000"},
        data=text,
    )


def requests(count: int, task: str) -> list[CloudEvent]:
    """So many texts in all languages."""
    texts = shipped("langid").samples
    return [request(number, task, texts[number % len(texts)].body) for number in range(count)]


def assert_same_id_again(sink) -> None:
    """All answers to one request carry one id, which no other request's answer has."""
    assert all(len(set(ids)) == 1 for ids in sink.answers.values())
    assert len({ids[0] for ids in sink.answers.values()}) == len(sink.answers)


@pytest.mark.parametrize(
    ("spare", "proof"), [(True, "warmfront_retries_total"), (False, "warmfront_refused_total")], ids=["two", "only one"]
)
def test_a_variant_killed_in_flight_loses_no_event(world, project, dummy, trigger, spare, proof):
    """With another variant the selector asks that one; without, it says 502 and the Broker brings the event again."""
    events = requests(24, "dummy")

    async def story():
        async with world:
            sink = await world.sink()
            variants = [dummy("best", accuracy=0.95, **SPREAD)]
            variants += [dummy("spare", accuracy=0.5)] if spare else []
            await world.live([*project(), *variants, trigger("answers", RESPONSE, sink.url)])
            await world.post(events)
            await sink.until(lambda: len(sink.answers) >= 2)
            (victim,) = world.replicas("best")
            os.kill(victim, signal.SIGKILL)
            assert len(sink.answers) < len(events)
            await sink.answered(event.id for event in events)
            return sink, await world.metric(proof), victim in world.replicas()

    sink, failed, lives = asyncio.run(story())
    assert failed > 0, "no request was in flight when the replica was killed"
    assert not lives
    assert set(sink.answers) == {event.id for event in events}
    assert_same_id_again(sink)


def test_the_selector_killed_in_flight_loses_no_event(world, project, dummy, trigger):
    """It is started again and all are answered; asked again it remembers nothing, yet gives the same reply id."""
    events = requests(24, "dummy")

    async def story():
        async with world:
            sink = await world.sink()
            await world.live([*project(), dummy("best", accuracy=0.95, **SPREAD), trigger("a", RESPONSE, sink.url)])
            await world.post(events)
            await sink.until(lambda: len(sink.answers) >= 4)
            before = [event for event in events if event.id in sink.answers]
            (victim,) = world.replicas("selector")
            os.kill(victim, signal.SIGKILL)
            assert len(before) < len(events)
            await sink.answered(event.id for event in events)
            await world.post(before)
            await sink.answered((event.id for event in before), times=2)
            return sink, victim, world.replicas("selector")

    sink, victim, selectors = asyncio.run(story())
    assert len(selectors) == 1
    assert victim not in selectors
    assert set(sink.answers) == {event.id for event in events}
    assert_same_id_again(sink)


def test_a_thousand_accepted_events_survive_kill_9_of_everything(world, project, dummy, trigger, gone, eventually):
    """Real models, all at zero; killed after the last 202 while requests wait, run, and answers are on their way.

    The next start, on another port, answers every one; what had been answered is answered with the same id again. No
    replica of the first life is there when the second begins.
    """
    quick, slow = requests(900, "langid"), requests(100, "dummy")
    ids = [event.id for event in (*quick, *slow)]

    async def story():
        async with world:
            sink = await world.sink()
            sink.holds = lambda event: event.extensions["causationid"].endswith("0")
            manifests = [
                *project("langid-cld2", "langid-fasttext"),
                dummy("slow", accuracy=0.9, DUMMY_LATENCY_MS=3000),
                trigger("answers", RESPONSE, sink.url),
            ]
            await world.live(manifests)
            await world.post(quick)
            await sink.until(lambda: len(sink.answers) >= 100)
            await world.post(slow)
            await eventually(lambda: world.replicas("slow"))
            first_life = world.replicas()
            await world.die()
            heard = {cause: list(answers) for cause, answers in sink.answers.items()}
            await asyncio.to_thread(lambda: [gone(pid) for pid in first_life])

            sink.holds = lambda _: False
            await world.live()
            await sink.answered(ids)
            unacknowledged = [cause for cause in heard if cause.endswith("0")]
            await sink.answered(unacknowledged, times=2)
            again = [event for event in quick if event.id in heard and event.id not in unacknowledged][:50]
            await world.post(again)
            await sink.answered((event.id for event in again), times=2)
            return sink, len(first_life), heard, unacknowledged, again

    sink, replicas, heard, unacknowledged, again = asyncio.run(story())
    assert replicas >= 3
    assert not any(event.id in heard for event in slow), "the slow ones were to be in flight"
    assert unacknowledged
    assert again
    assert set(sink.answers) == set(ids)
    assert_same_id_again(sink)
    assert read_dead_letters(world.state / "events.db") == []
