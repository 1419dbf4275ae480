"""The tasks' default objectives, from annotations: on the selector's Service for all tasks, on a Trigger for its task.

A Trigger counts when it delivers to this selector; its task is the `subject` that it filters for, all without one.
What must not live here: the annotations' rules (objective.py). A broken annotation is logged and left out. Reading
Triggers takes a permission of its own (knative/components/trigger-defaults); without it the Service's defaults hold.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from warmfront.errors import InvalidRequest, NotFound, Unauthorized, WarmfrontError
from warmfront.gateway.intake import Intake
from warmfront.gateway.objective import NO_OBJECTIVE, Objective, from_annotations
from warmfront.kube.client import KubeClient
from warmfront.kube.resources import SERVICES, TRIGGERS

_log = logging.getLogger(__name__)

REFRESH_S = 30.0

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


class Reader:
    """Tells `intake` the defaults of the selector `name`, as long as `run` runs."""

    def __init__(self, client: KubeClient, namespace: str, name: str, intake: Intake) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._intake = intake
        self._state = "waiting"

    def describe(self) -> str:
        """Where defaults are read from, and if not from Triggers, why."""
        return self._state

    async def run(self) -> None:
        """Read the defaults now and every half minute; ends only by cancellation."""
        while True:
            try:
                service, (triggers, state) = await self._service(), await self._triggers()
                self._intake.set_defaults(*from_objects(service, triggers, self._name))
                self._state = state
            except WarmfrontError as error:
                self._state = f"not read ({error}); the last ones hold"
                _log.warning("defaults of tasks %s", self._state)
            await asyncio.sleep(REFRESH_S)

    async def _service(self) -> Object | None:
        try:
            return await self._client.get(SERVICES, self._namespace, self._name)
        except NotFound:
            return None

    async def _triggers(self) -> tuple[list[dict[str, Any]], str]:
        try:
            return (await self._client.list(TRIGGERS, self._namespace))[0], "of the Service and of Triggers"
        except NotFound:
            return [], "of the Service only: there is no Eventing here"
        except Unauthorized as error:
            return [], f"of the Service only: no permission ({error}); components/trigger-defaults grants it"


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
