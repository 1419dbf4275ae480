"""Measures variants one after the other: cold starts in rounds, then warm answers, then memory.

Only one variant is asked at a time, for they share a machine. What is in the book already is not measured again. A
variant that fails is given up with its reason; the others go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from warmfront.errors import SetupError, WarmfrontError
from warmfront.experiments.profiling.asking import complaint, label_of, protocol_of, question, told_s
from warmfront.experiments.profiling.labelled import Labelled, Sample
from warmfront.experiments.profiling.measurements import AnswerRow, Measurements, MemoryRow, StartRow
from warmfront.experiments.profiling.site import Site, Subject
from warmfront.wire.messages import Response, first
from warmfront.wire.pool import Origin, Pool

LEVELS = (1, 2, 4)
_AT_LEVEL = 100  # inputs at each level of concurrency above one
_WARM_UP = 5  # answers before those that count
_TRIES = 3  # to find a variant at zero: somebody else may wake it
_ENDING_S = 2.0  # so long may a replica that is no longer ready still be sent requests
_LOOK_S = 1.0  # between two looks at what the platform says of a start
_SURE = 3  # looks in a row that find it broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How much is measured: `starts` that count, and after how many seconds one is given up."""

    starts: int = 5
    start_timeout_s: float = 120.0
    request_timeout_s: float = 60.0


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a measurement is. `remaining_s` is by what it took so far."""

    variant: str = ""
    stage: str = ""
    remaining_s: float = 0.0
    spent_s: float = 0.0

    @property
    def share(self) -> float:
        """How much is done, by time: a start takes as long as a thousand answers."""
        whole = self.spent_s + self.remaining_s
        return self.spent_s / whole if whole else 1.0


@dataclass(slots=True)
class _Pace:
    """How long one step of a kind takes: a guess, until some were seen."""

    guess_s: float
    spent_s: float = 0.0
    done: int = 0
    left: int = 0

    def step(self, took_s: float) -> None:
        self.spent_s += took_s
        self.done += 1
        self.left = max(self.left - 1, 0)

    @property
    def remaining_s(self) -> float:
        return self.left * (self.spent_s / self.done if self.done else self.guess_s)


@dataclass(slots=True)
class _Bill:
    """All that is to be done: starts of each variant, for they differ a hundredfold, and answers."""

    starts: dict[str, _Pace] = field(default_factory=dict)
    answers: _Pace = field(default_factory=lambda: _Pace(0.01))

    @property
    def paces(self) -> list[_Pace]:
        return [*self.starts.values(), self.answers]


class Profiler:
    """Runs once; `troubles` then says why variants were given up."""

    def __init__(
        self, site: Site, subjects: Sequence[Subject], *, data: Labelled, book: Measurements, wanted: Wanted,
        changed: Callable[[Progress], None],
    ) -> None:  # fmt: skip
        self.troubles: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self._site, self._subjects, self._data, self._book, self._wanted = site, subjects, data, book, wanted
        self._changed = changed
        self._progress = Progress()
        self._bill = _Bill()
        self._inputs = (*data.samples, *data.long)
        self._pool = Pool()

    async def run(self) -> None:
        """Measure what is missing. Scaling that was changed is given back, whatever happens."""
        await self._site.give_back(self._book.lent(), self._book)
        for subject in self._subjects:
            self._bill.starts[subject.variant.name] = _Pace(10.0, left=self._starts_left(subject))
            self._bill.answers.left += sum(len(self._missing(subject, level)) for level in LEVELS)
        try:
            for subject in self._subjects:
                await self._attempt(subject, self._prepare)
            for _ in range(self._wanted.starts + 1):
                for subject in self._alive():
                    if self._starts_left(subject):
                        await self._attempt(subject, self._start)
                        if not self._starts_left(subject):  # it is warm now, which saves another start
                            await self._attempt(subject, self._warm)
            for subject in self._alive():
                await self._attempt(subject, self._warm)
        finally:
            await self._site.give_back(self._book.lent(), self._book)
            await self._pool.close()

    def _alive(self) -> list[Subject]:
        return [subject for subject in self._subjects if subject.variant.name not in self.troubles]

    async def _attempt(self, subject: Subject, act: Callable[[Subject], Awaitable[None]]) -> None:
        """One step with a variant; when it fails the variant is given up, in the platform's words if there are any."""
        try:
            await act(subject)
        except WarmfrontError as error:
            reason = await self._site.reason(subject)
            self.troubles[subject.variant.name] = f"{error}" + (f"; {reason}" if reason else "")
            self._bill.starts[subject.variant.name].left = 0
            lost = sum(len(self._missing(subject, level)) for level in LEVELS)
            self._bill.answers.left -= min(lost, self._bill.answers.left)

    async def _prepare(self, subject: Subject) -> None:
        protocol_of(subject.variant)
        if self._starts_left(subject) and (said := await self._site.lend(subject, self._book)):
            self.notes[subject.variant.name] = said

    # cold starts

    def _starts_left(self, subject: Subject) -> int:
        rows = [row for row in self._book.of(subject.variant.revision) if isinstance(row, StartRow)]
        counted = sum(row.counted for row in rows)
        missing = max(self._wanted.starts - counted, 0)
        return missing + (1 if missing and not rows else 0)

    async def _start(self, subject: Subject) -> None:
        began = _now()
        for _ in range(_TRIES):
            self._tell(subject, "waiting for zero")
            await self._site.until_zero(subject)
            self._tell(subject, "starting")
            row = await self._cold(subject)
            if row is not None:
                self._book.add(row)
                self._bill.starts[subject.variant.name].step(_now() - began)
                self._tell(subject, "started")
                return
            await asyncio.sleep(_ENDING_S)
        raise SetupError(f"somebody else woke it {_TRIES} times; stop its traffic while it is measured")

    async def _cold(self, subject: Subject) -> StartRow | None:
        """One start from zero, split by what the reply tells; None when the replica was not new."""
        path, headers, body = question(subject.variant, self._data.samples[0].body, self._data.content_type)
        asked = _now()
        reply = await self._unless_broken(
            subject, self._ask(subject, path, headers, body, self._wanted.start_timeout_s)
        )
        total = _now() - asked
        if first(reply.headers, b"warmfront-first-request") == b"false":
            return None
        rows = [row for row in self._book.of(subject.variant.revision) if isinstance(row, StartRow)]
        load, uptime, execution = (told_s(reply, name) for name in ("load", "uptime", "execution"))
        platform = answer = None
        if load is not None and uptime is not None:
            platform = max(total - uptime - (execution or 0.0), 0.0)
            answer = max(total - platform - load, 0.0)
        return StartRow(
            variant=subject.variant.name, revision=subject.variant.revision, counted=bool(rows), total_s=total,
            platform_s=platform, load_s=load, answer_s=answer,
        )  # fmt: skip

    async def _unless_broken(self, subject: Subject, asking: Coroutine[None, None, Response]) -> Response:
        """The reply, unless the platform keeps saying meanwhile that the variant cannot start."""
        task = asyncio.create_task(asking)
        said = 0
        try:
            while not (await asyncio.wait([task], timeout=_LOOK_S))[0]:
                said = said + 1 if await self._site.reason(subject) else 0
                if said == _SURE:
                    raise SetupError("it does not start")
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # warm answers

    def _missing(self, subject: Subject, level: int) -> list[int]:
        """Indices of the inputs that were not asked yet with so many in flight."""
        total = len(self._inputs)
        own = len(self._data.samples)
        wanted = range(total) if level == 1 else sorted({i * own // _AT_LEVEL for i in range(_AT_LEVEL)})
        there = {
            row.index for row in self._book.of(subject.variant.revision)
            if isinstance(row, AnswerRow) and row.data == self._data.digest and row.in_flight == level
        }  # fmt: skip
        return [index for index in wanted if index not in there]

    async def _warm(self, subject: Subject) -> None:
        rows = self._book.of(subject.variant.revision)
        missing = {level: self._missing(subject, level) for level in LEVELS}
        if not any(missing.values()) and any(isinstance(row, MemoryRow) for row in rows):
            return
        self._tell(subject, "warming up")
        for _ in range(_WARM_UP):
            path, headers, body = question(subject.variant, self._data.samples[0].body, self._data.content_type)
            await self._ask(subject, path, headers, body, self._wanted.start_timeout_s)
        for level in LEVELS:
            await self._level(subject, level, missing[level])
        if held := await self._site.memory(subject):
            name, revision = subject.variant.name, subject.variant.revision
            self._book.add(MemoryRow(variant=name, revision=revision, memory_mb=round(held[0], 1), source=held[1]))
        else:
            self.notes.setdefault(subject.variant.name, "nobody tells its memory; what was declared is kept")

    async def _level(self, subject: Subject, level: int, indices: Sequence[int]) -> None:
        waiting = iter(indices)

        async def caller() -> None:
            for index in waiting:
                await self._answer(subject, level, index, self._inputs[index])

        callers = [asyncio.create_task(caller()) for _ in range(min(level, len(indices)))]
        try:
            for task in callers:
                await task
        finally:
            for task in callers:
                task.cancel()
            await asyncio.gather(*callers, return_exceptions=True)

    async def _answer(self, subject: Subject, level: int, index: int, sample: Sample) -> None:
        path, headers, body = question(subject.variant, sample.body, self._data.content_type)
        began = _now()
        reply = await self._ask(subject, path, headers, body, self._wanted.request_timeout_s, may_refuse=True)
        took = _now() - began
        refused = reply.status != 200
        label = None if refused else label_of(reply)
        self._book.add(
            AnswerRow(
                variant=subject.variant.name, revision=subject.variant.revision, data=self._data.digest, index=index,
                in_flight=level, size_bytes=len(sample.body), label=label,
                right=None if sample.label is None else label == sample.label, round_trip_s=took,
                execution_s=told_s(reply, "execution"), refused=refused,
            )
        )  # fmt: skip
        self._bill.answers.step(took / level)
        self._tell(subject, "answers" if level == 1 else f"{level} at once")

    async def _ask(
        self, subject: Subject, path: str, headers: list[tuple[bytes, bytes]], body: bytes, timeout_s: float,
        *, may_refuse: bool = False,
    ) -> Response:  # fmt: skip
        """A good reply, or one that refuses the input (4xx) where that may be. Raises SetupError for every other."""
        origin = Origin.parse(subject.variant.url)
        reply = await self._pool.fetch(origin, "POST", path, headers, body, timeout_s=timeout_s)
        refused = may_refuse and 400 <= reply.status < 500 and reply.status not in {404, 408, 429}
        if reply.status != 200 and not refused:
            raise SetupError(f"it answered {complaint(reply)}")
        return reply

    def _tell(self, subject: Subject, stage: str) -> None:
        self._progress.variant, self._progress.stage = subject.variant.name, stage
        self._progress.remaining_s = sum(pace.remaining_s for pace in self._bill.paces)
        self._progress.spent_s = sum(pace.spent_s for pace in self._bill.paces)
        self._changed(self._progress)


def _now() -> float:
    return asyncio.get_running_loop().time()
