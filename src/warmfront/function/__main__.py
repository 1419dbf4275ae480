"""`python -m warmfront.function main:handle`: the start command of a function folder. Glue only."""

import os
import sys

from warmfront.errors import SetupError
from warmfront.function.serve import Settings, find, run
from warmfront.telemetry.logs import configure


def main(arguments: list[str]) -> int:
    """The exit status: 0 after a graceful end, 2 when something must be put right first."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m warmfront.function MODULE:NAME, for example main:handle\n")
        return 2
    configure("INFO", {"revision": os.environ.get("K_REVISION", "")})
    try:
        settings = Settings.from_environment(os.environ)
        run(find(arguments[0]), settings)
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
