"""One timer serves all: nothing expires early, nothing is forgotten, moved deadlines hold."""

import asyncio
import itertools

from warmfront.wire.deadlines import NEVER, Deadlines


class Item:
    """Notes when it expired; may set itself a next deadline."""

    def __init__(self, loop, deadline, again=0.0) -> None:
        self.loop, self.deadline, self.again = loop, deadline, again
        self.expired = []
        self.done = asyncio.Event()

    def expire(self) -> None:
        assert self.deadline == NEVER
        self.expired.append(self.loop.time())
        if self.again:
            self.deadline, self.again = self.loop.time() + self.again, 0.0
        else:
            self.done.set()


def test_things_expire_in_order_and_never_early(run):
    """A later watched earlier deadline comes first; one that moved out waits; one that is forgotten stays silent."""

    async def story():
        loop = asyncio.get_running_loop()
        deadlines, now = Deadlines(loop), loop.time()
        late, early, moved, dropped = (Item(loop, now + s) for s in (0.12, 0.04, 0.02, 0.03))
        due = {late: late.deadline, early: early.deadline, moved: now + 0.08}
        for item in (late, early, moved, dropped):
            deadlines.watch(item)
        moved.deadline = due[moved]
        deadlines.forget(dropped)
        for item in (early, moved, late):
            await item.done.wait()
            assert item.expired[0] >= due[item]
        assert early.expired < moved.expired < late.expired
        assert dropped.expired == []
        deadlines.close()

    run(story())


def test_a_deadline_set_while_expiring_is_kept(run):
    """Whoever expires may ask to be called again."""

    async def story():
        loop = asyncio.get_running_loop()
        deadlines = Deadlines(loop)
        item = Item(loop, loop.time() + 0.01, again=0.02)
        deadlines.watch(item)
        await item.done.wait()
        assert len(item.expired) == 2
        assert item.expired[1] - item.expired[0] >= 0.019
        deadlines.close()

    run(story())


def test_many_deadlines_cost_few_wake_ups(run):
    """A thousand deadlines within 50 ms are served by a handful of sweeps, 10 ms apart at least."""

    async def story():
        loop = asyncio.get_running_loop()
        deadlines, now = Deadlines(loop), loop.time()
        items = [Item(loop, now + 0.01 + n * 0.00005) for n in range(1000)]
        for item in items:
            deadlines.watch(item)
        for item in items:
            await item.done.wait()
        deadlines.close()
        return sorted(at for item in items for at in item.expired)

    times = run(story())
    sweeps = 1 + sum(later - earlier > 0.005 for earlier, later in itertools.pairwise(times))
    assert sweeps <= 7


def test_a_mistake_of_one_thing_stops_nobody_elses_clock(run, caplog):
    """Those that are due with it and those that are due later expire all the same; the mistake is logged."""

    class Broken(Item):
        def expire(self) -> None:
            raise KeyError("a mistake")

    async def story():
        loop = asyncio.get_running_loop()
        deadlines, now = Deadlines(loop), loop.time()
        others = [Item(loop, now + 0.01), Item(loop, now + 0.05)]
        for item in (Broken(loop, now + 0.01), *others):
            deadlines.watch(item)
        async with asyncio.timeout(5):
            for item in others:
                await item.done.wait()
        deadlines.close()

    run(story())
    assert "KeyError: 'a mistake'" in caplog.text
