"""The command line: `warmfront`, and `kn warmfront` as a kn plugin. Argument parsing and wiring only.

Each command lives in its own module and is imported when it is run: a kn plugin starts on every call.
"""

import sys


def main() -> None:
    """Entry point. An error raised on purpose is one line on stderr that tells the remedy, and exit status 1.

    So is a file that cannot be read or written, wherever that is found out.
    """
    from warmfront.cli.app import cli
    from warmfront.errors import WarmfrontError

    try:
        cli(prog_name="kn warmfront" if sys.argv[0].endswith("kn-warmfront") else "warmfront")
    except WarmfrontError as error:
        print(f"warmfront: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        why = (error.strerror or str(error)).lower()
        print(f"warmfront: {error.filename}: {why}; wanted a path that can be read or written here", file=sys.stderr)
        sys.exit(1)
