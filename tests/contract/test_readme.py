"""README's console blocks, command by command as written, in a copy of the project.

Rules: `make` targets run in `.ci/run`, what is for a cluster in `tests/cluster`. A program that this machine has not
skips its commands, but not `kn` when WARMFRONT_REQUIRE_KN is set. The first `warmfront up` stays in the background for
all others, on a free port instead of 8080: the one change that is made to any command.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEFAULT_PORT = "8080"
ELSEWHERE = {
    "make": "make targets are run by .ci/run",
    "kubectl": "kubectl is for a cluster: tests/cluster runs it",
    "git": "a clone is what is being tested",
    "cd": "every command runs at the top of the project",
}
PATIENCE_S = 60


@dataclass(frozen=True, kw_only=True)
class Command:
    """One line of a console block; `exports` are what earlier lines put into the environment."""

    line: str
    exports: tuple[tuple[str, str], ...]

    @property
    def program(self) -> str:
        """The name of what is run."""
        return Path(shlex.split(self.line)[0]).name

    @property
    def stays(self) -> bool:
        """Whether it runs until Ctrl-C."""
        return self.program == "warmfront" and shlex.split(self.line)[1] == "up"


def commands() -> Iterator[Command]:
    """All commands of README in their order; continued lines are one, comments none."""
    exports: list[tuple[str, str]] = []
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for raw in block.replace("\\\n", " ").splitlines():
            line = raw.strip().removeprefix("$ ")
            if not line or line.startswith("#"):
                continue
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                exports.append((name, shlex.split(value)[0]))
            else:
                yield Command(line=line, exports=tuple(exports))


COMMANDS = list(commands())


class Terminal:
    """The copy of the project, with `warmfront up` running in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = (ROOT / ".gitignore").read_text().replace("/", "").split()
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *ignored), dirs_exist_ok=True)
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")  # a 4xx must not pass for success
        programs = folder / ".programs"
        programs.mkdir()
        if kn := os.environ.get("KN"):
            (programs / "kn").symlink_to(Path(kn).resolve())
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        self.printed: list[str] = []
        self._greeted = threading.Event()

    def up(self, command: Command) -> None:
        """Start it as written and wait until it says how to use it."""
        words = [*shlex.split(command.line), "--port", self.port]
        self.process = subprocess.Popen(
            words, cwd=self.folder, env=self._environment(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._greeted.wait(PATIENCE_S), self.printed

    def run(self, command: Command) -> subprocess.CompletedProcess[str]:
        """Run one command as a shell would."""
        line = command.line.replace(f":{DEFAULT_PORT}", f":{self.port}")
        environment = self._environment(command)
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S,
            check=False,
        )  # fmt: skip

    def close(self) -> int:
        """Ctrl-C, and the exit status."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def _environment(self, command: Command) -> dict[str, str]:
        return {"PATH": self.path, "HOME": str(self.folder), "LANG": "C.UTF-8", **dict(command.exports)}

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.rstrip())
            if "export KUBECONFIG=" in line:
                self._greeted.set()
        self._greeted.set()


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
