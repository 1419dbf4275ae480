"""`python -m warmfront.cli` is `warmfront`."""

from warmfront.cli import main

main()
