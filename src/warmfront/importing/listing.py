"""Where a new manifest goes in a folder of manifests, and its line in the kustomization that lists them.

What lives here: files below `knative/`. What must not: what is in the manifest.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A file to write. `kustomization` must then list it as `entry`; None when the whole folder is read anyway."""

    file: Path
    kustomization: Path | None
    entry: str = ""


def slot_for(folder: Path, name: str) -> Slot:
    """Where the manifest of a variant goes: beside the others, in the folder that lists them."""
    while True:
        kustomization = next((folder / known for known in _NAMES if (folder / known).is_file()), None)
        if kustomization is None:
            return Slot(file=folder / f"{name}.yaml", kustomization=None)
        entries = _resources(kustomization)
        if len(entries) != 1 or not (folder / entries[0]).is_dir():
            variants = any(Path(entry).parent.name == "variants" for entry in entries)
            file = folder / ("variants" if variants else "") / f"{name}.yaml"
            return Slot(file=file, kustomization=kustomization, entry=os.path.relpath(file, folder))
        folder = folder / entries[0]


def list_in(kustomization: Path, entry: str) -> bool:
    """Add `entry` to the resources, keeping every line that is there; False when its list is not one entry a line."""
    entries = _resources(kustomization)
    if entry in entries:
        return True
    lines = kustomization.read_text(encoding="utf-8").splitlines(keepends=True)
    last = next((i for i, line in reversed(list(enumerate(lines))) if _is_entry(line, entries)), None)
    if last is None:
        return False
    indent = lines[last][: len(lines[last]) - len(lines[last].lstrip())]
    lines[last] = f"{lines[last].rstrip()}\n"
    text = "".join([*lines[: last + 1], f"{indent}- {entry}\n", *lines[last + 1 :]])
    if (yaml.safe_load(text) or {}).get("resources") != [*entries, entry]:
        return False
    kustomization.write_text(text, encoding="utf-8")
    return True


def _resources(kustomization: Path) -> list[str]:
    content = yaml.safe_load(kustomization.read_text(encoding="utf-8")) or {}
    return [str(entry) for entry in content.get("resources") or []]


def _is_entry(line: str, entries: list[str]) -> bool:
    mark, _, entry = line.strip().partition(" ")
    return mark == "-" and entry.split(" #")[0].strip().strip("\"'") in entries
