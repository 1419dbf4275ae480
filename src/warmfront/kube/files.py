"""YAML files to Kubernetes objects: for those who apply manifests; the selector never reads a file of them."""

from pathlib import Path
from typing import Any

import yaml

from warmfront.errors import SetupError

_KUSTOMIZATION = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_LISTS = ("resources", "components")
_FOLLOWED = frozenset({"apiVersion", "kind", "metadata", *_LISTS})


def load_manifests(path: Path) -> list[dict[str, Any]]:
    """All objects of a YAML file; of a folder, those its kustomization lists, else of every `*.yaml` below it by name.

    Of a kustomization `resources` and `components` are followed, files and folders on this machine, and nothing else.

    Raises:
        SetupError: a file is missing, is not YAML, or holds something that is not an object with kind and name; a
            kustomization changes what it lists, names an address, or lists itself.
    """
    return _load(path, ())


def _load(path: Path, above: tuple[Path, ...]) -> list[dict[str, Any]]:
    if not path.exists():
        listed = f", listed by {above[-1]}" if above else "; give a YAML file or a folder of them"
        raise SetupError(f"{path}: no such file or folder{listed}")
    if not path.is_dir():
        return _objects(path)
    kustomization = next((path / name for name in _KUSTOMIZATION if (path / name).is_file()), None)
    if kustomization is None:
        return [
            obj for file in sorted(path.rglob("*.yaml")) if file.name not in _KUSTOMIZATION for obj in _objects(file)
        ]
    if kustomization.resolve() in above:
        raise SetupError(f"{kustomization}: lists itself, by way of {above[-1]}; take one of the two entries out")
    above = (*above, kustomization.resolve())
    return [obj for entry in _resources(kustomization) for obj in _load(path / entry, above)]


def _resources(kustomization: Path) -> list[str]:
    """What the kustomization lists, if listing is all it does; components last, as kustomize has it."""
    documents = _documents(kustomization)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise SetupError(f"{kustomization}: found {len(documents)} documents; wanted one kustomization")
    if more := sorted(documents[0].keys() - _FOLLOWED):
        raise SetupError(
            f"{kustomization}: found {', '.join(more)}; only `resources` and `components` are followed here. "
            f"Write out the result and give that: kubectl kustomize {kustomization.parent} > all.yaml"
        )
    found: list[str] = []
    for key in _LISTS:
        entries = documents[0].get(key) or []
        if not isinstance(entries, list) or not all(isinstance(entry, str) and "://" not in entry for entry in entries):
            raise SetupError(f"{kustomization}: `{key}` is {entries!r}; wanted a list of files and folders")
        found += entries
    return found


def _objects(file: Path) -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = []
    for document in _documents(file):
        if not isinstance(document, dict) or "kind" not in document:
            raise SetupError(f"{file}: found {type(document).__name__} without `kind`; wanted a Kubernetes object")
        if document["kind"] in ("Kustomization", "Component"):
            raise SetupError(f"{file}: found a {document['kind']}; give the folder that it lies in")
        if not (document.get("metadata") or {}).get("name"):
            raise SetupError(f"{file}: a {document['kind']} has no metadata.name; name it")
        objects.append(document)
    return objects


def _documents(file: Path) -> list[Any]:
    try:
        return list(filter(None, yaml.safe_load_all(file.read_text(encoding="utf-8"))))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SetupError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
