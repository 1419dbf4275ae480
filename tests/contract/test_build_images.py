"""`warmfront build --images`: which engine, which commands, and what is said when it cannot be done."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from warmfront.kube.files import load_manifests

ROOT = Path(__file__).resolve().parents[2]
WARMFRONT = Path(sys.executable).with_name("warmfront")


def build(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`warmfront build` in this repository, with the programs in `path` only."""
    command = [sys.executable, str(WARMFRONT), "build", *arguments]
    environment = {**os.environ, "PATH": str(path or "/no/such/folder")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def engine(folder: Path, name: str, script: str) -> Path:
    """Put a program called `name` into `folder`: /bin/sh runs the script."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("tool", "words"), [("docker", "docker build"), ("podman", "podman build"), ("buildah", "buildah build --layers")]
)
def test_dry_run_prints_what_can_be_typed(tool: str, words: str) -> None:
    """One line per image, in the words of the engine, whether it is here or not."""
    done = build("--images", "--dry-run", "--tool", tool, "langid_cld2", "selector-fn")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{words} --file functions/langid_cld2/Containerfile --tag dev.local/langid-cld2:v1 .",
        f"{words} --file selector_fn/Containerfile --tag dev.local/selector-fn:v1 .",
    ]
    assert done.stdout.splitlines()[0] in (ROOT / "README.md").read_text().splitlines()


def test_registry_and_tag_make_the_name() -> None:
    """For clusters that pull: any registry, any tag."""
    line = build(
        *("--images", "--dry-run", "--tool", "docker", "--registry", "registry.test/me/", "--tag", "2", "langid_cld2")
    ).stdout
    assert "--tag registry.test/me/langid-cld2:2 " in line


def test_the_default_is_every_image_the_manifests_name() -> None:
    """Nothing that knative/ deploys is left unbuilt, under the very names it uses."""
    wanted = {
        container["image"]
        for obj in load_manifests(ROOT / "knative")
        if obj["kind"] == "Service"
        for container in obj["spec"]["template"]["spec"]["containers"]
    }
    built = set(re.findall(r"--tag (\S+)", build("--images", "--dry-run", "--tool", "docker").stdout))
    assert wanted
    assert wanted | {"dev.local/dummy-model-fn:v1"} <= built


def test_the_first_engine_that_answers_builds(tmp_path: Path) -> None:
    """A docker client without its daemon is passed over; the command's own output is shown between two lines."""
    engine(tmp_path, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    engine(tmp_path, "buildah", 'if [ "$1" != version ]; then echo "STEP 1/12 of $*"; fi')
    done = build("--images", "langid_cld2", path=tmp_path)
    assert done.returncode == 0, done.stderr
    first, step, last = done.stdout.splitlines()
    assert first.startswith("buildah build --layers --file functions/langid_cld2/Containerfile")
    assert step == f"STEP 1/12 of {first.removeprefix('buildah ')}"
    assert re.fullmatch(r"dev\.local/langid-cld2:v1: built in \d+\.\d s", last)


def test_a_failed_build_ends_the_command(tmp_path: Path) -> None:
    """Exit status 1, the failed command named, the engine's reason shown, no further image tried."""
    engine(tmp_path, "podman", 'if [ "$1" != version ]; then echo "no space" >&2; exit 125; fi')
    done = build("--images", "langid_cld2", "langid_lingua", path=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("no space\nwarmfront: `podman build ")
    assert "ended with 125" in done.stderr
    assert "lingua" not in done.stdout


def test_without_an_engine_each_is_named_with_its_fault(tmp_path: Path) -> None:
    """The message says what was tried and what to install."""
    engine(tmp_path, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    done = build("--images", path=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "warmfront: cannot build images: docker does not work (Cannot connect to the Docker daemon); "
        "podman is not on PATH; buildah is not on PATH; install or start docker, podman or buildah"
    )
    assert "podman is not on PATH" in build("--images", "--tool", "podman").stderr


def test_options_of_images_want_images() -> None:
    """`build --tag v2` without --images is a mistake, not an environment."""
    done = build("--tag", "v2")
    assert done.returncode == 2
    assert "--tag is about images; add --images" in done.stderr
