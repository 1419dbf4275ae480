"""README's console blocks, command by command as written, in a copy of the project.

Rules: `make` targets run in `.ci/run`, what is for a cluster in `tests/cluster`. A program that this machine has not
skips its commands, but not `kn` when WARMFRONT_REQUIRE_KN is set.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from tests.contract.terminal import ROOT, Command, Terminal, commands

ELSEWHERE = {
    "make": "make targets are run by .ci/run",
    "kubectl": "kubectl is for a cluster: tests/cluster runs it",
    "git": "a clone is what is being tested",
    "cd": "every command runs at the top of the project",
}
COMMANDS = list(commands((ROOT / "README.md").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal in which README's `warmfront up` runs."""
    terminal = Terminal(tmp_path_factory.mktemp("clone"))
    terminal.up(next(command for command in COMMANDS if command.stays))
    try:
        assert terminal.process.poll() is None, terminal.printed
        yield terminal
    finally:
        assert terminal.close() == 0, terminal.printed


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.line[:60])
def test_every_command_works_as_written(command: Command, terminal: Terminal) -> None:
    """It ends with status 0 and shows no traceback; `up` itself has everything ready and goes on running."""
    if command.program in ELSEWHERE:
        pytest.skip(ELSEWHERE[command.program])
    if command.stays:
        assert terminal.process.poll() is None
        assert not [line for line in terminal.printed if line.startswith("not ready")]
        return
    if shutil.which(command.program, path=terminal.path) is None and "/" not in command.line.split()[0]:
        assert not (command.program == "kn" and os.environ.get("WARMFRONT_REQUIRE_KN")), (
            "no kn: set KN, or put it on PATH"
        )
        pytest.skip(f"no {command.program} on this machine")
    done = terminal.run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_main_job_is_the_first_command() -> None:
    """A reader who copies only the first line gets the demo, and README is short enough to be read."""
    assert COMMANDS[0].line == "make demo"
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
