"""Wherever a policy is named on the command line, the help says which there are."""

import pytest
from click.testing import CliRunner

from warmfront.cli.app import cli
from warmfront.selection.policies import POLICIES


@pytest.mark.parametrize("command", ["compare", "simulate", "experiment", "deploy", "demo"])
def test_help_lists_every_policy(command):
    """By the names of the registry, in its order."""
    shown = "".join(CliRunner().invoke(cli, [command, "--help"]).output.split())
    assert f"Policies:{','.join(POLICIES)}." in shown
