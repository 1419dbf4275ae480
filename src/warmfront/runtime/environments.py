"""From an image name to what a replica runs: the function folder, its command line, the environment it runs in.

What lives here: finding folders, reading Procfiles, checking and building environments. What must not: replicas
themselves. `warmfront build` calls `build`; starting a replica only ever calls `resolve`, which installs nothing.
"""

import asyncio
import hashlib
import importlib.metadata
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from warmfront.errors import SetupError

OWN_NAME = "warmfront"
_OWN_PACKAGE = Path(__file__).resolve().parents[1]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function folder that can be started: where it is, its command, the PATH to run it with.

    The first word of the command is an existing program; variables in the others are not expanded yet.
    """

    folder: Path
    command: tuple[str, ...]
    path: str


def folder_name(image: str) -> str:
    """The function folder an image means: last path part, no tag or digest, hyphens as underscores.

    `dev.local/langid-fasttext:v1` -> `langid_fasttext`.
    """
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0].replace("-", "_")


def find_folder(root: Path, image: str) -> Path:
    """The folder of an image under `root`; raises SetupError with the places that were looked at."""
    name = folder_name(image)
    places = (root / "functions" / name, root / name)
    for place in places:
        if place.is_dir():
            return place
    raise SetupError(
        f"image {image!r} has no function folder: looked for {places[0]} and {places[1]}; create one of them "
        f"(main.py, requirements.txt, Procfile) or start `warmfront up` in the folder that has it"
    )


def command_of(folder: Path) -> tuple[str, ...]:
    """The words of the Procfile's `web:` line, unexpanded. No shell reads them."""
    procfile = folder / "Procfile"
    if not procfile.is_file():
        raise SetupError(f"{folder} has no Procfile; add one with the line `web: COMMAND`, listening on $PORT")
    for line in procfile.read_text(encoding="utf-8").splitlines():
        process, colon, command = line.partition(":")
        if colon and process.strip() == "web":
            try:
                words = tuple(shlex.split(command))
            except ValueError as error:
                raise SetupError(f"{procfile}: cannot read {line!r} ({error}); quote it as a shell would") from None
            if words:
                return words
    raise SetupError(f"{procfile} has no `web:` line with a command; add `web: COMMAND`, listening on $PORT")


class Environments:
    """The environments under one state folder, one per distinct requirements.txt, and the choice among them."""

    def __init__(self, *, root: Path, state: Path) -> None:
        self._root = root
        self._folder = (state / "environments").resolve()  # replicas run in folders of their own

    def resolve(self, image: str) -> Function:
        """What a replica of this image runs; raises SetupError with the command to run when something is missing."""
        folder = find_folder(self._root, image)
        words = command_of(folder)
        path = f"{self._programs(folder)}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        program = shutil.which(words[0], path=path) or shutil.which(str(folder / words[0]))
        if program is None:
            raise SetupError(
                f"{folder / 'Procfile'} starts {words[0]!r}, which is not on PATH; "
                f"add what provides it to requirements.txt and run `warmfront build {folder.name}`"
            )
        return Function(folder=folder, command=(program, *words[1:]), path=path)

    def _programs(self, folder: Path) -> Path:
        """What goes first on PATH: the programs of the built environment, or of the running Python if that will do."""
        lines = _requirements(folder)
        missing = list(unmet(lines))
        if not missing:
            return Path(sys.executable).parent
        place = self._place(lines)
        if not (place / "complete").exists():
            raise SetupError(
                f"{folder.name} needs {', '.join(missing)}, which this Python has not; "
                f"run `warmfront build {folder.name}`"
            )
        return place / "bin"

    async def build(self, name: str, progress: Progress) -> Path | None:
        """Make the environment of a function folder; None if the running Python already meets its requirements.

        `name` is the folder's or an image's. Takes pins from `constraints.txt` of the root if there is one. Says
        line by line to `progress` what it does; raises SetupError with pip's last words if it fails. A complete one
        is kept.
        """
        folder = find_folder(self._root, name)
        lines = _requirements(folder)
        if not list(unmet(lines)):
            progress(f"{folder.name}: the running Python meets all {len(lines)} requirements; nothing to build")
            return None
        place = self._place(lines)
        if (place / "complete").exists():
            progress(f"{folder.name}: already built in {place}")
            return place
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        place.mkdir(parents=True)
        progress(f"{folder.name}: creating {place}")
        await _run([sys.executable, "-m", "venv", str(place)], progress)
        python = str(place / "bin" / "python")
        wanted = place / "requirements.txt"
        wanted.write_text("\n".join(installable(lines)) + "\n", encoding="utf-8")
        install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", str(wanted)]
        if (self._root / "constraints.txt").is_file():
            install += ["-c", str(self._root / "constraints.txt")]
        await _run(install, progress)  # pip byte-compiles what it installs
        if any(map(_own, lines)):
            next(place.glob("lib/python*/site-packages")).joinpath(OWN_NAME).symlink_to(_OWN_PACKAGE)
        await _run([python, "-m", "compileall", "-q", str(folder)], progress)
        (place / "complete").touch()
        progress(f"{folder.name}: ready")
        return place

    def _place(self, lines: list[str]) -> Path:
        text = "\n".join([sys.version, *lines])
        return self._folder / hashlib.sha256(text.encode()).hexdigest()[:16]


