"""One kind of object, kept equal to what the API server has: listed, then watched, and listed again when that breaks.

No state is missed: whenever a watch breaks or its resource version expires, the kind is listed anew and compared.
What must not live here: what an object means.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from warmfront.errors import Gone, Unauthorized, WarmfrontError
from warmfront.kube.client import KubeClient
from warmfront.kube.resources import Resource

_log = logging.getLogger(__name__)
_BACKOFF_S = (0.05, 0.2, 0.5, 1.0, 2.0)
_FORBIDDEN_RETRY_S = 60.0

Object = dict[str, Any]


class Follower:
    """All objects of one kind and namespace with these labels, by name, as long as `run` runs.

    `changed` is called with the objects that came, changed or went, after `objects` has them so. `without` says what
    follows from having no permission.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        namespace: str,
        changed: Callable[[Iterable[Object]], None],
        *,
        labels: str = "",
        without: str,
    ) -> None:
        self.resource = resource
        self.objects: dict[str, Object] = {}
        self.synced = False
        self._client = client
        self._namespace = namespace
        self._changed = changed
        self._labels = labels
        self._without = without
        self._fault = ""

    @property
    def state(self) -> str:
        """`watching`, `waiting`, or what is wrong and what follows from it."""
        return self._fault or ("watching" if self.synced else "waiting")

    async def run(self) -> None:
        """Ends only by cancellation."""
        failures = 0
        while True:
            try:
                items, since = await self._client.list(self.resource, self._namespace, labels=self._labels)
                self._replace(items)
                self.synced, self._fault = True, ""
                failures = 0
                while True:
                    since = await self._watch_once(since)
            except Gone:
                continue
            except Unauthorized as error:
                self._say(f"no permission ({error}); {self._without}")
                await asyncio.sleep(_FORBIDDEN_RETRY_S)
            except Exception as error:  # noqa: BLE001 - a selector that went blind must say so, and look again
                known = isinstance(error, WarmfrontError)
                what = f"connection lost ({error})" if known else f"a mistake in this program ({error!r})"
                self._say(f"{what}; last known state is used", None if known else error)
                await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1

    async def _watch_once(self, since: str) -> str:
        watch = self._client.watch(self.resource, self._namespace, labels=self._labels, since=since)
        async for change, obj in watch:
            since = obj["metadata"]["resourceVersion"]
            if change == "BOOKMARK":
                continue
            if change == "DELETED":
                self.objects.pop(obj["metadata"]["name"], None)
            else:
                self.objects[obj["metadata"]["name"]] = obj
            self._changed([obj])
        return since

    def _replace(self, items: list[Object]) -> None:
        gone = list(self.objects.values())
        self.objects.clear()
        self.objects.update((item["metadata"]["name"], item) for item in items)
        self._changed([*gone, *items])

    def _say(self, what: str, error: Exception | None = None) -> None:
        if self._fault != what:
            _log.warning("watch of %s: %s", self.resource.plural, what, exc_info=error)
        self._fault = what
