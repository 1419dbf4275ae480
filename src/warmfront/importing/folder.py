"""Writes the function folder of a model and its manifest: all of it, or nothing.

What lives here: names, and which text goes where. What must not: reading models.
"""

import json
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from warmfront.errors import SetupError
from warmfront.function.imported.kinds import KINDS
from warmfront.function.imported.signature import TensorSpec
from warmfront.importing.facts import Facts
from warmfront.importing.listing import Slot, list_in, slot_for
from warmfront.importing.source import Source

_SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_TASK = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_SHOWN = 16
_TEMPLATES = Path(__file__).with_name("files")
_LABELS = '\n    labels=HERE / "labels.txt",'
FILES = ("main.py", "requirements.txt", "Procfile", "Containerfile", "README.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A model that can be written: from where, what it is, as which variant of which task, with which labels."""

    origin: str
    source: Source
    facts: Facts
    task: str
    name: str
    labels: Path | None

    @property
    def folder(self) -> str:
        """The function folder's name."""
        return self.name.replace("-", "_")


def name_of(source: Source, name: str | None, task: str) -> str:
    """The variant's name: the given one, else the file's with its kind behind it.

    Raises:
        SetupError: Kubernetes takes no such name, or no such task as a label.
    """
    if not _TASK.fullmatch(task):
        raise SetupError(f"task {task!r}: wanted at most 63 letters, digits, -, _ and ., such as iris")
    path = source.path.parent if source.path.name.isdigit() else source.path  # of versions
    stem = re.sub(r"[^a-z0-9]+", "-", (source.called or path.stem).lower()).strip("-") or task.lower()
    made = name or f"{stem}-{source.kind}"
    if not _SERVICE.fullmatch(made):
        raise SetupError(
            f"name {made!r}: wanted at most 63 of a-z, 0-9 and hyphens, a letter first, no hyphen last; give --name"
        )
    return made


def write(imported: Imported, out: Path, *, force: bool) -> tuple[Path, Slot, bool]:
    """The folder, where the manifest went, and whether the kustomization lists it now.

    `out` is `functions/` of a project, or the project's own folder; the manifest goes into `knative/` of the project.

    Raises:
        SetupError: the folder or the manifest is there already and `force` is not given.
    """
    root = out.parent if out.name == "functions" else out
    target = out / imported.folder
    slot = slot_for(root / "knative", imported.name)
    if not force and (taken := [path for path in (target, slot.file) if path.exists()]):
        raise SetupError(f"{taken[0]} is there already; give another --name, or --force to replace it")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=out) as made:
        folder = Path(made) / imported.folder
        folder.mkdir()
        _fill(folder, imported, target.relative_to(root).as_posix())
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    slot.file.parent.mkdir(parents=True, exist_ok=True)
    texts = {"name": imported.name, "task": imported.task, "title": KINDS[imported.source.kind].title}
    slot.file.write_text(_filled("service.yaml", texts), encoding="utf-8")
    return target, slot, slot.kustomization is None or list_in(slot.kustomization, slot.entry)


def example_of(inputs: Mapping[str, str]) -> str | None:
    """A raw body for the model, zeros or a word, to show how one is asked; None when it would be long."""
    specs = [TensorSpec.parse(*item) for item in inputs.items()]
    values = {}
    for spec in specs:
        size = spec.row_size
        if size is None or size > _SHOWN:
            return None
        values[spec.name] = _zeros(list(spec.row), "word" if spec.datatype == "BYTES" else 0)
    if len(specs) == 1:
        value = values[specs[0].name]
        return value if isinstance(value, str) else json.dumps(value)
    return json.dumps(values)


def _zeros(shape: list[int], value: object) -> object:
    return [_zeros(shape[1:], value) for _ in range(shape[0])] if shape else value


def _fill(folder: Path, imported: Imported, place: str) -> None:
    source, model = imported.source, imported.source.name
    copies = []
    if source.path.is_dir():
        shutil.copytree(source.path, folder / model)
        copies.append(f"COPY {place}/{model} {model}/")
    else:
        files = {source.path: model, **{file: file.name for file in source.beside}}
        for file, name in files.items():
            shutil.copy2(file, folder / name)
        copies.append(_copy([f"{place}/{name}" for name in files.values()]))
    if imported.labels:
        shutil.copy2(imported.labels, folder / "labels.txt")
        copies.append(f"COPY {place}/labels.txt ./")
    title = KINDS[source.kind].title
    packages = "\n".join(f"{package}=={version}" for package, version in imported.facts.versions.items())
    texts = {
        "title": title[0].upper() + title[1:],
        "model": model,
        "file": json.dumps(model),
        "task": imported.task,
        "kind": source.kind,
        "name": imported.name,
        "folder": folder.name,
        "place": place,
        "inputs": _literal(imported.facts.inputs),
        "outputs": _literal(imported.facts.outputs),
        "labels": _LABELS if imported.labels else "",
        "packages": packages,
        "copies": "\n".join(copies),
        **_words(imported),
    }
    for name in FILES:
        (folder / name).write_text(_filled(name, texts), encoding="utf-8")


def _copy(files: list[str]) -> str:
    """The instruction that copies files into the image; names with blanks need its JSON form."""
    plain = not any(" " in file for file in files)
    return f"COPY {' '.join(files)} ./" if plain else f"COPY {json.dumps([*files, './'])}"


def _filled(name: str, texts: Mapping[str, str]) -> str:
    return Template((_TEMPLATES / f"{name}.template").read_text(encoding="utf-8")).substitute(texts)


def _literal(tensors: Mapping[str, str]) -> str:
    return ", ".join(f"{json.dumps(name)}: {json.dumps(spec)}" for name, spec in tensors.items())


def _words(imported: Imported) -> dict[str, str]:
    """What only the README says."""
    facts = imported.facts
    rows = [("in", *item) for item in facts.inputs.items()] + [("out", *item) for item in facts.outputs.items()]
    body = example_of(facts.inputs)
    return {
        "origin": imported.origin,
        "answer": "a label and its score" if facts.classifies else "the model's own numbers",
        "tensors": "\n".join(f"| {way} | `{name}` | {spec} |" for way, name, spec in rows),
        "example": shlex.quote(body) if body else "@FILE",
        "note": "" if body else "    # JSON of that shape, one example",
    }