def needs(folder: Path, package: str) -> bool:
    """Whether the requirements of a function folder name the package."""
    named = [_name(line) for line in _requirements(folder)]
    return canonicalize_name(package) in named


def unmet(lines: list[str]) -> Iterator[str]:
    """The requirement lines that the running Python does not meet, extras included.

    A line that is an option, a path or an address cannot be checked and counts as unmet.
    """
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            yield line
            continue
        if requirement.url or not _met(requirement):
            yield line


def _met(requirement: Requirement) -> bool:
    if requirement.marker and not requirement.marker.evaluate():
        return True
    try:
        distribution = importlib.metadata.distribution(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    if not requirement.specifier.contains(distribution.version, prereleases=True):
        return False
    return all(_met(needed) for needed in _behind_extras(distribution, requirement.extras))


def _behind_extras(distribution: importlib.metadata.Distribution, extras: set[str]) -> Iterator[Requirement]:
    """What the extras add to a distribution; its plain requirements came with its installation."""
    for line in distribution.requires or () if extras else ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker and not marker.evaluate({"extra": ""}) and any(marker.evaluate({"extra": extra}) for extra in extras):
            requirement.marker = None
            yield requirement


def _requirements(folder: Path) -> list[str]:
    listing = folder / "requirements.txt"
    if not listing.is_file():
        return []
    lines = (line.split(" #")[0].strip() for line in listing.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def installable(lines: list[str]) -> list[str]:
    """The lines for pip: this project's own name gives way to what it needs, since no index may supply it.

    The package itself is linked into the environment, so that functions run the very code that runs here.
    """
    wanted: list[str] = []
    for line in lines:
        requirement = _own(line)
        if requirement is None:
            wanted.append(line)
        else:
            wanted.extend(installable(_needs(requirement.extras)))
    return wanted


def _name(line: str) -> str:
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return ""


def _own(line: str) -> Requirement | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    return requirement if canonicalize_name(requirement.name) == OWN_NAME else None


def _needs(extras: set[str]) -> list[str]:
    """What this project needs on this platform, with these extras."""
    needs: list[str] = []
    for line in importlib.metadata.requires(OWN_NAME) or ():
        requirement = Requirement(line)
        marker, requirement.marker = requirement.marker, None
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            needs.append(str(requirement))
    return needs


async def _run(command: list[str], progress: Progress) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    last = ""
    try:
        assert process.stdout is not None
        async for raw in process.stdout:
            last = raw.decode(errors="replace").rstrip() or last
            progress(last)
        code = await process.wait()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if code != 0:
        raise SetupError(f"`{shlex.join(command)}` ended with {code}: {last}; put that right and build again")
