"""The images' recipes, judged without an engine: what they share, whom they run as, what they need at run time."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from warmfront.runtime.environments import command_of

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(file.parent for file in [*ROOT.glob("functions/*/Containerfile"), *ROOT.glob("*/Containerfile")])
SHARED = 5
"""Instructions that open every Containerfile: up to the packages that every function needs."""
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())

every_image = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def instructions(folder: Path) -> list[tuple[str, str]]:
    """(keyword, arguments) in order; continued lines joined, comments dropped."""
    lines = (folder / "Containerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word
    ]


def model_packages(folder: Path) -> list[Requirement]:
    """What requirements.txt names beside this project."""
    lines = (folder / "requirements.txt").read_text().split("\n")
    return [Requirement(line) for line in lines if line and not line.startswith("warmfront")]


def core_packages() -> list[str]:
    """The packages that the shared layer installs."""
    (install,) = (rest for word, rest in instructions(FOLDERS[0])[:SHARED] if word == "RUN")
    words = install.partition(" && ")[0].partition(" -c constraints.txt ")[2].split()
    assert words
    return words


def test_there_are_images_for_the_selector_the_dummy_and_the_variants() -> None:
    """One per function folder: whatever has a Procfile has a Containerfile."""
    started = {file.parent for file in [*ROOT.glob("functions/*/Procfile"), *ROOT.glob("*/Procfile")]}
    assert set(FOLDERS) == started
    assert len(FOLDERS) >= 6


@every_image
def test_all_begin_with_the_same_instructions(folder: Path) -> None:
    """The base and the packages of every function are one layer each, built, sent and kept once."""
    opening = instructions(folder)[:SHARED]
    assert opening == instructions(FOLDERS[0])[:SHARED]
    assert [word for word, _ in opening] == ["FROM", "ENV", "WORKDIR", "COPY", "RUN"]
    assert opening[0] == ("FROM", "python:3.11-slim")
    assert folder.name not in str(opening)


@every_image
def test_what_changes_often_comes_last(folder: Path) -> None:
    """Packages before this project's code, that before the function's own: an edit rebuilds what follows it only."""
    rest = [f"{word} {arguments}" for word, arguments in instructions(folder)[SHARED:]]
    place = folder.relative_to(ROOT).as_posix()
    assert rest[-5:-2] == [
        "COPY src/warmfront warmfront/",
        f"COPY {place}/*.py ./",
        "RUN chmod -R a+rX . && python -m compileall -q .",
    ]
    assert f"COPY {place}/requirements.txt ./" in rest[:-5] or not model_packages(folder)


@every_image
def test_no_root_and_no_shell(folder: Path) -> None:
    """A user by number, which `runAsNonRoot` can judge, and the Procfile's command in exec form: one process, PID 1."""
    *building, (user_word, user), (start_word, start) = instructions(folder)
    assert (user_word, start_word) == ("USER", "CMD")
    uid, gid = map(int, user.split(":"))
    assert uid >= 1000
    assert gid >= 1000
    assert tuple(json.loads(start)) == command_of(folder)
    assert not {word for word, _ in building} & {"CMD", "ENTRYPOINT", "SHELL", "USER", "VOLUME", "ADD"}


@every_image
def test_everything_installed_is_pinned_and_nothing_names_an_address(folder: Path) -> None:
    """Versions come from constraints.txt alone; where packages come from is the builder's business."""
    installs = [rest for word, rest in instructions(folder) if word == "RUN" and "pip install" in rest]
    assert installs
    assert all("pip install --no-cache-dir -c constraints.txt " in install for install in installs)
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    for requirement in [*map(Requirement, core_packages()), *model_packages(folder)]:
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement
    for file in (folder / "Containerfile", folder / "requirements.txt", ROOT / "constraints.txt"):
        assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host", file.read_text())


@pytest.mark.parametrize(
    ("folder", "statement"),
    [
        ("selector_fn", "import main; main.selector.main"),
        ("dummy_model_fn", "import warmfront.function.__main__, main; main.handle"),
    ],
)
def test_what_the_image_leaves_out_is_not_needed(folder: str, statement: str) -> None:
    """Functions start with the shared layer's packages alone, and without what .dockerignore keeps out."""
    ignored = [line for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("src/")]
    left_out = [line.removeprefix("src/").replace("/", ".") for line in ignored]
    assert "warmfront.cli" in left_out
    program = f"""
import sys
class Image:
    def find_spec(self, name, path=None, target=None):
        known = name.partition(".")[0] in {{*sys.stdlib_module_names, "main", "warmfront", *{core_packages()!r}}}
        if not known or name in {left_out!r}:
            raise ModuleNotFoundError(f"not in the image: {{name}}", name=name)
sys.meta_path.insert(0, Image())
{statement}
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
