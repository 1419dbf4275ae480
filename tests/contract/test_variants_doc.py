"""docs/variants.md, section by section as written, each in a copy of the project of its own.

A block whose first line is a comment with a path is that file; other Python is run; a comment behind a command is what
it prints. Rules, by the comment `needs` above a block: `tensorflow` runs where TensorFlow is installed, `ray` where
`warmfront build langid_ray` was run, `cluster` and `kserve` on one (tests/cluster); these manifests are read here.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tests.contract.terminal import PATIENCE_S, ROOT, Command, Terminal, commands

from warmfront.errors import SetupError
from warmfront.kube.manifests import KSERVE_LABEL, variant_of
from warmfront.kube.resources import SERVICES
from warmfront.runtime.admission import admit
from warmfront.runtime.environments import Environments

DOCUMENT = ROOT / "docs" / "variants.md"
ELSEWHERE = ("cluster", "kserve")


class Block(NamedTuple):
    """One fenced block: what it needs, its language, its text, the file that it is (empty: none)."""

    needs: str
    language: str
    text: str
    file: str


def blocks_of(text: str) -> list[Block]:
    """The blocks of a section in their order."""
    found = re.findall(r"(?:^<!-- needs: (\w+) -->\n)?^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [Block(needs, language, block, _file(block)) for needs, language, block in found]


def _file(block: str) -> str:
    named = re.match(r"# ([\w./-]+\.\w+)\n", block)
    return named[1] if named else ""


SECTIONS = {
    title: blocks_of(body)
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
}
RUN = {title: blocks for title, blocks in SECTIONS.items() if any(block.needs not in ELSEWHERE for block in blocks)}
READ = [block for blocks in SECTIONS.values() for block in blocks if block.needs in ELSEWHERE]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[], Terminal]]:
    """A terminal in a copy of the project, made when it is asked for; its `up` is ended by Ctrl-C."""
    opened: list[Terminal] = []

    def open_() -> Terminal:
        opened.append(Terminal(tmp_path / "clone", active=True))
        return opened[-1]

    yield open_
    for terminal in opened:
        if hasattr(terminal, "process"):
            assert terminal.close() == 0, terminal.printed


def missing(needs: str) -> str:
    """Why a block cannot run here; empty when it can."""
    if needs == "tensorflow" and find_spec("tensorflow") is None:
        return "TensorFlow is in the extra `tensorflow`, not in `dev`"
    if needs == "ray":
        try:
            Environments(root=ROOT, state=ROOT / ".warmfront").resolve("langid-ray")
        except SetupError as error:
            return str(error)
    return ""


@pytest.mark.parametrize("title", RUN)
def test_a_section_works_as_written(title: str, terminal: Callable[[], Terminal]) -> None:
    """From the model to its answer through the selector; every command ends with 0 and prints what the page says."""
    for block in RUN[title]:
        if reason := missing(block.needs):
            pytest.skip(reason)
    shell = terminal()
    if any(block.needs == "ray" for block in RUN[title]):
        (shell.folder / ".warmfront").mkdir()
        (shell.folder / ".warmfront" / "environments").symlink_to(ROOT / ".warmfront" / "environments")
    for block in RUN[title]:
        if block.file:
            place = shell.folder / block.file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(block.text)
        elif block.language == "python":
            code = ["python", "-W", "error", "-c", block.text]
            subprocess.run(code, cwd=shell.folder, env={"PATH": shell.path}, check=True, timeout=PATIENCE_S)
        else:
            assert block.language == "console", f"a block of {block.language} without a path is not run"
            for command in commands(f"```console\n{block.text}```"):
                assert wrong(shell, command) == ""


def wrong(shell: Terminal, command: Command) -> str:
    """What is not as the page says when the command is given; empty when all is."""
    if command.stays:
        shell.up(command)
        return "".join(line for line in shell.printed if line.startswith("not ready"))
    done = shell.run(command)
    if done.returncode or command.says not in done.stdout:
        return f"{command.line}: {done.returncode}, {done.stdout}{done.stderr}{shell.printed[-20:]}"
    return ""


@pytest.mark.parametrize("block", READ, ids=lambda block: block.file)
def test_a_manifest_for_a_cluster_is_a_variant(block: Block) -> None:
    """It is admitted, and read as a variant of its task that speaks what it says."""
    obj: dict[str, Any] = yaml.safe_load(block.text)
    meta = obj["metadata"]
    if obj["kind"] == "InferenceService":  # its predictor, as KServe makes it
        labels = {**meta["labels"], KSERVE_LABEL: meta["name"]}
        obj = {"metadata": {"name": f"{meta['name']}-predictor", "labels": labels}, "spec": {"template": {}}}
    else:
        (container,) = obj["spec"]["template"]["spec"]["containers"]
        assert meta["name"] in container["readinessProbe"]["httpGet"]["path"]  # the model goes by the Service's name
        for field in ("command", "args"):  # a Procfile's business in the embedded Knative
            container.pop(field, None)
        assert admit(SERVICES, {**obj, "metadata": {"namespace": "default", **meta}}, None).unknown == ()
    variant = variant_of(obj)
    assert (variant.name, variant.task) == (meta["name"], "fraud")
    assert set(variant.protocols) <= {"tensorflow-serving", "kserve-v1", "open-inference"}


def test_every_block_is_run_or_read() -> None:
    """No block of a language that nobody looks at, and every kind of model has its section."""
    for blocks in SECTIONS.values():
        for block in blocks:
            assert block.language in ("console", "python", "yaml")
            assert block.file or block.language != "yaml"
    assert len([title for title, blocks in SECTIONS.items() if blocks]) == 11
