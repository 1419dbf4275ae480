"""From rows to the figures of a variant, and from figures to its profile. Pure: no connection, no clock, no file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from warmfront.domain import Profile, Spread
from warmfront.experiments.profiling.labelled import Labelled
from warmfront.experiments.profiling.measurements import AnswerRow, MemoryRow, Row, StartRow
from warmfront.experiments.profiling.statistics import LEAST, Share, Times, per_kib, size_classes, times

_LEAST_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeClass:
    """Inputs above `above` bytes and up to `up_to`, their median size, how right and how fast the answers were."""

    above: int
    up_to: int
    size: int
    accuracy: Share
    warm: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Answers with so many requests in flight at once: round trips, the model's own time, answers per second."""

    in_flight: int
    round_trip: Times
    execution: Times | None
    per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured of one revision. None or empty: not measured (yet). Times in s, memory in MB.

    `warm` is the model's own time when the variant tells it (`told`), else the round trip; `base` is that without what
    the size adds. `declared` is what its
    profile said before, `right` the indices of the inputs that were answered right.
    """

    variant: str
    revision: str
    declared: Profile
    total: Times | None = None
    platform: Times | None = None
    load: Times | None = None
    answer: Times | None = None
    warm: Times | None = None
    told: bool = False
    base: Times | None = None
    per_kib_s: float = 0.0
    accuracy: Share | None = None
    right: frozenset[int] = frozenset()
    by_size: tuple[SizeClass, ...] = ()
    by_group: dict[str, Share] = field(default_factory=dict)
    by_load: tuple[Load, ...] = ()
    memory_mb: float | None = None
    memory_source: str = ""

    @property
    def from_zero_s(self) -> float | None:
        """Asked at zero replicas to the answer, median."""
        return self.total.p50 if self.total else None

    @property
    def slowdown_s(self) -> float:
        """What every other request on the same replica adds to an execution: 1 ms alone and 4 ms among four is 1 ms."""
        told = {one.in_flight: one.execution for one in self.by_load if one.execution is not None}
        if len(told) < 2 or 1 not in told:
            return 0.0
        most = max(told)
        return max(0.0, (told[most].p50 - told[1].p50) / (most - 1))


def figures(variant: str, revision: str, declared: Profile, rows: Sequence[Row], data: Labelled) -> Figures:
    """Everything that the rows of this revision say, with the inputs of `data`."""
    starts = [row for row in rows if isinstance(row, StartRow) and row.counted]
    answers = [row for row in rows if isinstance(row, AnswerRow) and row.data == data.digest]
    memory = next((row for row in reversed(rows) if isinstance(row, MemoryRow)), None)
    own = len(data.samples)
    judged = [row for row in answers if row.in_flight == 1 and row.right is not None]
    answers = [row for row in answers if not row.refused]
    alone = [row for row in answers if row.in_flight == 1 and row.index < own]
    long = [row for row in answers if row.in_flight == 1 and row.index >= own]
    slope = per_kib(*([(row.size_bytes, _took(row)) for row in part] for part in (alone, long)))
    return Figures(
        variant=variant, revision=revision, declared=declared,
        total=times([row.total_s for row in starts]),
        platform=times([row.platform_s for row in starts if row.platform_s is not None]),
        load=times([row.load_s for row in starts if row.load_s is not None]),
        answer=times([row.answer_s for row in starts if row.answer_s is not None]),
        warm=times([_took(row) for row in alone]),
        told=bool(alone) and all(row.execution_s is not None for row in alone),
        per_kib_s=slope, base=times([max(_took(row) - slope * row.size_bytes / 1024, _LEAST_S) for row in alone]),
        accuracy=_share(judged), right=frozenset(row.index for row in judged if row.right),
        by_size=tuple(_by_size(judged)),
        by_group=_by_group(judged, data), by_load=tuple(_by_load(answers, own)),
        memory_mb=memory.memory_mb if memory else None, memory_source=memory.source if memory else "",
    )  # fmt: skip


def profile(one: Figures, platform_s: float) -> Profile:
    """What to declare of the variant; where nothing was measured, what was declared before stays.

    `cold_start_s` is process start to ready. Of a variant that does not tell it, it is the whole start less the warm
    answer and `platform_s`, the platform's share as others told it. Its p95 is the slowest start or twice the median,
    whichever is more: a start seldom has the machine to itself. p50 and p95 of the latency are without what the size
    adds. Two significant digits: more would claim what a shared machine cannot tell.
    """
    was = one.declared
    return Profile(
        accuracy=was.accuracy if one.accuracy is None else round(one.accuracy.value, 3),
        accuracy_by_bytes=tuple((c.size, round(c.accuracy.value, 3)) for c in one.by_size if c.accuracy.total >= LEAST)
        or was.accuracy_by_bytes,
        latency_s=was.latency_s if one.base is None else Spread(p50=_tidy(one.base.p50), p95=_tidy(one.base.p95)),
        latency_per_kib_s=was.latency_per_kib_s if one.warm is None else _tidy(one.per_kib_s),
        cold_start_s=_cold(one, platform_s) or was.cold_start_s,
        memory_mb=was.memory_mb if one.memory_mb is None else round(one.memory_mb),
    )


def platform_share(all_figures: Sequence[Figures]) -> Times | None:
    """The platform's share of a start, over all variants that tell it."""
    found = [one.platform for one in all_figures if one.platform is not None]
    if not found:
        return None
    return Times(sum(one.n for one in found), median(one.p50 for one in found), max(one.p95 for one in found))


