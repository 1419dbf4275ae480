"""Events that nobody takes: told to the dead-letter sink with the reason, else kept with it, across kill -9."""

import asyncio
import base64
import json

from warmfront.cloudevents import CloudEvent
from warmfront.runtime.eventing import read_dead_letters

REQUEST = "dev.warmfront.inference.request"
QUICK = {"retry": 2, "backoffPolicy": "linear", "backoffDelay": "PT0.05S"}


def event(id_: str, kind: str, subject: str | None = None) -> CloudEvent:
    """An event with a text."""
    return CloudEvent(
        id=id_, source="/tests/dead-letters", type=kind, subject=subject, datacontenttype="text/plain", data=b"text"
    )


def test_the_dead_letter_sink_is_told_why(world, project, trigger):
    """Three attempts in vain; then the event as it was, with destination, status and body of the last answer."""

    async def story():
        async with world:
            failing, dead = await world.sink(), await world.sink()
            failing.status = 500
            refused = trigger("refused", "to.fail", failing.url, **QUICK, deadLetterSink={"uri": dead.url})
            await world.live([*project(), refused])
            await world.post([event("one", "to.fail")])
            await dead.until(lambda: dead.events)
            return failing, dead.events

    failing, (letter,) = asyncio.run(story())
    assert [tried.id for tried in failing.events] == ["one"] * 3
    assert (letter.id, letter.type, letter.data) == ("one", "to.fail", b"text")
    assert letter.extensions["knativeerrordest"] == failing.url
    assert letter.extensions["knativeerrorcode"] == "500"
    assert base64.b64decode(letter.extensions["knativeerrordata"]) == b"broken"
    assert read_dead_letters(world.state / "events.db") == []


def test_without_a_sink_dead_letters_are_kept_with_their_reason(world, project, dummy, trigger, eventually):
    """A consumer that fails, a task that nobody knows, a model that always fails: each is there after a kill -9."""

    async def story():
        async with world:
            failing = await world.sink()
            failing.status = 500
            manifests = project()
            (broker,) = (obj for obj in manifests if obj["kind"] == "Broker")
            broker["spec"]["delivery"] |= QUICK
            broken = dummy("broken", accuracy=0.9, DUMMY_FAILURE_RATE=1)
            await world.live([*manifests, broken, trigger("refused", "to.fail", failing.url)])
            events = [event("one", "to.fail"), event("two", REQUEST, "no-such-task"), event("three", REQUEST, "dummy")]
            await world.post(events)
            await eventually(lambda: len(read_dead_letters(world.state / "events.db")) == len(events))
            await world.die()
            await world.live()
            return failing.url

    failing = asyncio.run(story())
    letters = {letter.event.id: letter for letter in read_dead_letters(world.state / "events.db")}
    assert set(letters) == {"one", "two", "three"}
    one, two, three = letters["one"], letters["two"], letters["three"]

    assert (one.trigger, one.failure.destination, one.failure.code) == ("refused", failing, 500)
    assert (one.failure.reason, one.failure.data) == ("answered 500", b"broken")

    assert (two.trigger, two.failure.code) == ("inference-requests", 422)
    assert "no-such-task" in json.loads(two.failure.data)["detail"]

    assert (three.trigger, three.failure.code) == ("inference-requests", 502)
    assert "broken" in json.loads(three.failure.data)["detail"]
    assert three.event.data == b"text"
