"""Keeps variants warm by their Revisions' annotations, and lets them go when their time is over.

Any selector replica may keep or release; ending what is over is done by the one that holds the Lease. What is written
and when: kept.py and lease.py. What must not live here: which variant is worth it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from warmfront.domain import Keep, Release
from warmfront.errors import Conflict, NotFound, Unauthorized, Unprocessable, WarmfrontError
from warmfront.kube.client import KubeClient
from warmfront.kube.follow import Follower
from warmfront.kube.kept import PERSON, Changes, Chore, Kept, due, keeping, kept_by, releasing
from warmfront.kube.lease import Leadership
from warmfront.kube.resources import REVISIONS

_log = logging.getLogger(__name__)

TICK_S = 1.0
_TRIES = 5
_CLOSE_S = 5.0
_FORBIDDEN_RETRY_S = 60.0
_NOBODY = "warmfront-may-patch"
_ALLOW = "apply knative/components/keep-warm"

Object = dict[str, Any]


class Keeper:
    """Acts between `start` and `close`. `revisions` tells the revision by which each variant serves now.

    `placed` hears of every keep that was written: Knative does not start a revision that never had a request for its
    min-scale alone, so somebody has to wake it.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        identity: str,
        revisions: Callable[[], Mapping[str, str]],
        placed: Callable[[Kept], None],
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.own = f"selector/{identity}"
        self.leadership = Leadership(client, namespace, identity, clock=clock, wall=wall)
        self._client = client
        self._namespace = namespace
        self._current = revisions
        self._placed = placed
        self._clock = clock
        self._wall = wall
        self._kept: dict[str, Kept] = {}
        self._watch = Follower(client, REVISIONS, namespace, self._seen, without="what is kept is not known")
        self._forbidden = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to watch and to stand for the Lease; returns at once."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(part) for part in (self._watch.run(), self.leadership.run(), self._run())]

    async def close(self) -> None:
        """Release what this replica keeps of its own accord, give the Lease back, stop. What people asked for stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):  # the API server may be what ended
            async with asyncio.timeout(_CLOSE_S):
                for kept in list(self._kept.values()):
                    if kept.by == self.own:
                        await self._end(Chore(kept))
                await self.leadership.resign()

    @property
    def leads(self) -> bool:
        """Whether this replica acts for all."""
        return self.leadership.holding

    def describe(self) -> str:
        """`leading`, `following HOLDER`, or what is wrong and what to do."""
        if self._forbidden:
            return self._forbidden
        if not self._watch.synced:
            return f"revisions: {self._watch.state}"
        if self.leadership.fault:
            return f"{self.leadership.fault}; nothing is released when its time is over"
        return "leading" if self.leads else f"following {self.leadership.election.holder or 'nobody yet'}"

    def kept(self, revision: str) -> Kept | None:
        """How this revision is kept, if it is."""
        return self._kept.get(revision)

    async def keep(self, keep: Keep, *, by: str) -> Kept:
        """Have it kept; how it is kept then.

        Raises:
            NotFound: there is no such Revision.
            Unprocessable: this selector has not the permission.
        """
        until = self._wall() + keep.until_at - self._clock()
        kept = await self._place(keep.revision, until=until, by=by, replicas=keep.replicas)
        _log.info(
            "keeping a variant warm",
            extra={"fields": {"revision": keep.revision, "by": kept.by, "reason": keep.reason}},
        )
        return kept

    async def release(self, release: Release, *, by: str) -> bool:
        """Let every kept revision of the variant go, this one included; whether any was kept. Raises as `keep`.

        What a person asked for only a person takes back.
        """

        def changes_of(obj: Object) -> Changes:
            kept = kept_by(obj)
            return {} if kept is not None and kept.by == PERSON != by else releasing(obj)

        named = {release.revision} | {one.revision for one in self._kept.values() if one.variant == release.variant}
        ended = [await self._change(name, changes_of) for name in sorted(named)]
        _log.info("released a variant", extra={"fields": {"variant": release.variant, "reason": release.reason}})
        return any(changed for _, changed in ended)

    async def _place(self, revision: str, *, until: float, by: str, replicas: int) -> Kept:
        wall = self._wall()
        written, changed = await self._change(
            revision, lambda obj: keeping(obj, until=until, by=by, replicas=replicas, wall=wall)
        )
        kept = kept_by(written)
        assert kept is not None
        if changed:
            self._placed(kept)
        return kept

    async def _change(self, revision: str, changes_of: Callable[[Object], Changes]) -> tuple[Object, bool]:
        """The Revision with its changes written, and whether there were any."""
        try:
            for _ in range(_TRIES):
                obj = await self._client.get(REVISIONS, self._namespace, revision)
                changes = changes_of(obj)
                if not changes:
                    return obj, False
                metadata = {"resourceVersion": obj["metadata"]["resourceVersion"], "annotations": changes}
                try:
                    obj = await self._client.merge(REVISIONS, self._namespace, revision, {"metadata": metadata})
                except Conflict:  # the platform and people write to it as well
                    continue
                self._note(revision, kept_by(obj))
                self._forbidden = ""
                return obj, True
        except Unauthorized as error:
            raise Unprocessable(self._forbid(error)) from error
        raise Conflict(f"Revision {revision} changed {_TRIES} times while it was being written; try again")

    def _seen(self, revisions: Iterable[Object]) -> None:
        for name in {obj["metadata"]["name"] for obj in revisions}:
            revision = self._watch.objects.get(name)
            self._note(name, None if revision is None else kept_by(revision))

    def _note(self, revision: str, kept: Kept | None) -> None:
        if kept is None:
            self._kept.pop(revision, None)
        else:
            self._kept[revision] = kept

    async def _run(self) -> None:
        await self._ask_permission()
        while True:
            await asyncio.sleep(_FORBIDDEN_RETRY_S if self._forbidden else TICK_S)
            if self._forbidden:
                await self._ask_permission()
            elif self.leads and self._watch.synced:
                for chore in due(list(self._kept.values()), self._current(), self._wall()):
                    await self._end(chore)

    async def _end(self, chore: Chore) -> None:
        kept, successor = chore
        try:
            if successor:
                await self._place(successor, until=kept.until, by=kept.by, replicas=max(kept.replicas, 1))
            # somebody may have prolonged it since: then it is another keep, and not over
            await self._change(kept.revision, lambda obj: releasing(obj) if kept_by(obj) == kept else {})
        except NotFound:
            self._kept.pop(kept.revision, None)
        except WarmfrontError as error:
            _log.warning("revision %s is still kept: %s", kept.revision, error)
            return
        why = f"{successor} serves now" if successor else "it is over"
        _log.info("released a revision", extra={"fields": {"revision": kept.revision, "reason": why}})

    async def _ask_permission(self) -> None:
        """Patch a Revision that cannot be: permission is looked at before existence."""
        try:
            await self._client.merge(REVISIONS, self._namespace, _NOBODY, {})
        except Unauthorized as error:
            self._forbid(error)
        except WarmfrontError:
            self._forbidden = ""

    def _forbid(self, error: Unauthorized) -> str:
        said = f"no permission to patch Revisions ({error}); nothing is kept warm: {_ALLOW}"
        if said != self._forbidden:
            _log.warning(said)
        self._forbidden = said
        return said
