"""What a selector learned, kept while no selector runs: one JSON document, in a ConfigMap or a file.

What may live here: the document's format, where it is, when it is written. What must not: what is in it
(selection/learned.py) or what is done with it.

Several selectors share the document. Whoever writes reads it first and merges: of each variant, what was taught last
wins. Not what was taught most: all estimators forget, so their counts end at the same number whether the lessons are a
minute or a month old, and replicas that tell each other what they see have about the same counts anyway.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Protocol

import msgspec

from warmfront.errors import Conflict, NotFound, Unauthorized, WarmfrontError
from warmfront.kube.client import KubeClient
from warmfront.kube.resources import CONFIGMAPS
from warmfront.selection.learned import Learned, LearnedVariant

_log = logging.getLogger(__name__)

VERSION = 1
CONFIGMAP, KEY = "warmfront-learned", "learned.json"
SAVE_EVERY_S = 30.0
#: 256 times 2 KiB stay well below the 1 MiB that a ConfigMap may have.
MAX_VARIANTS = 256
FORGOTTEN_AFTER_S = 30 * 86_400.0
_TIMEOUT_S = 3.0
_TRIES = 3


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document. Ages in `learned` count from `saved_at`, seconds since 1970."""

    version: int
    saved_at: float
    learned: Learned


def encode(learned: Learned, wall: float) -> bytes:
    """The document as of `wall` (seconds since 1970): the MAX_VARIANTS taught last, none older than a month."""
    youngest = sorted(learned.variants.items(), key=lambda item: item[1].age_s)[:MAX_VARIANTS]
    kept = {name: one for name, one in youngest if one.age_s < FORGOTTEN_AFTER_S}
    document = _Document(version=VERSION, saved_at=round(wall, 3), learned=replace(learned, variants=kept))
    return msgspec.json.encode(document)


def decode(data: bytes, wall: float) -> Learned:
    """What the document says, aged up to `wall`. Raises ValueError when it is damaged or of another version."""
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a document of learned state ({error})") from error
    if document.version != VERSION:
        raise ValueError(f"version {document.version} of learned state; version {VERSION} was wanted")
    passed_s, learned = max(wall - document.saved_at, 0.0), document.learned
    variants = {name: replace(one, age_s=one.age_s + passed_s) for name, one in learned.variants.items()}
    return replace(learned, variants=variants, age_s=learned.age_s + passed_s)


def merge(one: Learned, other: Learned) -> Learned:
    """Of each variant, and of what all share, the one that was taught last."""
    variants: dict[str, LearnedVariant] = dict(other.variants)
    for name, mine in one.variants.items():
        theirs = variants.get(name)
        if theirs is None or mine.age_s <= theirs.age_s:
            variants[name] = mine
    shared = one if one.age_s <= other.age_s else other
    return replace(shared, variants=variants)


class Place(Protocol):
    """Where the document is. Both calls raise WarmfrontError or OSError; `write` raises Conflict when somebody else
    wrote since the last `read`.
    """

    name: str

    async def read(self) -> bytes | None:
        """The document, None when there is none yet."""
        ...

    async def write(self, data: bytes) -> None:
        """Replace it."""
        ...


class FilePlace:
    """A file, replaced at once: a reader sees the old document or the new one."""

    def __init__(self, path: Path) -> None:
        self.name = f"file {path}"
        self._path = path

    async def read(self) -> bytes | None:
        """The file's bytes; None when it does not exist."""
        try:
            return await asyncio.to_thread(self._path.read_bytes)
        except FileNotFoundError:
            return None

    async def write(self, data: bytes) -> None:
        """Write beside it, then rename."""
        await asyncio.to_thread(self._replace, data)

    def _replace(self, data: bytes) -> None:
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        beside.write_bytes(data)
        beside.replace(self._path)


class ConfigMapPlace:
    """The key `learned.json` of a ConfigMap, made when it is missing and that is permitted."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.name = f"configmap {CONFIGMAP}"
        self._client = client
        self._namespace = namespace
        self._read_version = ""

    async def read(self) -> bytes | None:
        """The document and, for the next write, the version it had."""
        try:
            found = await self._client.get(CONFIGMAPS, self._namespace, CONFIGMAP)
        except NotFound:
            self._read_version = ""
            return None
        self._read_version = found["metadata"]["resourceVersion"]
        text = (found.get("data") or {}).get(KEY)
        return None if text is None else str(text).encode()

    async def write(self, data: bytes) -> None:
        """Patch the one key, or create the ConfigMap."""
        content = {"data": {KEY: data.decode()}}
        if self._read_version:
            patch = {"metadata": {"resourceVersion": self._read_version}, **content}
            await self._client.merge(CONFIGMAPS, self._namespace, CONFIGMAP, patch)
        else:
            metadata = {"name": CONFIGMAP, "namespace": self._namespace}
            await self._client.create(
                CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **content}
            )


class Archive:
    """Reads the document once and writes it when something new was taught. Its failures are logged and harmless.

    `wall` is the time in seconds since 1970. Without a place nothing is kept.
    """

    def __init__(self, place: Place | None, *, wall: Callable[[], float]) -> None:
        self._place = place
        self._wall = wall
        self._fault = ""
        self._saved_to = -inf  # what was taught up to then is in the document

    def describe(self) -> str:
        """Where learned state is kept, or why it is not."""
        if self._place is None:
            return "not kept: switched off"
        return f"{self._place.name}: {self._fault}" if self._fault else self._place.name

    async def load(self) -> Learned:
        """What was kept; nothing when that cannot be had or read."""
        if self._place is None:
            return Learned()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                learned = await self._read(self._place)
        except (WarmfrontError, OSError) as error:
            self._failed("not read", error)
            return Learned()
        self._saved_to = self._taught_at(learned)
        return learned

    async def follow(self, export: Callable[[], Learned]) -> None:
        """Save every half minute what `export` then gives; ends only by cancellation."""
        while self._place is not None:
            await asyncio.sleep(SAVE_EVERY_S)
            await self.save(export())

    async def save(self, learned: Learned) -> None:
        """Write what was learned if any of it is new."""
        taught_at = self._taught_at(learned)
        if self._place is None or taught_at <= self._saved_to + 0.01:
            return
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._merged(self._place, learned)
        except (WarmfrontError, OSError) as error:  # TimeoutError is an OSError
            self._failed("not written", error)
        else:
            self._saved_to, self._fault = taught_at, ""

    async def _merged(self, place: Place, learned: Learned) -> None:
        for left in reversed(range(_TRIES)):
            theirs = await self._read(place)
            try:
                await place.write(encode(merge(learned, theirs), self._wall()))
            except Conflict:
                if not left:
                    raise
            else:
                return

    async def _read(self, place: Place) -> Learned:
        """The document's content; a damaged one holds nothing, and is replaced by the next write."""
        data = await place.read()
        try:
            return Learned() if data is None else decode(data, self._wall())
        except ValueError as error:
            _log.warning("learned state in %s is ignored: %s", place.name, error)
            return Learned()

    def _taught_at(self, learned: Learned) -> float:
        return self._wall() - min((one.age_s for one in learned.variants.values()), default=inf)

    def _failed(self, what: str, error: Exception) -> None:
        why = "no permission" if isinstance(error, Unauthorized) else str(error) or type(error).__name__
        fault = f"{what}: {why}"
        if fault != self._fault:
            _log.warning("learned state %s: %s", what, error)
        self._fault = fault
