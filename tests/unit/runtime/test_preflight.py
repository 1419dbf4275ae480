"""The machine's check: what `warmfront up` would stumble over is found before, with the command that helps."""

import socket
from dataclasses import replace
from pathlib import Path

from warmfront.kube.preflight import Finding, Status
from warmfront.runtime.preflight import MachineFacts, findings, gather

SOUND = MachineFacts(
    root="/project",
    functions={"a": ""},
    port=8080,
    port_error="",
    state=".warmfront",
    state_error="",
    free_mb=9000,
    mode=0o600,
)


def of(facts: MachineFacts, check: str, *, running: bool = False) -> Finding:
    """The finding of this check."""
    return next(finding for finding in findings(facts, running=running) if finding.check == check)


def test_a_sound_machine() -> None:
    """Nothing but ok."""
    assert {finding.status for finding in findings(SOUND, running=False)} == {Status.OK}


def test_troubles_and_their_remedies() -> None:
    """An environment to build, a port to leave, a folder to change, a kubeconfig to protect, room to make."""
    needs = "a needs numpy, which this Python has not; run `warmfront build a`"
    missing = of(replace(SOUND, functions={"a": needs}), "function a")
    assert (missing.status, missing.remedy) == (Status.FAIL, "run `warmfront build a`")
    assert "--root" in of(replace(SOUND, functions={}), "functions").remedy
    assert of(replace(SOUND, functions={"a": needs}, used=frozenset({"a"})), "function a").status is Status.FAIL
    assert of(replace(SOUND, functions={"a": needs}, used=frozenset({"b"})), "function a").status is Status.NA
    taken = replace(SOUND, port_error="Address already in use")
    assert "--port 0" in of(taken, "port").remedy
    assert of(taken, "port", running=True).status is Status.NA
    assert of(replace(SOUND, state_error="/x cannot be written"), "state folder").status is Status.FAIL
    assert "chmod 600" in of(replace(SOUND, mode=0o644), "state folder").remedy
    assert of(replace(SOUND, free_mb=3), "state folder").status is Status.WARN


def test_looking_at_a_machine(tmp_path: Path) -> None:
    """A folder without a program for its Procfile, a port in use, a kubeconfig open to others: all of it is seen."""
    function = tmp_path / "functions" / "broken"
    function.mkdir(parents=True)
    (function / "Procfile").write_text("web: no-such-program\n")
    state = tmp_path / "state"
    state.mkdir()
    (state / "kubeconfig").touch(mode=0o644)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        facts = gather(root=tmp_path, state=state, port=taken.getsockname()[1])
    assert "no-such-program" in facts.functions["broken"]
    assert facts.port_error
    assert facts.mode == 0o644
    assert not facts.state_error
    assert gather(root=tmp_path, state=state / "new", port=0).mode is None


def test_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Below a file, and below what takes no folders, not even from root; where it can be, nothing is left behind."""
    (tmp_path / "file").touch()
    below = gather(root=tmp_path, state=tmp_path / "file" / "state", port=0)
    assert below.state_error == f"{tmp_path}/file is no folder"
    assert gather(root=tmp_path, state=Path("/proc/state"), port=0).state_error.startswith("/proc cannot be written: ")
    assert gather(root=tmp_path, state=tmp_path / "state", port=0).state_error == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
