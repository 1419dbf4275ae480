"""How a command reaches the selector: one blocking request at a time, to the URL the API server tells.

The API server is the one that KUBECONFIG names, else the embedded one of this folder (`./.warmfront/kubeconfig`).
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec

from warmfront.cli.api import environment
from warmfront.cloudevents import Headers
from warmfront.errors import NotFound, SetupError, UpstreamFailed, WarmfrontError
from warmfront.kube.client import KubeClient
from warmfront.kube.connection import Connection
from warmfront.kube.resources import SERVICES
from warmfront.wire.messages import Response
from warmfront.wire.pool import Origin, Pool

NAME = "selector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Where the selector is. `url` when given wins over asking the API server."""

    url: str | None
    namespace: str | None

    def request(
        self, method: str, path: str, headers: Headers, body: bytes = b"", *, timeout_s: float = 330.0
    ) -> Response:
        """One request and its whole reply.

        Raises:
            SetupError: the selector cannot be found or reached; the message says what to start.
        """
        return asyncio.run(self._request(method, path, headers, body, timeout_s))

    async def _request(self, method: str, path: str, headers: Headers, body: bytes, timeout_s: float) -> Response:
        pool = Pool()
        try:
            url = self.url or await self._find(pool)
            try:
                return await pool.fetch(Origin.parse(url), method, path, headers, body, timeout_s=timeout_s)
            except UpstreamFailed as error:
                raise SetupError(f"no selector answers at {url} ({error}); start one with `warmfront up`") from error
        finally:
            await pool.close()

    async def _find(self, pool: Pool) -> str:
        connection = Connection.load(environment())
        namespace = self.namespace or connection.namespace
        try:
            service = await KubeClient(connection, pool).get(SERVICES, namespace, NAME)
        except NotFound as error:
            raise SetupError(
                f"namespace {namespace} has no Service {NAME!r}; apply knative/ there, or name another with -n"
            ) from error
        except UpstreamFailed as error:
            where = f"{connection.origin.host}:{connection.origin.port}"
            raise SetupError(
                f"the API server at {where} does not answer; start `warmfront up` or fix KUBECONFIG"
            ) from error
        url: str | None = (service.get("status") or {}).get("url")
        if not url:
            raise SetupError(f"Service {NAME!r} in {namespace} has no URL yet; see `kn service describe {NAME}`")
        return url


def answer(response: Response) -> Any:
    """The JSON of a good reply. An error is raised in its own words: `detail` of a problem (RFC 9457), or `error`."""
    try:
        body = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        body = None
    if response.status < 400:
        return body
    said = (body.get("detail") or body.get("error")) if isinstance(body, dict) else None
    raise WarmfrontError(
        said or f"the selector answered {response.status}: {response.body[:200].decode(errors='replace')}"
    )
