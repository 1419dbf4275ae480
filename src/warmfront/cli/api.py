"""Which API server the commands speak to: the one KUBECONFIG names, else the embedded one of this folder."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from warmfront.cli.options import STATE
from warmfront.errors import SetupError, UpstreamFailed
from warmfront.kube.client import KubeClient
from warmfront.kube.connection import Connection
from warmfront.wire.pool import Pool


def environment() -> dict[str, str]:
    """The process' environment, in which KUBECONFIG names the API server, if need be `./.warmfront/kubeconfig`."""
    environ = dict(os.environ)
    if not environ.get("KUBECONFIG") and (STATE / "kubeconfig").exists():
        environ["KUBECONFIG"] = str((STATE / "kubeconfig").resolve())
    return environ


@asynccontextmanager
async def connected(connection: Connection) -> AsyncIterator[KubeClient]:
    """A client of the API server. Raises SetupError when it does not answer."""
    pool = Pool()
    try:
        yield KubeClient(connection, pool)
    except UpstreamFailed as error:
        where = connection.origin.authority
        raise SetupError(
            f"the API server at {where} does not answer ({error}); start `warmfront up` or fix KUBECONFIG"
        ) from error
    finally:
        await pool.close()
