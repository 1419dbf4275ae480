"""`warmfront doctor`: what would keep Warmfront from working here, each finding with its remedy."""

import asyncio
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warmfront.cli.api import environment
from warmfront.cli.options import STATE
from warmfront.errors import SetupError

if TYPE_CHECKING:
    from warmfront.kube.preflight import Facts, Finding, Program

_PROGRAM_S = 10.0


@click.command("doctor")
@click.option("-n", "--namespace", help="Where Warmfront is, or is to be.  [default: the kubeconfig's]")
@click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", help="Project folder."
)
@click.option(
    "--state", type=click.Path(path_type=Path), default=STATE, show_default=True, help="State folder of `up`."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port of `up`.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people or for programs.")
def command(*, namespace: str | None, root: Path, state: Path, port: int, output: str) -> None:
    """Check the cluster that KUBECONFIG names, or this machine for `warmfront up`; change nothing.

    Exit status 1 when a check fails.
    """
    from warmfront.kube.preflight import Status, findings

    facts = asyncio.run(_facts(namespace))
    found = findings(facts)
    if facts.api is None or facts.api.embedded:
        found += _machine(root.resolve(), state, port, running=facts.api is not None)
    if output == "json":
        rows = [
            {"check": f.check, "status": _WORDS[f.status.name], "found": f.found, "remedy": f.remedy} for f in found
        ]
        click.echo(json.dumps({"namespace": facts.namespace, "findings": rows}, ensure_ascii=False))
    else:
        _show(facts.namespace, found)
    if any(finding.status is Status.FAIL for finding in found):
        raise SystemExit(1)


_WORDS = {"OK": "ok", "WARN": "warn", "FAIL": "fail", "NA": "not applicable here"}


async def _facts(namespace: str | None) -> "Facts":
    from warmfront.kube.client import KubeClient
    from warmfront.kube.connection import Connection
    from warmfront.kube.preflight import Facts, gather
    from warmfront.protocols import PROTOCOLS, Errors
    from warmfront.wire.pool import Pool

    environ = environment()
    programs = await asyncio.gather(
        _program("kn", environ.get("KN") or "kn", ["version", "-o", "json"]),
        _program("kubectl", "kubectl", ["version", "--client", "-o", "json"]),
    )
    try:
        connection = Connection.load(environ)
    except SetupError as error:
        configured = environ.get("KUBECONFIG") or (Path.home() / ".kube" / "config").exists()
        said = str(error) if configured else ""
        return Facts(namespace=namespace or "default", programs=tuple(programs), error=said)
    pool = Pool(connect_timeout_s=3.0)
    try:
        facts = await gather(KubeClient(connection, pool), pool, namespace or connection.namespace, programs)
    finally:
        await pool.close()
    readiness = {name: one.readiness for name, one in PROTOCOLS.items() if one.errors is not Errors.STATUS}
    # the kubeconfig of an `up` that has ended is nobody's choice of a cluster
    return replace(facts, readiness=readiness, error="" if environ != os.environ else facts.error)


async def _program(name: str, command: str, arguments: Sequence[str]) -> "Program":
    from warmfront.kube.preflight import Program

    path = shutil.which(command)
    if path is None:
        return Program(name=name)
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(path, *arguments, stdout=pipe, stderr=pipe, env=dict(os.environ))
    except OSError as error:
        return Program(name=name, path=path, error=error.strerror or str(error))
    try:
        async with asyncio.timeout(_PROGRAM_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return Program(name=name, path=path, error=f"no answer in {_PROGRAM_S:.0f} s")
    try:
        return Program(name=name, path=path, version=_version(json.loads(out)))
    except (ValueError, TypeError, AttributeError):
        return Program(name=name, path=path, error=(err or out).decode(errors="replace").strip()[:200])


def _version(said: dict[str, Any]) -> str:
    """Of `kubectl version` the client's, of `kn version` its own, else the Knative it was made for."""
    client = said.get("clientVersion", {}).get("gitVersion")
    own = said.get("Version") or said.get("version")
    if client or own:
        return str(client or own)
    apis = [api for listed in (said.get("SupportedAPIs") or {}).values() for api in listed]
    return f"made for {apis[-1]}" if apis else "of unknown version"


def _machine(root: Path, state: Path, port: int, *, running: bool) -> "list[Finding]":
    from warmfront.runtime import preflight

    return preflight.findings(preflight.gather(root=root, state=state, port=port), running=running)


def _show(namespace: str, found: "list[Finding]") -> None:
    from rich.console import Console
    from rich.markup import escape

    from warmfront.kube.preflight import Status

    marks = {
        Status.OK: "[green]ok  [/]",
        Status.WARN: "[yellow]warn[/]",
        Status.FAIL: "[red]fail[/]",
        Status.NA: "[dim]n/a [/]",
    }
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"namespace {namespace}", markup=False)
    for finding in found:
        console.print(f"{marks[finding.status]}  [bold]{escape(finding.check)}[/]: {escape(finding.found)}")
        for line in finding.remedy.splitlines():
            console.print(f"      -> {line}", markup=False)
    count = {status: sum(f.status is status for f in found) for status in Status}
    console.print(
        f"{count[Status.OK]} ok, {count[Status.WARN]} to look at, {count[Status.FAIL]} wrong, "
        f"{count[Status.NA]} not applicable here"
    )
