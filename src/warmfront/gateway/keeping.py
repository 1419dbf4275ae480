"""Keeping variants warm on request and by plan: what is asked to what the keeper does, and its answer back.

What must not live here: how a revision is kept (kube/keeper.py), which variant is worth it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs

from warmfront.domain import LONGEST_KEEP_S, Keep, Release, Start, Variant
from warmfront.errors import InvalidRequest, NotFound, Unprocessable, WarmfrontError
from warmfront.gateway.plane import Plane
from warmfront.gateway.wake import Waker
from warmfront.kube.keeper import Keeper
from warmfront.kube.kept import PERSON, Kept, rfc3339
from warmfront.wire.messages import Exchange

_log = logging.getLogger(__name__)

MOST_REPLICAS = 100

Answer = Callable[[Exchange, dict[str, object]], None]
Refuse = Callable[[Exchange, WarmfrontError], None]


class Keeping:
    """`keeper` is set when keep-warm is on; without it every request is refused with how to switch it on."""

    def __init__(self, plane: Plane, waker: Waker, answer: Answer, refuse: Refuse) -> None:
        self.keeper: Keeper | None = None
        self._plane = plane
        self._waker = waker
        self._answer = answer
        self._refuse = refuse
        self._under_way: set[asyncio.Task[None]] = set()

    def until(self, variant: Variant) -> str | None:
        """The time of day until which the variant is kept; None when it is not, or nobody here knows."""
        kept = self.keeper.kept(variant.revision) if self.keeper is not None else None
        return None if kept is None else rfc3339(kept.until)

    def act(self, action: Keep | Release) -> None:
        """Carry out what the plan says, if this replica is the one that acts for all."""
        if self.keeper is not None and self.keeper.leads:
            self._spawn(self._carry_out(self.keeper, action))

    def placed(self, kept: Kept) -> None:
        """A keep was written: wake the variant unless it is awake or waking."""
        observation = self._plane.selector.catalogue.get(kept.variant)
        if observation is not None and not observation.ready and not observation.starting_at:
            self._waker.wake(Start(variant=kept.variant, reason=f"kept warm by {kept.by}"))

    def warm(self, exchange: Exchange, name: str) -> None:
        """Answer `POST /warm/VARIANT?for=SECONDS&replicas=N`."""
        keeper, variant = self._usable(), self._variant(name)
        given = parse_qs(exchange.query, keep_blank_values=True)
        for_s = _number(given, "for", float, LONGEST_KEEP_S)
        replicas = _number(given, "replicas", int, MOST_REPLICAS, "1")
        keep = Keep(
            variant=name,
            revision=variant.revision,
            until_at=self._plane.clock() + for_s,
            reason=f"asked for {for_s:g} s",
            replicas=int(replicas),
        )

        async def ask() -> dict[str, object]:
            kept = await keeper.keep(keep, by=PERSON)
            until = rfc3339(kept.until)
            return {"variant": name, "revision": kept.revision, "kept_until": until, "replicas": kept.replicas}

        self._spawn(self._reply(exchange, ask()))

    def release(self, exchange: Exchange, name: str) -> None:
        """Answer `DELETE /warm/VARIANT`."""
        keeper, variant = self._usable(), self._variant(name)
        release = Release(variant=name, revision=variant.revision, reason="asked for")

        async def ask() -> dict[str, object]:
            return {"variant": name, "released": await keeper.release(release, by=PERSON)}

        self._spawn(self._reply(exchange, ask()))

    def _usable(self) -> Keeper:
        if self.keeper is None:
            raise Unprocessable(
                "keep-warm is off on this selector; set WARMFRONT_KEEP_WARM=on there and, on a cluster, "
                "apply knative/components/keep-warm"
            )
        return self.keeper

    def _variant(self, name: str) -> Variant:
        observation = self._plane.selector.catalogue.get(name)
        if observation is None:
            known = ", ".join(sorted(self._plane.selector.catalogue)) or "none"
            raise NotFound(f"no variant {name!r}; known are {known}")
        if not observation.variant.revision:
            raise Unprocessable(f"variant {name!r} has no revision that could be kept: {observation.reason}")
        return observation.variant

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _reply(self, exchange: Exchange, asked: Coroutine[Any, Any, dict[str, object]]) -> None:
        try:
            said = await asked
        except WarmfrontError as error:
            self._refuse(exchange, error)
        else:
            self._answer(exchange, said)

    async def _carry_out(self, keeper: Keeper, action: Keep | Release) -> None:
        try:
            if isinstance(action, Keep):
                await keeper.keep(action, by=keeper.own)
            else:
                await keeper.release(action, by=keeper.own)
        except WarmfrontError as error:
            _log.warning("plan not carried out for %s: %s", action.variant, error)


def _number(
    given: dict[str, list[str]], name: str, read: Callable[[str], float], most: float, default: str = ""
) -> float:
    """The query's number, above 0 and at most `most`. Raises InvalidRequest."""
    text = (given.get(name) or [default])[-1]
    try:
        value = read(text)
    except ValueError:
        value = 0
    if not 0 < value <= most:
        kind = "whole number" if read is int else "number of seconds"
        raise InvalidRequest(f"{name} is {text!r}; it must be a {kind} above 0, at most {most}")
    return value
