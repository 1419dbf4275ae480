"""From function folders to container images, by whichever engine is installed.

What lives here: finding the engine, the command line that builds one image, running it. What must not: registries and
clusters. An image is built from its folder's Containerfile with the project's folder as context, so the very same
command can be typed by hand.
"""

import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from warmfront.errors import SetupError
from warmfront.runtime.environments import Progress

# In the order of preference; `buildah build` alone keeps no layers for the next build unless told to.
ENGINES = {"docker": ("build",), "podman": ("build",), "buildah": ("build", "--layers")}


def find_engine(wanted: str | None) -> str:
    """The engine to build with: the wanted one, else the first of docker, podman and buildah that answers.

    A docker client whose daemon does not run is no engine: it is asked for its version, which takes the daemon.

    Raises:
        SetupError: it is not on PATH or does not answer, or none of the three does; with the reason of each.
    """
    silent: list[str] = []
    for name in [wanted] if wanted else ENGINES:
        fault = _fault(name)
        if fault is None:
            return name
        silent.append(f"{name} {fault}")
    raise SetupError(
        f"cannot build images: {'; '.join(silent)}; install or start docker, podman or buildah "
        f"(`--dry-run --tool docker` shows the commands without it)"
    )


def _fault(engine: str) -> str | None:
    if shutil.which(engine) is None:
        return "is not on PATH"
    done = subprocess.run([engine, "version"], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return None
    return f"does not work ({(done.stderr.strip().splitlines() or ['no message'])[-1]})"


def image_of(folder: Path, registry: str, tag: str) -> str:
    """`functions/langid_cld2` -> `dev.local/langid-cld2:v1`: the name by which manifests mean this folder."""
    return f"{registry.rstrip('/')}/{folder.name.replace('_', '-')}:{tag}"


def build_command(engine: str, root: Path, folder: Path, image: str) -> list[str]:
    """What builds one image.

    Raises:
        SetupError: the folder has no Containerfile.
    """
    containerfile = folder / "Containerfile"
    if not containerfile.is_file():
        raise SetupError(f"{folder} has no Containerfile; copy functions/langid_cld2/Containerfile and adapt its names")
    return [engine, *ENGINES[engine], "--file", str(containerfile), "--tag", image, str(root)]


def build_images(commands: Iterable[list[str]], progress: Progress) -> None:
    """Run the commands one after the other, their output passed through, with a line before and after each.

    Raises:
        SetupError: one of them failed; the remaining ones are not run.
    """
    for command in commands:
        progress(shlex.join(command))
        started = time.monotonic()
        code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        if code != 0:
            raise SetupError(
                f"`{shlex.join(command)}` ended with {code}, its reason is above; put that right and build again"
            )
        progress(f"{command[-2]}: built in {time.monotonic() - started:.1f} s")
