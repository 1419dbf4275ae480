"""`warmfront up` in a terminal, and other commands beside it: what several tests of whole processes share."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WARMFRONT = Path(sys.executable).with_name("warmfront")


@dataclass
class Up:
    """A running `warmfront up` in a project folder of its own."""

    root: Path
    process: subprocess.Popen[str]
    log: Path

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Another command in the same folder."""
        return run_in(self.root, *args, stdin=stdin)

    def printed(self) -> str:
        """What `up` has printed so far."""
        return self.log.read_text()


def run_in(root: Path, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A command in a folder, in a terminal of 80 columns."""
    env = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"} | {"COLUMNS": "80"}
    command = [str(WARMFRONT), *args]
    return subprocess.run(
        command, cwd=root, env=env, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def eventually(claim: Callable[[], bool], within_s: float = 30.0) -> bool:
    """Whether the claim comes true in time."""
    until = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def start(root: Path, *options: str) -> Up:
    """Start `up --port 0` and wait for its last greeting line."""
    log = root / "up.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(WARMFRONT), "up", "--port", "0", *options],
            cwd=root,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    up = Up(root, process, log)
    assert eventually(lambda: "export KUBECONFIG=" in up.printed() or process.poll() is not None), up.printed()
    return up


def stop(up: Up) -> int:
    """Ctrl-C, and its exit status."""
    up.process.send_signal(signal.SIGINT)
    return up.process.wait(timeout=30)


def children_of(pid: int) -> set[int]:
    """All processes below one, by /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found
