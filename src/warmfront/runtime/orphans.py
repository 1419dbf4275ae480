"""No replica outlives its runtime, however the runtime ends.

Every replica leads a process group of its own. The ledger, a file, names the groups that exist with the leader's start
time, so that a recycled process id is never mistaken for ours. `sweep` kills what a ledger names. It runs in two
places: at the next start, and at once in the keeper, a tiny process that this very file is the program of and that sees
the runtime's end as the end of its standard input. So nothing but the standard library may be imported here.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path


class Ledger:
    """The process groups of the running replicas, on file. A write is in the kernel when the call returns.

    Every runtime has a file of its own in `folder`: the keeper of one that was killed must not read its successor's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{secrets.token_hex(8)}.ledger"
        self._groups: dict[int, str] = {}
        self._keeper: subprocess.Popen[bytes] | None = None

    def open(self) -> int:
        """Kill what earlier runtimes left behind, start the keeper; returns how many groups were killed.

        Only for the one runtime that owns the state folder: all ledgers found there count as left behind.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        left = sum(sweep(path) for path in self._folder.glob("*.ledger"))
        self._write()
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(self._path.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C in the terminal must not end it before the runtime
        )
        return left

    def add(self, group: int) -> None:
        """A replica was started; its process id is its group's."""
        self._groups[group] = started(group)
        self._write()

    def remove(self, group: int) -> None:
        """The replica's whole group is gone."""
        self._groups.pop(group, None)
        self._write()

    def _write(self) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text("".join(f"{pid} {at}\n" for pid, at in self._groups.items()), encoding="ascii")
        draft.replace(self._path)

    def close(self) -> None:
        """End the keeper; with every group gone it has nothing left to kill."""
        if self._keeper is not None:
            self._keeper.communicate()
            self._keeper = None


def started(pid: int) -> str:
    """When the process began, as a word that no later process of that id shares; empty if there is none."""
    try:
        # the name in parentheses may hold anything; the 20th field after it is the start time in clock ticks
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return ""
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, check=False, text=True)
    return shown.stdout.strip().replace(" ", "_")


def sweep(path: Path) -> int:
    """Kill every group that the ledger names and that is still the one it named; returns how many."""
    killed = 0
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    for line in lines:
        group, _, at = line.partition(" ")
        # without its leader a group keeps its number reserved, so what is left of it is ours too
        if started(int(group)) in {at, ""}:
            killed += kill_group(int(group), signal.SIGKILL)
    path.unlink(missing_ok=True)
    return killed


def kill_group(group: int, sign: signal.Signals) -> bool:
    """Signal every process of the group; False if there is none left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sign)
        return True
    return False


if __name__ == "__main__":
    sys.stdin.buffer.read()
    sweep(Path(sys.argv[1]))
