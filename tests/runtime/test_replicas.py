"""Replicas as real processes: what they are given, when they are ready, how they end, and that none survives."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from warmfront.runtime.environments import Function
from warmfront.runtime.orphans import Ledger, started, sweep
from warmfront.runtime.replicas import Replica, State, free_port, launch_of
from warmfront.runtime.workload import Probe, Workload
from warmfront.wire.pool import Pool


def workload(**changes) -> Workload:
    plain = {"namespace": "default", "revision": "echo-00001", "service": "echo", "configuration": "echo"}
    return Workload(**plain, image="dev.local/echo-fn:v1", **changes)


PYTHON = str(Path(sys.executable).with_name("python"))
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"


def function(folder: Path, *words: str) -> Function:
    return Function(folder=folder, command=(PYTHON, *(words or ("-S", "-E", "server.py"))), path=PATH)


READYZ = Probe(path="/readyz")


class Stage:
    """One replica with its callbacks turned into events."""

    def __init__(self, folder: Path, *command: str, probe: Probe = READYZ, deadline_s: float = 30.0, **changes):
        self.ledger = Ledger(folder.parent / "replicas")
        self.pool = Pool(idle_timeout_s=1.5)
        self.ready, self.exited = asyncio.Event(), asyncio.Event()
        self.lines: list[str] = []
        launch = launch_of(
            function(folder, *command), workload(**changes), port=free_port(set()), kubeconfig=Path("kc")
        )
        self.replica = Replica(
            launch,
            probe,
            h2c=False,
            start_deadline_s=deadline_s,
            ledger=self.ledger,
            pool=self.pool,
            on_ready=lambda _: self.ready.set(),
            on_exit=lambda _: self.exited.set(),
            on_line=lambda _, line: self.lines.append(line),
        )

    async def __aenter__(self) -> Self:
        self.ledger.open()
        self.replica.start()
        return self

    async def __aexit__(self, *_):
        await self.replica.stop(5)
        self.ledger.close()
        await self.pool.close()

    async def get(self, path: str) -> dict:
        reply = await self.pool.fetch(self.replica.origin, "GET", path, [], b"", timeout_s=10)
        return json.loads(reply.body)


def test_a_replica_gets_knatives_environment_and_nothing_of_the_host_beyond(echo_fn, monkeypatch):
    """PORT, K_*, its own variables; no credentials of the shell, no KUBECONFIG without a service account."""
    monkeypatch.setenv("SECRET_TOKEN", "x")

    async def story():
        async with Stage(echo_fn, env=(("GREETING", "hallo"),)) as stage:
            await asyncio.wait_for(stage.ready.wait(), 20)
            return (await stage.get("/"))["env"], stage.replica.port

    env, port = asyncio.run(story())
    assert {
        "K_SERVICE": "echo",
        "K_REVISION": "echo-00001",
        "K_CONFIGURATION": "echo",
        "GREETING": "hallo",
    }.items() <= env.items()
    assert env["PORT"] == str(port)
    assert env["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert not {"SECRET_TOKEN", "KUBECONFIG"} & env.keys()


def test_a_service_account_brings_the_kubeconfig(echo_fn):
    """Least privilege: only then."""
    launch = launch_of(
        function(echo_fn), workload(service_account="selector"), port=1, kubeconfig=Path("/state/kubeconfig")
    )
    assert (launch.env["KUBECONFIG"], launch.env["WARMFRONT_NAMESPACE"]) == ("/state/kubeconfig", "default")


def test_variables_in_the_procfile_are_expanded_without_a_shell(echo_fn):
    """$PORT becomes the port; a semicolon stays a semicolon."""
    launch = launch_of(function(echo_fn, "x=$PORT;", "${K_SERVICE}"), workload(), port=4711, kubeconfig=Path("k"))
    assert launch.command[1:] == ("x=4711;", "echo")


@pytest.mark.parametrize("probe", [Probe(path="/readyz"), Probe()])
def test_ready_means_that_the_probe_succeeded(echo_fn, probe, eventually):
    """Neither an open gate nor a running process is enough; lines printed meanwhile are handed on."""
    (echo_fn / "gate").touch()

    async def story():
        async with Stage(echo_fn, probe=probe) as stage:
            await eventually(lambda: stage.replica.pid)
            assert stage.replica.state is State.STARTING
            (echo_fn / "gate").unlink()
            await asyncio.wait_for(stage.ready.wait(), 20)
            assert stage.replica.state is State.READY
            return stage.lines

    assert "serving" in asyncio.run(story())


def test_an_http_probe_waits_for_a_success_status(echo_fn, eventually):
    """503 is not ready, however well the port is open."""
    (echo_fn / "unready").touch()

    async def story():
        async with Stage(echo_fn) as stage:
            await eventually(lambda: any("503" in line for line in stage.lines))
            assert not stage.ready.is_set()
            (echo_fn / "unready").unlink()
            await asyncio.wait_for(stage.ready.wait(), 20)

    asyncio.run(story())


def test_a_start_beyond_its_deadline_is_killed(echo_fn):
    """It counts as overdue, so that the owner can say so."""
    (echo_fn / "gate").touch()

    async def story():
        async with Stage(echo_fn, deadline_s=0.2) as stage:
            await asyncio.wait_for(stage.exited.wait(), 20)
            return stage.replica

    replica = asyncio.run(story())
    assert replica.overdue
    assert replica.exit_code == -signal.SIGKILL


def test_the_last_words_of_a_crash_are_kept(echo_fn):
    """Exit code and last line, for the condition's message."""
    (echo_fn / "crashes").write_text("1")

    async def story():
        async with Stage(echo_fn) as stage:
            await asyncio.wait_for(stage.exited.wait(), 20)
            return stage.replica

    replica = asyncio.run(story())
    assert (replica.exit_code, replica.last_line) == (1, "cannot load the model, 1 to go")
    assert replica.state is State.STOPPED


