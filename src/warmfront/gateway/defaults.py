"""The tasks' default objectives, from annotations: on the selector's Service for all tasks, on a Trigger for its task.

A Trigger counts when it delivers to this selector; its task is the `subject` that it filters for, all without one.
What must not live here: the annotations' rules (objective.py). A broken annotation is logged and left out; without
permission to read there are no defaults.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from warmfront.errors import InvalidRequest, NotFound, Unauthorized, WarmfrontError
from warmfront.gateway.intake import Intake
from warmfront.gateway.objective import NO_OBJECTIVE, Objective, from_annotations
from warmfront.kube.client import KubeClient
from warmfront.kube.resources import SERVICES, Resource

_log = logging.getLogger(__name__)

REFRESH_S = 30.0
TRIGGERS = Resource(group="eventing.knative.dev", version="v1", plural="triggers", kind="Trigger")

Object = Mapping[str, Any]


def from_objects(
    service: Object | None, triggers: Iterable[Object], name: str
) -> tuple[Objective, dict[str, Objective]]:
    """Defaults for every task and for single ones, as the selector's Service `name` and the Triggers say."""
    general = NO_OBJECTIVE if service is None else _read(service, NO_OBJECTIVE)
    ours = [trigger for trigger in triggers if _subscriber(trigger) == name]
    for trigger in ours:
        if not _subject(trigger):
            general = _read(trigger, general)
    by_task = {_subject(trigger): _read(trigger, general) for trigger in ours if _subject(trigger)}
    return general, by_task


async def follow(client: KubeClient, namespace: str, name: str, intake: Intake) -> None:
    """Read the defaults now and every half minute; ends only by cancellation."""
    while True:
        try:
            service = await _service(client, namespace, name)
            triggers = await _triggers(client, namespace)
            intake.set_defaults(*from_objects(service, triggers, name))
        except WarmfrontError as error:
            _log.warning("defaults of tasks not read, the last ones hold: %s", error)
        await asyncio.sleep(REFRESH_S)


async def _service(client: KubeClient, namespace: str, name: str) -> Object | None:
    try:
        return await client.get(SERVICES, namespace, name)
    except NotFound:
        return None


async def _triggers(client: KubeClient, namespace: str) -> list[dict[str, Any]]:
    try:
        return (await client.list(TRIGGERS, namespace))[0]
    except (NotFound, Unauthorized):  # no Eventing here, or none of our business
        return []


def _read(obj: Object, defaults: Objective) -> Objective:
    metadata = obj["metadata"]
    try:
        return from_annotations(metadata.get("annotations") or {}, defaults)
    except InvalidRequest as error:
        _log.warning("annotations of %s %s left out: %s", obj.get("kind", "object"), metadata["name"], error)
        return defaults


def _subscriber(trigger: Object) -> str:
    reference = trigger["spec"].get("subscriber", {}).get("ref") or {}
    return str(reference.get("name", "")) if reference.get("kind") == "Service" else ""


def _subject(trigger: Object) -> str:
    spec = trigger["spec"]
    for choice in spec.get("filters") or []:
        if "subject" in (choice.get("exact") or {}):
            return str(choice["exact"]["subject"])
    return str(((spec.get("filter") or {}).get("attributes") or {}).get("subject", ""))
