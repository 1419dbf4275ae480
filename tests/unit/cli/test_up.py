"""`warmfront up`: where it refuses to start, and its table beside log lines."""

import io
import socket

import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.live import Live

from warmfront.cli.app import cli
from warmfront.cli.tables import warm_set
from warmfront.cli.up import _printer
from warmfront.errors import SetupError
from warmfront.runtime.store import Store


def up(*args: str):
    """Run it in the present folder."""
    return CliRunner().invoke(cli, ["up", "--port", "0", *args], catch_exceptions=False)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, which is the present one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("args", "place"), [((), r"\./knative"), (("--root", "empty"), "empty/knative")])
def test_a_folder_without_manifests(here, args, place):
    """Says where it looked and how to name another place; nothing is written."""
    (here / "empty").mkdir()
    said = (
        f"^found no manifests in {place}; run it in the project's folder, or name it with --root or manifests with -f$"
    )
    with pytest.raises(SetupError, match=said):
        up(*args)
    assert [path.name for path in here.iterdir()] == ["empty"]


def test_a_state_folder_without_services(here):
    """One that `up` has left before is no reason to start."""
    (here / ".warmfront").mkdir()
    Store(here / ".warmfront" / "objects.db").close()
    with pytest.raises(SetupError, match="found no manifests"):
        up()


@pytest.mark.parametrize(("owner", "who"), [("4711 8080\n", r" \(process 4711, port 8080\)"), (None, "")])
def test_a_second_one_in_a_folder(here, owner, who):
    """It names the first one, as far as the folder tells, and does not tell to remove anything."""
    (here / "knative").mkdir()
    (here / ".warmfront").mkdir()
    if owner is not None:
        (here / ".warmfront" / "owner").write_text(owner)
    first = Store(here / ".warmfront" / "objects.db")
    said = f"^`warmfront up` already runs on .warmfront{who}; use it, or start another one with a --state and a --port"
    try:
        with pytest.raises(SetupError, match=said):
            up()
    finally:
        first.close()


@pytest.mark.parametrize("option", ["--port", "--api-port"])
def test_a_port_in_use(here, option):
    """The option that takes another one is named."""
    (here / "knative").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(
            SetupError, match=rf"cannot listen on 127\.0\.0\.1:{port} .* another port with {option} \(0"
        ):
            up(option, port)


def test_a_log_line_beside_the_live_table():
    """The line stands as it was written; the table that it moves is drawn as ever."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=80, highlight=False)
    one = {"variant": "v", "warmth": "warm", "wanted": True, "kept_until": None, "reason": ""}
    with Live(warm_set({"variants": [one]}), console=console, auto_refresh=False):
        _printer(console)("v-00001", "loaded [green]all[/]")
    assert "v-00001: loaded [green]all[/]" in out.getvalue()
    assert "[green]warm" not in out.getvalue()
