"""Function folders as processes, for the tests that start them."""

import http.client
import os
import re
import shlex
import signal
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = str(Path(sys.executable).parent)


class Process:
    """A started function. Creating it waits for the line that announces its port."""

    def __init__(self, folder: Path, command: str, announces: str, settings: dict[str, str]) -> None:
        environment = {"PATH": f"{PROGRAMS}:{os.defpath}", "PORT": "0", "HOST": "127.0.0.1", **settings}
        words = [string.Template(word).substitute(environment) for word in shlex.split(command)]
        words[0] = f"{PROGRAMS}/{words[0]}"
        self.popen = subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        assert self.popen.stderr is not None
        said = []
        for line in self.popen.stderr:
            said.append(line)
            if found := re.search(announces, line):
                self.port = int(found[1])
                return
        self.close()
        raise AssertionError(f"{folder.name} ended with {self.popen.returncode} and said {''.join(said)}")

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body=body, headers=headers or {})
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        return reply.status, reply.headers, content

    def end(self) -> int:
        """SIGTERM and the exit status."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(timeout=30)

    def close(self) -> None:
        """Wait until the process has ended and forget it."""
        self.popen.wait()
        assert self.popen.stderr is not None
        self.popen.stderr.close()


Starter = Callable[..., Process]


def starter() -> Iterator[Starter]:
    """For a fixture: starts function folders with settings, by their Procfile or another command; ends what is left."""
    started: list[Process] = []

    def begin(folder: Path, command: str = "", announces: str = r"is ready on port (\d+)", **settings: str) -> Process:
        command = command or (folder / "Procfile").read_text().partition("web:")[2]
        started.append(Process(folder, command, announces, settings))
        return started[-1]

    yield begin
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
        process.close()