def _cold(one: Figures, platform_s: float) -> Spread | None:
    law = one.load
    if law is None and one.total is not None and one.warm is not None:
        rest = one.warm.p50 + platform_s
        law = Times(one.total.n, max(one.total.p50 - rest, 1e-3), max(one.total.p95 - rest, 1e-3))
    if law is None:
        return None
    return Spread(p50=_tidy(law.p50), p95=_tidy(max(law.p95, 2 * law.p50)))


def _took(row: AnswerRow) -> float:
    return row.round_trip_s if row.execution_s is None else row.execution_s


def _share(rows: Sequence[AnswerRow]) -> Share | None:
    return Share(sum(bool(row.right) for row in rows), len(rows)) if rows else None


def _by_size(rows: Sequence[AnswerRow]) -> list[SizeClass]:
    found = []
    for above, up_to in size_classes([row.size_bytes for row in rows]):
        inside = [row for row in rows if above < row.size_bytes <= up_to or row.size_bytes == above == 0]
        share, warm = _share(inside), times([_took(row) for row in inside if not row.refused])
        if share is not None and warm is not None:
            size = round(median(row.size_bytes for row in inside))
            found.append(SizeClass(above=above, up_to=up_to, size=size, accuracy=share, warm=warm))
    return found


def _by_group(rows: Sequence[AnswerRow], data: Labelled) -> dict[str, Share]:
    """By the column asked for; empty when none was."""
    groups: dict[str, list[AnswerRow]] = {}
    for row in rows:
        groups.setdefault(data.samples[row.index].group, []).append(row)
    if set(groups) <= {""}:
        return {}
    return {name: Share(sum(bool(row.right) for row in same), len(same)) for name, same in sorted(groups.items())}


def _by_load(rows: Sequence[AnswerRow], own: int) -> list[Load]:
    """The same inputs at every level, so that the levels can be compared."""
    levels = sorted({row.in_flight for row in rows})
    inputs = [{row.index for row in rows if row.in_flight == level and row.index < own} for level in levels]
    common = set.intersection(*inputs) if inputs else set()
    found = []
    for level in levels:
        mine = [row for row in rows if row.in_flight == level and row.index in common]
        trips = times([row.round_trip_s for row in mine])
        if trips is None:
            continue
        told = [row.execution_s for row in mine if row.execution_s is not None]
        mean = sum(row.round_trip_s for row in mine) / len(mine)
        found.append(
            Load(in_flight=level, round_trip=trips, execution=times(told), per_second=level / mean if mean else 0.0)
        )
    return found


def _tidy(seconds: float) -> float:
    return float(f"{seconds:.2g}")
