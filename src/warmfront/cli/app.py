"""The command group: names, one-line helps and where each command lives."""

import importlib
from typing import Any

import click

# name -> module, in the order of `--help`
_COMMANDS = {
    "demo": "route real texts under four policies on this machine and print the comparison",
    "up": "run Knative and everything in knative/ on this machine",
    "infer": "ask a task; see the answer, the chosen variant and why",
    "explain": "see which variant would answer and why, without asking any",
    "tasks": "list tasks, or one task's variants with their estimates",
    "warm-set": "see which variants are awake, which should be, and why",
    "warm": "keep a variant warm for a while",
    "release": "keep a variant warm no longer",
    "simulate": "play a scenario under one policy on a virtual clock",
    "compare": "compare policies on a scenario: table, summary.json, HTML report",
    "profile": "measure a task's variants: starts, latency, accuracy, memory",
    "plan": "which variants to keep warm and how they scale, for a trace",
    "experiment": "play a scenario on a real Knative, with its simulation beside it",
    "letters": "list events that nobody took, with the reason",
    "deploy": "put everything in knative/ on a cluster, by kn, until all is Ready",
    "undeploy": "remove what deploy has created",
    "doctor": "check a cluster or this machine; each finding with its remedy",
    "import": "make a variant of a model file: SavedModel, ONNX, LiteRT, scikit-learn",
    "build": "make the environments or the images that functions run in",
    "completion": "print the shell completion script",
}


class _LazyGroup(click.Group):
    """Imports a command's module only when that command runs; `--help` reads the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"warmfront.cli.{name.replace('-', '_')}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Ctrl-C ends it as it ends other programs: with status 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            raise SystemExit(130) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(package_name="warmfront", prog_name="warmfront")
def cli() -> None:
    """For every inference request, the model variant that best meets its deadline and its accuracy.

    Start with `warmfront up`, then `warmfront infer langid "Guten Morgen" --deadline 300ms` in a second terminal.
    """
