"""YAML files to Kubernetes objects: for those who apply manifests; the selector never reads a file of them."""

from pathlib import Path
from typing import Any

import yaml

from warmfront.errors import SetupError


def load_manifests(path: Path) -> list[dict[str, Any]]:
    """All objects of one YAML file, or of every `*.yaml` below a folder in name order (kustomizations left out).

    Raises:
        SetupError: a file is missing, is not YAML, or holds something that is not an object with kind and name.
    """
    if not path.exists():
        raise SetupError(f"{path}: no such file or folder; give a YAML file or a folder of them")
    files = sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
    objects: list[dict[str, Any]] = []
    for file in files:
        try:
            documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SetupError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
        for document in filter(None, documents):
            if not isinstance(document, dict) or "kind" not in document:
                raise SetupError(f"{file}: found {type(document).__name__} without `kind`; wanted a Kubernetes object")
            if document["kind"] == "Kustomization":
                continue
            if not (document.get("metadata") or {}).get("name"):
                raise SetupError(f"{file}: a {document['kind']} has no metadata.name; name it")
            objects.append(document)
    return objects
