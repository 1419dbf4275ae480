"""What the documents name is there: links, paths, options and targets.

In code spans and console blocks a word is a path when it begins with a folder of the project or of `src/warmfront/`, or
ends like a file. What git ignores is made later and need not be there, nor what the document makes (a block whose
first line is a comment with its path, what a command redirects to, a string in Python, a bare name behind an option) or
what the source writes, by a bare name. A module may be named without its `.py`, and a package with it where the text
says "or the package of that name".
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from warmfront.cli.app import cli

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "warmfront"
MADE_LATER = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
FOLDERS = {path.name for base in (ROOT, PACKAGE) for path in base.iterdir() if path.is_dir()} - MADE_LATER
FILE = re.compile(r"[\w./-]*\w\.(py|md|toml|ya?ml|json|csv|txt|sh)")
SOURCE = "".join(file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [
    *DOCUMENTS,
    *(p for p in sorted(ROOT.glob("*/**/README.md")) if not MADE_LATER & set(p.relative_to(ROOT).parts)),
]


def name(path: Path) -> str:
    """For ids."""
    return str(path.relative_to(ROOT))


def prose(document: Path) -> str:
    """The text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def code(document: Path) -> Iterator[str]:
    """Code spans, and the lines of console blocks."""
    yield from re.findall(r"`([^`\n]+)`", prose(document))
    text = document.read_text(encoding="utf-8")
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()


def made(document: Path) -> set[str]:
    """Files that come of following the document, or that its reader brings."""
    text = document.read_text(encoding="utf-8")
    found = re.findall(r"^```\w+\n# ([\w./-]+)$", text, re.MULTILINE) + re.findall(r">> ?([\w./-]+)|> ([\w./-]+)", text)
    words = [word for match in found for word in ([match] if isinstance(match, str) else match)]
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        words += re.findall(r'"([\w./-]+)"', block)
    return {*words, *re.findall(r"--[a-z-]+ ([\w-]+\.\w+)", text)}


def paths(text: str) -> Iterator[str]:
    """The words of a piece of code that name something in the project."""
    for word in text.split():
        first = word.removeprefix("./").partition("/")[0]
        if re.fullmatch(r"[\w./-]+", word) and (("/" in word and first in FOLDERS) or FILE.fullmatch(word)):
            yield word


def exists(path: str, document: Path) -> bool:
    """Whether it is there: from the top, beside the document, in the package, or for a bare name, anywhere."""
    if path.removeprefix("./").partition("/")[0] in MADE_LATER:
        return True
    for base in (ROOT, document.parent, PACKAGE):
        place = base / path
        if (
            place.exists()
            or place.with_suffix(".py").exists()
            or (place.suffix == ".py" and place.with_suffix("").is_dir())
        ):
            return True
    if "/" in path.rstrip("/"):
        return False
    if f'"{path}"' in SOURCE:
        return True
    return any(next((ROOT / folder).rglob(path.rstrip("/")), None) for folder in ("src", "functions", "selector_fn"))


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", LINKED, ids=name)
def test_links_resolve(document: Path) -> None:
    """Every relative link leads to a file, its fragment to a heading of that file."""
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        file, _, fragment = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        place = (document.parent / file) if file else document
        headings = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE) if place.is_file() else []
        if not place.exists() or (fragment and fragment not in map(slug, headings)):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_paths_exist(document: Path) -> None:
    """Every path in a code span or console block is there."""
    named = {path for text in code(document) for path in paths(text)} - made(document)
    assert [path for path in sorted(named) if not exists(path, document)] == []


def options_of(command: click.Command) -> set[str]:
    """The long and short options that a command takes."""
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def commands() -> dict[str, click.Command]:
    """All commands of `warmfront` by name."""
    context = click.Context(cli)
    assert isinstance(cli, click.Group)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_commands_and_options_exist(document: Path) -> None:
    """`warmfront COMMAND --option` takes that option; an option alone is one of some command; make has the target."""
    known = commands()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lost = []
    for text in code(document):
        words = shlex.split(text.replace("'", ""), comments=True)
        program = Path(words[0]).name if words else ""
        if program == "make":
            lost += [text] if len(words) > 1 and words[1] not in targets else []
        elif program == "warmfront" and len(words) > 1:
            command = known.get(words[1])
            options = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
            lost += [text] if command is None or options - options_of(command) - {"--help", "-h"} else []
        elif re.fullmatch(r"--[a-z-]+", text):
            lost += [text] if not any(text in options_of(command) for command in known.values()) else []
    assert lost == []
