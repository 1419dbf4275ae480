# ruff: noqa: N999 - named as its command; only ever imported by name
"""`warmfront import PATH`: a model file becomes a variant, ready for `build`, `up` and `deploy`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from warmfront.importing.facts import Facts


@click.command("import")
@click.argument("path")
@click.option("--task", required=True, help="The task that the model answers.")
@click.option("--name", help="The variant's name.  [default: the file's and its kind]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="functions",
    show_default=True,
    help="Where the function's folder goes.",
)
@click.option("--labels", type=click.Path(path_type=Path), help="File with a label a line, in the scores' order.")
@click.option("--trust", is_flag=True, help="Read a pickle, which runs the code in it.")
@click.option("--force", is_flag=True, help="Replace a folder and a manifest that are there.")
def command(
    *, path: str, task: str, name: str | None, out: Path, labels: Path | None, trust: bool, force: bool
) -> None:
    """Make a function folder and a manifest of a model.

    PATH is a TensorFlow SavedModel folder, an ONNX, LiteRT (.tflite) or scikit-learn (joblib, pickle) file, or a
    handle: tfhub:google/... or kaggle:OWNER/MODEL/FRAMEWORK/VARIATION. What it takes and gives is read from the
    model itself.
    """
    from warmfront.function.imported.kinds import KINDS
    from warmfront.importing.facts import read_facts
    from warmfront.importing.folder import Imported, example_of, name_of, write
    from warmfront.importing.source import find_source

    source = find_source(path)
    variant = name_of(source, name, task)
    facts = read_facts(source, labels, trust=trust)
    origin = source.path.name if Path(path).exists() else path
    imported = Imported(origin=origin, source=source, facts=facts, task=task, name=variant, labels=labels)
    folder, slot, listed = write(imported, out, force=force)

    click.echo(f"{variant}: {KINDS[source.kind].title} for the task {task}")
    for line in _signature(facts):
        click.echo(line)
    for note in facts.notes:
        click.echo(f"note     {note}")
    click.echo(f"wrote    {folder}/")
    click.echo(f"wrote    {slot.file}{'' if listed else f'; list it in {slot.kustomization} as {slot.entry}'}")
    click.echo(f"next     warmfront build {folder.name}; warmfront up")
    body = example_of(facts.inputs)
    given = shlex.quote(body) if body else "- < FILE    # JSON of that shape, one example"
    click.echo(f"ask      warmfront infer {task} {given}")


def _signature(facts: "Facts") -> list[str]:
    """A line for each tensor, with what is made of it."""
    said = {facts.label: "the label", facts.scores: "a score per label"} if facts.classifies else {}
    rows = [("in", *item) for item in facts.inputs.items()] + [("out", *item) for item in facts.outputs.items()]
    width = max(len(name) for _, name, _ in rows)
    return [f"{way:<8} {name:<{width}}  {spec:<16} {said.get(name, '')}".rstrip() for way, name, spec in rows]
