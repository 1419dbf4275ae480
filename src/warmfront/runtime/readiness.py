"""Waiting until everything that was applied is ready, or knowing what is not.

What must not live here: making anything ready.
"""

import asyncio

from warmfront.kube.resources import BROKERS, SERVICES, TRIGGERS, condition_of
from warmfront.runtime.store import Store

_KINDS = (SERVICES, BROKERS, TRIGGERS)


def not_ready(store: Store) -> list[str]:
    """A line for each Service, Broker and Trigger that is not ready, with the reason that its controller gives."""
    waiting = []
    for resource in _KINDS:
        for obj in store.list(resource, None)[0]:
            ready = condition_of(obj, "Ready") or {}
            if ready.get("status") != "True":
                said = ready.get("message") or ready.get("reason") or "not reconciled yet"
                waiting.append(f"{resource.kind} {obj['metadata']['name']}: {said}")
    return waiting


async def wait_ready(store: Store, within_s: float) -> list[str]:
    """Return when nothing is left to wait for, or after `within_s` seconds with what is not ready."""
    changed = asyncio.Event()
    unsubscribe = [store.subscribe(kind, lambda *_: changed.set()) for kind in _KINDS]
    try:
        async with asyncio.timeout(within_s):
            while not_ready(store):
                changed.clear()
                await changed.wait()
    except TimeoutError:
        pass
    finally:
        for stop in unsubscribe:
            stop()
    return not_ready(store)
