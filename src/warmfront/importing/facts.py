"""What a model takes and gives, read by another process from the model itself."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warmfront.errors import SetupError
from warmfront.function.imported.kinds import KINDS
from warmfront.function.imported.memory import check_room
from warmfront.importing.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Tensors by name in their text form, which outputs make up an answer, the packages that read them, notes."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    label: str
    scores: str
    classifies: bool
    versions: Mapping[str, str]
    notes: Sequence[str] = ()


def read_facts(source: Source, labels: Path | None, *, trust: bool) -> Facts:
    """Load the model in a process of its own and ask it.

    Raises:
        SetupError: a pickle is not trusted; no room; no package to read it with; it cannot be read; labels that are
            missing or do not fit.
    """
    if source.kind == "sklearn" and not trust:
        raise SetupError(
            f"{source.path}: a pickle runs whatever code its author put in, when it is read and at every start; "
            f"add --trust if you know where it comes from, or convert it with skl2onnx where it was made"
        )
    check_room(source.path)
    command = [sys.executable, "-m", "warmfront.importing.reader", source.kind, str(source.path)]
    done = subprocess.run(
        [*command, *([str(labels)] if labels else [])], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    said = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode == 2 and said:
        raise SetupError(said[-1])
    if done.returncode != 0:
        raise SetupError(f"{source.path}: {_died(source.kind, done.returncode)}; {(said or ['it said nothing'])[-1]}")
    return Facts(**json.loads(done.stdout.splitlines()[-1]))


def _died(kind: str, code: int) -> str:
    title = f"reading it as {KINDS[kind].title}"
    if code == -signal.SIGKILL:
        return f"{title} was ended by the system, most likely for its memory; take a smaller variant"
    if code < 0:
        return f"{title} crashed ({signal.Signals(-code).name}), so the file is corrupt: copy or export it again"
    return f"{title} ended with {code}"
