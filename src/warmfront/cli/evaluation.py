"""What commands about policies have in common: policies, scenarios, seeds and overrides as people type them."""

import re
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

FOLDER = click.Path(file_okay=False, path_type=Path)


class ScenarioName(click.ParamType[str]):
    """A shipped scenario's name or the path of a scenario file; the shell completes names."""

    name = "scenario"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The shipped names, then files."""
        from warmfront.experiments.scenarios import names

        found = [CompletionItem(name) for name in names() if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


class Seeds(click.ParamType[list[int]]):
    """How many seeds, counted from 0, or a range such as 100-109."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """All of them, rising."""
        if isinstance(value, list):
            return value
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", str(value))
        if match is not None:
            first, last = (0, int(match[1]) - 1) if match[2] is None else (int(match[1]), int(match[2]))
            if first <= last:
                return list(range(first, last + 1))
        raise click.BadParameter(
            f"{value!r} are no seeds; write how many, such as 10, or a range such as 100-109", ctx, param
        )


def counted(seeds: int) -> str:
    """`1 seed`, `10 seeds`."""
    return f"{seeds} seed" if seeds == 1 else f"{seeds} seeds"


class PolicyOption(click.Option):
    """An option that names policies. Its help lists them; they are imported when somebody asks for it."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option's line, with the names."""
        from warmfront.selection.policies import POLICIES

        record = super().get_help_record(ctx)
        return record and (record[0], f"{record[1]}  Policies: {', '.join(POLICIES)}.")


def scenario_options(function: Any) -> Any:
    """SCENARIO, `--set` and `--data`."""
    for decorate in (
        click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="WARMFRONT_DATA",
                     help="Folder with measured traces and profiles.  [default: ../shared/data, else stand-ins]"),
        click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE",
                     help="Change a field of the scenario, such as platform.window_s=10. May be repeated."),
        click.argument("scenario", type=ScenarioName()),
    ):  # fmt: skip
        function = decorate(function)
    return function
