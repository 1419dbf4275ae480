"""How a plan is shown in a terminal: tables that fit 80 columns."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from warmfront.cli.evaluation import counted
from warmfront.experiments.metrics import Interval
from warmfront.experiments.planning.candidates import Candidate, Setting
from warmfront.experiments.planning.search import LEAST_SEEDS, Plan
from warmfront.experiments.planning.trials import Judged


def standings(plan: Plan, per_day: float) -> Table:
    """The best candidates, what there is now, and the selector that keeps by itself; `per_day` requests."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("setting", width=26, overflow="fold")
    for heading in ("utility", "right,\non time", "on\ntime", "right", "cold\nwaits", "GB-hours\nper day"):
        table.add_column(heading, justify="right", no_wrap=True)
    for i, one in enumerate(plan.ranked):
        if one.trial == plan.present.trial:
            continue
        table.add_row(
            name_of(one.trial.candidate, plan.present.trial.candidate),
            *_cells(one, per_day),
            style="bold" if i == 0 else None,
        )
    table.add_row("as it is now", *_cells(plan.present, per_day))
    table.add_row("now, WARMFRONT_KEEP_WARM=on", *_cells(plan.keeper, per_day))
    return table


def variants(best: Judged, present: Candidate) -> Table:
    """The best setting of each variant, in brackets what it is now, and the share of the requests it answers."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("variant", "min-scale", "window", "concurrency", "answers"):
        table.add_column(heading, justify="left" if heading == "variant" else "right", no_wrap=True)
    before = dict(present.settings)
    for name, one in best.trial.candidate.settings:
        was = before.get(name, Setting())
        table.add_row(
            name, _cell(one.min_scale, was.min_scale), _cell(f"{one.window_s}s", f"{was.window_s}s"),
            _cell(_limit(one.concurrency), _limit(was.concurrency)), f"{best.answers.get(name, 0.0):.1%}",
        )  # fmt: skip
    return table


def verdict(plan: Plan) -> Iterator[str]:
    """What is gained beyond the present, whether that is beyond chance, and who is never asked."""
    best, count = plan.best, len(plan.best.utilities)
    gain, seeds = _gain(best.gain(plan.present), count), counted(count)
    if plan.pays:
        yield f"better than now by {gain} of utility per request ({seeds}, paired)"
    elif best.trial == plan.present.trial:
        yield "leave it as it is: nothing that was tried is better"
    else:
        least = f"; at least {LEAST_SEEDS} are wanted" if count < LEAST_SEEDS else ""
        yield (
            f"leave it as it is: the best is better by {gain} of utility per request, "
            f"which {seeds} cannot tell from chance (more: --seeds 100-119{least})"
        )
    if plan.keeping_pays:
        more = plan.keeper.gain(best)
        yield f"a selector that keeps by itself (WARMFRONT_KEEP_WARM=on) is better still, by {_gain(more, count)}"
    idle = [name for name, _ in best.trial.candidate.settings if not best.answers.get(name)]
    if idle and (plan.pays or best.trial == plan.present.trial):
        yield f"never asked, so not needed for these arrivals: {', '.join(idle)}"


def name_of(candidate: Candidate, present: Candidate) -> str:
    """`keep A, B x2; window 30s; 4 at once: A`: what is kept, and what else is not as it is now."""
    kept = [
        name + (f" x{one.min_scale}" if one.min_scale > 1 else "") for name, one in candidate.settings if one.min_scale
    ]
    words = [f"keep {', '.join(kept)}" if kept else "keep none"]
    before = dict(present.settings)
    changed: dict[str, list[str]] = {}
    for name, one in candidate.settings:
        if one.window_s != before[name].window_s:
            changed.setdefault(f"window {one.window_s}s", []).append(name)
        if one.concurrency != before[name].concurrency:
            changed.setdefault(f"{_limit(one.concurrency)} at once", []).append(name)
    for change, names in changed.items():
        words.append(change if len(names) == len(candidate.settings) else f"{change}: {', '.join(names)}")
    return "; ".join(words)


def _cells(one: Judged, per_day: float) -> list[Text]:
    right = "-" if one.accuracy is None else f"{one.accuracy:.3f}"
    plain = [
        f"{one.effective_accuracy.mean:.3f}", f"{one.on_time.mean:.3f}", right, f"{one.cold_wait_share:.1%}",
        f"{one.gb_s_per_request.mean * per_day / 3600:.1f}",
    ]  # fmt: skip
    utility = Text(f"{one.utility.mean:z.3f}\n")
    if len(one.utilities) == 1:
        return [utility, *map(Text, plain)]
    low, high = (f"{edge:z.3f}".replace("0.", ".", 1) for edge in (one.utility.low, one.utility.high))
    utility.append(f"{low} to {high}", style="dim not bold")
    return [utility, *map(Text, plain)]


def _cell(new: object, old: object) -> str:
    return str(new) if new == old else f"{new} ({old})"


def _limit(concurrency: int) -> str:
    return str(concurrency) if concurrency else "any"


def _gain(gain: Interval, seeds: int) -> str:
    """With its interval, which one seed does not have."""
    if seeds == 1:
        return f"{gain.mean:+z.4f}"
    return f"{gain.mean:+z.4f} ({gain.low:+z.4f} to {gain.high:+z.4f})"
