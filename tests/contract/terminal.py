"""The commands of a document's console blocks, and a terminal in a copy of the project to run them in.

The first `warmfront up` stays in the background for all others, on a free port instead of 8080: the one change that is
made to any command.
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

ROOT = Path(__file__).parents[2]
DEFAULT_PORT = "8080"
PATIENCE_S = 60


@dataclass(frozen=True, kw_only=True)
class Command:
    """One line of a console block; `exports` are what earlier lines put into the environment."""

    line: str
    exports: tuple[tuple[str, str], ...]

    @property
    def says(self) -> str:
        """What the document says it prints; empty when it does not say."""
        return self.line.partition("    # ")[2]

    @property
    def program(self) -> str:
        """The name of what is run."""
        return Path(shlex.split(self.line)[0]).name

    @property
    def stays(self) -> bool:
        """Whether it runs until Ctrl-C."""
        return self.program == "warmfront" and shlex.split(self.line)[1] == "up"


def commands(text: str) -> Iterator[Command]:
    """All commands of a text in their order; continued lines are one, comments none."""
    exports: list[tuple[str, str]] = []
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


class Terminal:
    """The copy of the project, with `warmfront up` running in it."""

    def __init__(self, folder: Path, *, active: bool = False) -> None:
        """`active`: with the environment's programs on PATH, as after `. .venv/bin/activate`."""
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
        if active:
            self.path = f"{folder / '.venv' / 'bin'}{os.pathsep}{self.path}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        self.printed: list[str] = []
        self._greeted = threading.Event()

    def up(self, command: Command) -> None:
        """Start it as written and wait until it says how to use it."""
        program, *words = shlex.split(command.line)
        words = [shutil.which(program, path=self.path) or program, *words, "--port", self.port]
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
