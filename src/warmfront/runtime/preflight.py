"""What must hold on this machine for `warmfront up`: environments, the port, the state folder. Facts, then findings."""

import shutil
import socket
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from warmfront.errors import SetupError
from warmfront.kube.preflight import Finding, Status
from warmfront.runtime.environments import Environments
from warmfront.runtime.folders import used

_DISK_MB = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """The machine as `up` would find it. `functions`: name -> why it cannot run, empty when it can.

    `port_error`: why the ingress' port cannot be had. `state_error`: why the folder cannot be written. `mode`: of the
    kubeconfig in it, None without one. `used`: the functions that the project's manifests name, None for all.
    """

    root: str
    functions: dict[str, str]
    port: int
    port_error: str
    state: str
    state_error: str
    free_mb: int
    mode: int | None
    used: frozenset[str] | None = None


def gather(*, root: Path, state: Path, port: int) -> MachineFacts:
    """Look at folders and at the port. Nothing that is written stays, and nothing stays open."""
    environments = Environments(root=root, state=state.resolve())
    functions: dict[str, str] = {}
    for folder in sorted({p.parent for pattern in ("functions/*/Procfile", "*/Procfile") for p in root.glob(pattern)}):
        try:
            environments.resolve(folder.name)
            functions[folder.name] = ""
        except SetupError as error:
            functions[folder.name] = str(error)
    place = next(parent for parent in (state.resolve(), *state.resolve().parents) if parent.exists())
    kubeconfig = state / "kubeconfig"
    return MachineFacts(
        root=str(root),
        functions=functions,
        port=port,
        port_error=_port_error(port),
        state=str(state),
        state_error=_state_error(place),
        free_mb=shutil.disk_usage(place).free // 2**20,
        used=used(root),
        mode=stat.S_IMODE(kubeconfig.stat().st_mode) if kubeconfig.exists() else None,
    )


def findings(facts: MachineFacts, *, running: bool) -> list[Finding]:
    """Judge. `running`: an `up` of this folder answers, so that its port is taken by right."""
    return [*_functions(facts), _port(facts, running=running), _state(facts)]


def _functions(facts: MachineFacts) -> Iterable[Finding]:
    if not facts.functions:
        yield Finding(
            check="functions",
            status=Status.WARN,
            found=f"{facts.root} has no folder with a Procfile",
            remedy="run it where the project's folders functions/ and selector_fn/ are, or give --root",
        )
    for name, error in facts.functions.items():
        found, _, remedy = error.partition("; ")
        idle = facts.used is not None and name not in facts.used
        status = (Status.NA if idle else Status.FAIL) if error else Status.OK
        yield Finding(check=f"function {name}", status=status, found=found or "can be started", remedy=remedy)


def _port(facts: MachineFacts, *, running: bool) -> Finding:
    if not facts.port_error:
        return Finding(check="port", status=Status.OK, found=f"{facts.port} is free")
    if running:
        return Finding(check="port", status=Status.NA, found="`warmfront up` runs already")
    return Finding(
        check="port",
        status=Status.WARN,
        found=f"{facts.port} cannot be had: {facts.port_error}",
        remedy="warmfront up --port 0 takes any free one",
    )


def _state(facts: MachineFacts) -> Finding:
    check = "state folder"
    if facts.state_error:
        return Finding(check=check, status=Status.FAIL, found=facts.state_error, remedy="give another: --state DIR")
    if facts.mode is not None and facts.mode & 0o077:
        return Finding(
            check=check,
            status=Status.FAIL,
            found=f"{facts.state}/kubeconfig can be read by others (mode {facts.mode:o}), and it holds a token",
            remedy=f"chmod 600 {facts.state}/kubeconfig, and start `warmfront up` anew for another token",
        )
    if facts.free_mb < _DISK_MB:
        return Finding(
            check=check,
            status=Status.WARN,
            found=f"only {facts.free_mb} MB are free where {facts.state} is",
            remedy="events and environments need room: free some, or give another folder: --state DIR",
        )
    return Finding(check=check, status=Status.OK, found=f"{facts.state} can be written, {facts.free_mb} MB free")


def _state_error(place: Path) -> str:
    """Whether a folder can be made there is known by making one: for root, permissions do not tell."""
    if not place.is_dir():
        return f"{place} is no folder"
    try:
        Path(tempfile.mkdtemp(prefix=".warmfront-", dir=place)).rmdir()
    except OSError as error:
        return f"{place} cannot be written: {(error.strerror or str(error)).lower()}"
    return ""


def _port_error(port: int) -> str:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or str(error)
    return ""
