"""`up --watch`: an edited function folder becomes a new revision of every Service that runs it.

What lives here: noticing that files changed. What must not: how a revision comes about; the template gets one more
annotation, and the controllers do the rest.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from warmfront.errors import SetupError
from warmfront.kube.resources import SERVICES, Json
from warmfront.runtime.environments import find_folder
from warmfront.runtime.store import Store

ANNOTATION = "warmfront.dev/source"
_IGNORED = frozenset({"__pycache__", ".git", ".venv"})


class SourceWatch:
    """Looks at the function folders of all Services every `period_s` seconds; tells `changed(service, folder)`."""

    def __init__(
        self, store: Store, root: Path, changed: Callable[[str, Path], None], *, period_s: float = 0.5
    ) -> None:
        self._store = store
        self._root = root
        self._changed = changed
        self._period_s = period_s
        self._seen: dict[Path, str] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(self._period_s)

    def look(self) -> None:
        """Compare every folder with how it was at the last look; the first look only remembers."""
        services, _ = self._store.list(SERVICES, None)
        by_folder: dict[Path, list[Json]] = {}
        for service in services:
            try:
                folder = find_folder(self._root, service["spec"]["template"]["spec"]["containers"][0]["image"])
            except SetupError:
                continue  # the Service itself says that its folder is missing
            by_folder.setdefault(folder, []).append(service)
        for folder, users in by_folder.items():
            print_ = fingerprint(folder)
            if self._seen.setdefault(folder, print_) != print_:
                self._seen[folder] = print_
                for service in users:
                    self._renew(service, folder, print_)

    def _renew(self, service: Json, folder: Path, print_: str) -> None:
        meta = service["metadata"]
        patch = {"spec": {"template": {"metadata": {"annotations": {ANNOTATION: print_}}}}}
        self._store.merge(SERVICES, meta["namespace"], meta["name"], patch)
        self._changed(meta["name"], folder)


def fingerprint(folder: Path) -> str:
    """Differs when a file of the folder was written, added or removed; a digest of names, sizes and times of change."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _IGNORED.intersection(path.relative_to(folder).parts):
            stat = path.stat()
            digest.update(f"{path.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]
