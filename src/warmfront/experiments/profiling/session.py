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

    Raises UnknownTask or SetupError when nothing can be measured at all; single variants that fail are `troubles`.
    """
    there = await site.find(task, names)
    with Measurements(folder / ROWS) as book:
        profiler = Profiler(site, there.subjects, data=data, book=book, wanted=wanted, changed=changed)
        await profiler.run()
        troubles = {**there.troubles, **profiler.troubles}
        measured = [
            (one.variant, figures(one.variant.name, one.variant.revision, one.variant.profile,
                                  book.of(one.variant.revision), data))
            for one in there.subjects if one.variant.name not in troubles
        ]  # fmt: skip
        share = platform_share([one for _, one in measured])
        found = [(variant, one, profile(one, share.p50 if share else 0.0)) for variant, one in measured]
        rows = {variant.revision: book.of(variant.revision) for variant, _ in measured}
        results.write(folder, task, found, rows, data)
    return Measured(
        found=tuple((one, declared) for _, one, declared in found),
        services={one.variant.name: one.service for one in there.subjects}, troubles=troubles, notes=profiler.notes,
    )  # fmt: skip
