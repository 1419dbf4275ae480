"""The command line: `warmfront`, and `kn warmfront` as a kn plugin. Argument parsing and wiring only.

Each command lives in its own module and is imported when it is run: a kn plugin starts on every call.
"""

import sys


def main() -> None:
    """Entry point. An error raised on purpose is one line on stderr that tells the remedy, and exit status 1."""
    from warmfront.cli.app import cli
    from warmfront.errors import WarmfrontError

    try:
        cli(prog_name="kn warmfront" if sys.argv[0].endswith("kn-warmfront") else "warmfront")
    except WarmfrontError as error:
        print(f"warmfront: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
