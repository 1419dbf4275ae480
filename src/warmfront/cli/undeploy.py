"""`warmfront undeploy`: take away what deploy has created, and nothing else."""

import asyncio
import sys

import click

from warmfront.cli.api import connected, environment
from warmfront.errors import SetupError


@click.command("undeploy")
@click.option("-n", "--namespace", help="Where from.  [default: the kubeconfig's]")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait-timeout", type=click.IntRange(1), default=120, show_default=True, help="Seconds until all is gone."
)
def command(*, namespace: str | None, yes: bool, wait_timeout: int) -> None:
    """Remove the objects that `warmfront deploy` has created in a namespace.

    They carry the label warmfront.dev/deployed. What was there before deploy stays, and so does the namespace.
    """
    asyncio.run(_undeploy(namespace, wait_timeout, yes=yes))


async def _undeploy(namespace: str | None, wait_timeout: int, *, yes: bool) -> None:
    from warmfront.kube.connection import Connection
    from warmfront.kube.deployment import DEPLOYED_LABEL
    from warmfront.kube.kn import Kn
    from warmfront.kube.rollout import look, remove

    environ = environment()
    kn, connection = Kn.find(environ), Connection.load(environ)
    place = namespace or connection.namespace
    async with connected(connection) as client:
        live = await look(client, place, labels=f"{DEPLOYED_LABEL}=true")
        if not live.objects:
            click.echo(f"nothing in namespace {place} was created by `warmfront deploy`")
            return
        click.echo(f"in namespace {place}:")
        for label in live.objects:
            click.echo(f"  {label}")
        if not yes:
            if not sys.stdin.isatty():
                raise SetupError("nothing was removed: there is no terminal to ask; say --yes")
            click.confirm("Remove these?", abort=True)
        try:
            async with asyncio.timeout(wait_timeout):
                await remove(client, kn, place, list(live.objects), lambda label: click.echo(f"{label} removed"))
        except TimeoutError:
            raise SetupError(
                f"not all was gone after {wait_timeout} s; run it again, or see kubectl get all -n {place}"
            ) from None
