"""`python -m warmfront.importing.reader KIND PATH [LABELS]`: loads a model once and prints what it is. Glue only.

A process of its own, because a corrupt file may take the runtime down with it, and because a pickle runs code.
"""

import importlib.metadata
import json
import logging
import sys
from pathlib import Path

from warmfront.errors import SetupError
from warmfront.function.imported.kinds import KINDS, open_model

_STANDS_IN = {"tensorflow-cpu": "tensorflow"}


def main(arguments: list[str]) -> int:
    """Exit status 0 with one line of JSON, or 2 with the reason on stderr."""
    kind, path, *labels = arguments
    logging.getLogger("warmfront").addHandler(noted := _Notes())
    try:
        signature = open_model(kind, Path(path)).signature
        from warmfront.function.imported.answers import read_labels, reading_of  # noqa: PLC0415 - numpy is here by now

        reading = reading_of(signature, read_labels(Path(labels[0])) if labels else ())
    except SetupError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 2
    facts = {
        "inputs": {spec.name: str(spec) for spec in signature.inputs},
        "outputs": {spec.name: str(spec) for spec in signature.outputs},
        "label": reading.label,
        "scores": reading.scores,
        "classifies": reading.classifies,
        "notes": noted.lines,
        "versions": dict(_installed(name) for name in KINDS[kind].packages),
    }
    sys.stdout.write(f"\n{json.dumps(facts)}\n")
    return 0


class _Notes(logging.Handler):
    """What reading the model warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(record.getMessage())


def _installed(package: str) -> tuple[str, str]:
    """Name and version of a package, or of the one that stands in for it."""
    try:
        return package, importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return _STANDS_IN[package], importlib.metadata.version(_STANDS_IN[package])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
