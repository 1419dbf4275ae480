"""From a task, an objective and a size to the Request that the selector decides on.

What may live here: the defaults of tasks, instants, which variants do not speak the client's protocol. What must not:
HTTP, choosing.
"""

from collections.abc import Mapping

from warmfront.cloudevents import Headers
from warmfront.domain import Request
from warmfront.gateway.dialects import may_be_json
from warmfront.gateway.objective import NO_OBJECTIVE, Objective, from_headers
from warmfront.gateway.plane import Plane
from warmfront.protocols import INFER
from warmfront.protocols.reach import way

_MAX_KNOWN = 4096
_MAX_KEPT_BYTES = 64  # no sensible objective is longer


class Defaults:
    """What a task asks for when a request does not say, and what requests made of it lately: most callers send the
    same few objectives, a look-up instead of 4 us of parsing.
    """

    __slots__ = ("_known", "objective")

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self._known: dict[tuple[tuple[bytes, bytes], ...], Objective] = {}

    def with_headers(self, stated: Headers) -> Objective:
        """The objective `stated` in these headers. Raises InvalidRequest with every broken one."""
        if not stated:
            return self.objective
        key = tuple(stated)
        found = self._known.get(key)
        if found is None:
            found = from_headers(stated, self.objective)
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            if all(len(value) <= _MAX_KEPT_BYTES for _, value in stated):
                self._known[key] = found
        return found


class Intake:
    """Makes requests. Tasks without defaults of their own take those for every task."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._general = Defaults(NO_OBJECTIVE)
        self._by_task: dict[str, Defaults] = {}
        self._mute: dict[tuple[str, tuple[str, ...], str], tuple[frozenset[str], frozenset[str]]] = {}

    def set_defaults(self, general: Objective, by_task: Mapping[str, Objective]) -> None:
        """Replace the defaults: for every task, and for single ones."""
        self._general = Defaults(general)
        self._by_task = {task: Defaults(objective) for task, objective in by_task.items()}

    def defaults(self, task: str) -> Defaults:
        """What a request for `task` asks for when it does not say."""
        return self._by_task.get(task, self._general)

    def catalogue_changed(self) -> None:
        """Forget what was worked out from the variants' protocols."""
        self._mute.clear()

    def request(
        self,
        task: str,
        size: int,
        asked: Objective,
        protocols: tuple[str, ...],
        headers: Headers,
        *,
        arrival_at: float,
        verb: str = INFER,
    ) -> Request:
        """The request of `size` bytes, received at `arrival_at` with these `headers`. Of two deadlines the earlier one
        holds.
        """
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
            excluded=self.mute(task, protocols, verb, headers),
        )

    def mute(self, task: str, protocols: tuple[str, ...], verb: str, headers: Headers) -> frozenset[str]:
        """The task's variants that no way leads to, by protocol or content type. Kept for tasks in the catalogue only:
        bounded.
        """
        key = (task, protocols, verb)
        found = self._mute.get(key)
        if found is None:
            variants = [o.variant for o in self._plane.selector.catalogue.values() if o.variant.task == task]
            ways = {variant.name: way(protocols, variant, verb) for variant in variants}
            mute = frozenset(name for name, way in ways.items() if way is None)
            json_only = frozenset(n for n, way in ways.items() if way and way.conversion and way.conversion.wants_json)
            found = mute, json_only | mute
            if variants:
                self._mute[key] = found
        always, unless_json = found
        return always if always == unless_json or may_be_json(headers) else unless_json
