"""From a task, an objective and a size to the Request that the selector decides on.

What may live here: the defaults of tasks, instants, which variants do not speak the client's protocol. What must not:
HTTP, choosing.
"""

from collections.abc import Mapping

from warmfront.domain import Request
from warmfront.gateway.dialects import spoken
from warmfront.gateway.objective import NO_OBJECTIVE, Objective
from warmfront.gateway.plane import Plane


class Intake:
    """Makes requests. Tasks without defaults of their own take those for every task."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._general = NO_OBJECTIVE
        self._by_task: Mapping[str, Objective] = {}
        self._mute: dict[tuple[str, tuple[str, ...]], frozenset[str]] = {}

    def set_defaults(self, general: Objective, by_task: Mapping[str, Objective]) -> None:
        """Replace the defaults: for every task, and for single ones."""
        self._general = general
        self._by_task = by_task

    def defaults(self, task: str) -> Objective:
        """What a request for `task` asks for when it does not say."""
        return self._by_task.get(task, self._general)

    def catalogue_changed(self) -> None:
        """Forget what was worked out from the variants' protocols."""
        self._mute.clear()

    def request(
        self, task: str, size: int, asked: Objective, protocols: tuple[str, ...], *, arrival_at: float
    ) -> Request:
        """The request of `size` bytes, received at `arrival_at`. Of two deadlines the earlier one holds."""
        deadline_at = None
        if asked.deadline_s is not None:
            deadline_at = arrival_at + asked.deadline_s
        if asked.deadline_epoch_s is not None:
            instant = self._plane.clock() + (asked.deadline_epoch_s - self._plane.wall())
            deadline_at = instant if deadline_at is None else min(deadline_at, instant)
        return Request(
            id=self._plane.next_id(),
            task=task,
            size_bytes=size,
            arrival_at=arrival_at,
            deadline_at=deadline_at,
            min_accuracy=asked.min_accuracy,
            on_miss=asked.on_miss,
            weights=asked.weights,
            excluded=self._excluded(task, protocols),
        )

    def _excluded(self, task: str, protocols: tuple[str, ...]) -> frozenset[str]:
        """The task's variants that speak none of `protocols`. Kept for tasks in the catalogue only: bounded."""
        found = self._mute.get((task, protocols))
        if found is None:
            variants = [o.variant for o in self._plane.selector.catalogue.values() if o.variant.task == task]
            found = frozenset(v.name for v in variants if spoken(protocols, v) is None)
            if variants:
                self._mute[task, protocols] = found
        return found
