"""The function folders of a project, and which of them its manifests name.

What must not live here: what a folder runs (environments.py), images (images.py).
"""

from pathlib import Path

from warmfront.errors import SetupError
from warmfront.kube.files import load_manifests
from warmfront.runtime.environments import folder_name


def folders_with(root: Path, file: str) -> list[str]:
    """The names of all function folders that hold such a file, in functions/ and at the top level.

    Raises:
        SetupError: there are none.
    """
    names = sorted({path.parent.name for pattern in ("functions/*", "*") for path in root.glob(f"{pattern}/{file}")})
    if not names:
        raise SetupError(f"{root.resolve()}: no folder with a {file} in functions/ or here; nothing to build")
    return names


def used(root: Path) -> frozenset[str] | None:
    """The folders that the images in `root`/knative mean, and those at the top level; None where there is no telling.

    What is in functions/ beside them is for other manifests, and may need a gigabyte of packages.
    """
    try:
        objects = load_manifests(root / "knative")
    except SetupError:
        return None
    services = [obj for obj in objects if obj["kind"] == "Service" and "template" in obj.get("spec", {})]
    images = [one["image"] for obj in services for one in obj["spec"]["template"]["spec"]["containers"]]
    return frozenset(map(folder_name, images)) | {path.parent.name for path in root.glob("*/Procfile")}