def test_stop_is_sigterm_and_after_the_grace_period_sigkill(echo_fn, eventually):
    """A process that ignores SIGTERM is killed; one that heeds it ends by it."""
    stubborn = "import signal,time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"

    async def story():
        async with Stage(echo_fn) as polite:
            await asyncio.wait_for(polite.ready.wait(), 20)
            await polite.replica.stop(20)
        async with Stage(echo_fn, "-c", stubborn) as deaf:
            await eventually(lambda: "deaf" in deaf.lines)
            await deaf.replica.stop(0.1)
        return polite.replica.exit_code, deaf.replica.exit_code

    assert asyncio.run(story()) == (-signal.SIGTERM, -signal.SIGKILL)


FORKING = """
import os, time
for n in range(2):
    if os.fork() == 0:
        os.write(1, b"worker %d\\n" % os.getpid())
        time.sleep(600)
os.write(1, b"leads\\n")
time.sleep(600)
"""


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_leader(echo_fn, sign, eventually, gone):
    """However the leader of the group dies, the processes it forked die too."""

    async def story():
        async with Stage(echo_fn, "-c", FORKING) as stage:
            await eventually(lambda: len(stage.lines) == 3)
            os.kill(stage.replica.pid, sign)
            await asyncio.wait_for(stage.exited.wait(), 20)
            return [int(line.split()[1]) for line in stage.lines if line.startswith("worker")]

    workers = asyncio.run(story())
    assert len(workers) == 2
    for pid in workers:
        gone(pid)


def sleeper() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)


def test_the_next_start_sweeps_what_the_last_runtime_left(tmp_path):
    """A ledger found in the folder is a list of orphans; each is killed and the ledger removed."""
    orphan = sleeper()
    (tmp_path / "old.ledger").write_text(f"{orphan.pid} {started(orphan.pid)}\n")
    ledger = Ledger(tmp_path)
    assert ledger.open() == 1
    assert orphan.wait(10) == -signal.SIGKILL
    assert not (tmp_path / "old.ledger").exists()
    ledger.close()


def test_a_recycled_process_id_is_not_mistaken_for_ours(tmp_path):
    """The start time in the ledger must be the process's own."""
    stranger = sleeper()
    (tmp_path / "old.ledger").write_text(f"{stranger.pid} 12345\n")
    assert sweep(tmp_path / "old.ledger") == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait(10)


HEALTH = """
import os, pathlib, sys
from concurrent import futures
import grpc

READY = pathlib.Path(__file__).with_name("loaded")


class Health(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(self.check)

    def check(self, request, context):
        if request != b"\\x0a\\x06digits":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        print("asked", flush=True)
        return b"\\x08\\x01" if READY.exists() else b"\\x08\\x02"


server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Health()])
server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
server.start()
server.wait_for_termination()
"""


def test_a_grpc_server_is_ready_when_its_health_check_says_so(tmp_path, eventually):
    """Not when its port opens: it answers NOT_SERVING until the model is loaded."""
    (tmp_path / "health.py").write_text(HEALTH)

    async def story():
        async with Stage(tmp_path, "health.py", probe=Probe(service="digits")) as stage:
            await eventually(lambda: "asked" in stage.lines)
            early = stage.ready.is_set()
            (tmp_path / "loaded").touch()
            await asyncio.wait_for(stage.ready.wait(), 20)
            return early

    assert asyncio.run(story()) is False
