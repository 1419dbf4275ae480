"""The `kn` program: what to call it with for an object, and running it.

What lives here: argument lists (pure) and one process call. What must not: which objects there are, in which order they
are made (deployment.py), waiting for them (rollout.py).
"""

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warmfront.errors import SetupError
from warmfront.kube.resources import BROKERS, SERVICES, TRIGGERS, Json, Resource
from warmfront.kube.text import to_yaml

_STDIN = "/dev/stdin"  # kn takes `-` for a file of that name
_CLASS = "eventing.knative.dev/broker.class"
_DELIVERY = {  # field of spec.delivery -> option of `kn broker create`
    "retry": "--retry",
    "backoffPolicy": "--backoff-policy",
    "backoffDelay": "--backoff-delay",
    "timeout": "--timeout",
    "retryAfterMax": "--retry-after-max",
}
_NOUNS = {SERVICES: "service", BROKERS: "broker", TRIGGERS: "trigger"}
_SINKS = {
    SERVICES.api_version + "/Service": "ksvc",
    "v1/Service": "svc",
    BROKERS.api_version + "/Broker": "broker",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program with its arguments and what it reads from standard input."""

    argv: tuple[str, ...]
    stdin: str = ""

    @property
    def shell(self) -> str:
        """The command as one types it; standard input as a here-document."""
        line = shlex.join(self.argv)
        return f"{line} <<'END'\n{self.stdin.rstrip()}\nEND" if self.stdin else line


class Kn:
    """The stock `kn`, run with one environment."""

    def __init__(self, binary: str, environ: Mapping[str, str]) -> None:
        self.binary = binary
        self._environ = environ

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> "Kn":
        """The program that the variable KN names, else `kn` on PATH. Raises SetupError when there is none."""
        named = environ.get("KN", "")
        found = shutil.which(named or "kn", path=environ.get("PATH", os.defpath))
        if found is None:
            where = f"KN names {named!r}, which is no program" if named else "kn is not on PATH"
            raise SetupError(
                f"{where}; get it from https://knative.dev/docs/client/install-kn and put it on PATH, or set KN to it"
            )
        return cls(found, environ)

    async def run(self, command: Command) -> str:
        """What it printed. Raises SetupError with kn's own message when it fails."""
        with tempfile.TemporaryFile() as given:  # a file, for a socket cannot be opened as /dev/stdin
            given.write(command.stdin.encode())
            given.seek(0)
            process = await asyncio.create_subprocess_exec(
                self.binary,
                *command.argv[1:],
                stdin=given,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environ,
            )
            try:
                out, err = await process.communicate()
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise
        if process.returncode != 0:
            said = _message(err.decode(errors="replace")) or out.decode(errors="replace").strip()
            raise SetupError(said or f"`{shlex.join(command.argv)}` ended with status {process.returncode}")
        return out.decode(errors="replace")


def apply_service(service: Json, namespace: str, *, source: Path | None, label: str) -> Command:
    """`kn service apply`: from its file when that holds the same object, else from standard input."""
    name = service["metadata"]["name"]
    argv = ["kn", "service", "apply", name, "-n", namespace, "-f", str(source or _STDIN), "--no-wait"]
    if label:
        argv += ["--label-service", label]
    return Command(argv=tuple(argv), stdin="" if source else to_yaml(service))


def create_broker(broker: Json, namespace: str) -> Command | None:
    """`kn broker create`, or None when the Broker says what kn has no option for."""
    annotations = broker["metadata"].get("annotations") or {}
    spec = broker.get("spec") or {}
    delivery = dict(spec.get("delivery") or {})
    argv = ["kn", "broker", "create", broker["metadata"]["name"], "-n", namespace]
    if _CLASS in annotations:
        argv += ["--class", annotations[_CLASS]]
    if "deadLetterSink" in delivery:
        sink = _sink(delivery.pop("deadLetterSink"))
        if sink is None:
            return None
        argv += ["--dl-sink", sink]
    for field, option in _DELIVERY.items():
        if field in delivery:
            argv += [option, str(delivery.pop(field))]
    if delivery or spec.keys() - {"delivery"} or annotations.keys() - {_CLASS} or broker["metadata"].get("labels"):
        return None
    return Command(argv=tuple(argv))


def create_trigger(trigger: Json, namespace: str) -> Command | None:
    """`kn trigger create`, or None when the Trigger says what kn has no option for, such as a CESQL filter."""
    metadata, spec = trigger["metadata"], trigger.get("spec") or {}
    attributes = (spec.get("filter") or {}).get("attributes") or {}
    sink = _sink(spec.get("subscriber") or {})
    plain = all(set('",\n').isdisjoint(f"{key}{value}") for key, value in attributes.items())
    if sink is None or not plain or spec.keys() - {"broker", "filter", "subscriber"}:
        return None
    if metadata.get("annotations") or metadata.get("labels"):
        return None
    argv = ["kn", "trigger", "create", metadata["name"], "-n", namespace, "--broker", spec["broker"], "--sink", sink]
    for key, value in attributes.items():
        argv += ["--filter", f"{key}={value}"]
    return Command(argv=tuple(argv))


def delete(resource: Resource, namespace: str, name: str) -> Command | None:
    """`kn service|broker|trigger delete`; None for any other kind."""
    noun = _NOUNS.get(resource)
    return Command(argv=("kn", noun, "delete", name, "-n", namespace)) if noun else None


def _sink(destination: Mapping[str, Any]) -> str | None:
    """A destination in kn's words; None when kn has none for it."""
    if destination.keys() == {"uri"}:
        return str(destination["uri"])
    ref = destination.get("ref") or {}
    prefix = _SINKS.get(f"{ref.get('apiVersion')}/{ref.get('kind')}")
    if prefix is None or destination.keys() != {"ref"}:
        return None
    return f"{prefix}:{ref['name']}" + (f":{ref['namespace']}" if "namespace" in ref else "")


def _message(printed: str) -> str:
    """What kn complains of, without the word Error and the pointer to its help."""
    lines = [line.strip() for line in printed.splitlines() if line.strip() and not line.startswith("Run 'kn")]
    return " ".join(lines).removeprefix("Error: ")
