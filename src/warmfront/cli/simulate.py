"""`warmfront simulate SCENARIO`: one policy, one seed, on the virtual clock; all rows to a file."""

from pathlib import Path

import click

from warmfront.cli.evaluation import PolicyOption, scenario_options


@click.command("simulate")
@scenario_options
@click.option(
    "--policy",
    cls=PolicyOption,
    default="effective",
    show_default=True,
    help="A policy, perhaps with @no-keep, @keep:cheapest.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws requests and chance.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Records as JSON lines.")
@click.option("--explain", is_flag=True, help="Write every decision too, with the numbers of all candidates.")
def command(
    *, scenario: str, overrides: tuple[str, ...], data: Path | None, policy: str, seed: int, out: Path, explain: bool
) -> None:
    """Play SCENARIO under one policy and write what became of every request and replica.

    SCENARIO is a shipped name, such as langid-poisson-0.01, or a scenario.toml of your own.
    """
    from rich.console import Console

    from warmfront.cli.standings import facts
    from warmfront.experiments.contenders import contender
    from warmfront.experiments.metrics import summarise
    from warmfront.experiments.scenarios import load
    from warmfront.telemetry.records import RecordFile

    loaded = load(scenario, data, overrides)
    run = contender(policy).play(loaded, seed, explain=explain)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    records = RecordFile(out)
    for request in run.requests:
        records.write(request)
    for replica in run.replicas:
        records.write(replica)
    for decision in run.decisions:
        records.write(decision)
    records.close()
    console = Console(highlight=False)
    console.print(f"{loaded.name}: {', '.join(f'{key} from {value}' for key, value in loaded.sources.items())}")
    summary = summarise(
        run.requests, run.replicas, price_per_gb_s=loaded.price_per_gb_s,
        waiting_price_per_s=loaded.settings.waiting_price_per_s,
    )  # fmt: skip
    console.print(facts(summary))
    rows = f"{len(run.requests)} request rows and {len(run.replicas)} replica rows"
    if explain:
        rows = (
            f"{len(run.requests)} request rows, {len(run.replicas)} replica rows and {len(run.decisions)} decision rows"
        )
    console.print(f"{rows} in {out}", markup=False)
