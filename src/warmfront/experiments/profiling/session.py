"""A whole measurement of a task: variants found, measured, summed up, and written beside the rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from warmfront.domain import Profile
from warmfront.experiments.profiling import results
from warmfront.experiments.profiling.figures import Figures, figures, platform_share, profile
from warmfront.experiments.profiling.labelled import Labelled
from warmfront.experiments.profiling.measurements import Measurements
from warmfront.experiments.profiling.profiler import Profiler, Progress, Wanted
from warmfront.experiments.profiling.site import Site

ROWS = "measurements.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came out: figures and profile per variant, which Service each is, and what went wrong or was left out."""

    found: tuple[tuple[Figures, Profile], ...]
    services: dict[str, str]
    troubles: dict[str, str]
    notes: dict[str, str]


async def measure(
    site: Site, task: str, *, names: Sequence[str], data: Labelled, wanted: Wanted, folder: Path,
    changed: Callable[[Progress], None],
) -> Measured:  # fmt: skip
    """Measure what is missing in `folder` and sum up everything that is there.

    With `names` only those are measured and returned; the files tell of the others what was measured before.
    Raises UnknownTask or SetupError when nothing can be measured at all; single variants that fail are `troubles`.
    """
    there = await site.find(task, names)
    with Measurements(folder / ROWS) as book:
        profiler = Profiler(site, there.subjects, data=data, book=book, wanted=wanted, changed=changed)
        await profiler.run()
        troubles = {**there.troubles, **profiler.troubles}
        everyone = (await site.find(task)).subjects if names else there.subjects
        measured = [
            (variant, figures(variant.name, variant.revision, variant.profile, rows, data), rows)
            for variant in (one.variant for one in everyone)
            if variant.name not in troubles and (rows := book.of(variant.revision))
        ]
    share = platform_share([one for _, one, _ in measured])
    found = [(variant, one, profile(one, share.p50 if share else 0.0)) for variant, one, _ in measured]
    results.write(folder, task, found, {variant.revision: rows for variant, _, rows in measured}, data)
    asked = {one.variant.name for one in there.subjects}
    return Measured(
        found=tuple((one, declared) for _, one, declared in found if one.variant in asked),
        services={one.variant.name: one.service for one in there.subjects}, troubles=troubles, notes=profiler.notes,
    )  # fmt: skip
