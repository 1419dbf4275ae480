"""What clients of model servers ask besides inference: status, readiness, lists, metadata.

What may live here: answers about a task as about a model. The selector gives them itself, since asking a variant would
wake it; only metadata comes from a variant, which alone knows its signature. What must not: inference.
A task that sleeps is ready: whoever asks it is answered.
"""

import asyncio
from collections.abc import Callable

from warmfront.domain import Observation, Request
from warmfront.errors import UpstreamFailed, WarmfrontError
from warmfront.gateway.dialects import from_variant, sorted_out
from warmfront.gateway.intake import Intake
from warmfront.gateway.plane import Plane
from warmfront.gateway.refusals import undecided, unspoken
from warmfront.gateway.routes import Found
from warmfront.gateway.targets import Target
from warmfront.protocols import INFER, PROTOCOLS, kserve_v1, open_inference, tensorflow_serving
from warmfront.wire.messages import Exchange

_KSERVE_V1 = "kserve-v1"


class Models:
    """The doors of TensorFlow Serving, KServe and Open Inference beside `:predict` and `/infer`."""

    def __init__(
        self,
        plane: Plane,
        intake: Intake,
        answer: Callable[[Exchange, object, int], None],
        fail: Callable[[Exchange, WarmfrontError], None],
    ) -> None:
        self._plane = plane
        self._intake = intake
        self._answer = answer
        self._fail = fail
        self._asking: set[asyncio.Task[None]] = set()

    def server(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        """`GET /v2`: who this is."""
        self._answer(exchange, open_inference.server(name="warmfront", version=own_version()), 200)

    def models(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        """`GET /v1/models`, `GET /v2/models`: the tasks."""
        names = sorted({o.variant.task for o in self._plane.selector.catalogue.values()})
        self._answer(exchange, {"models": names}, 200)

    def status(self, exchange: Exchange, found: Found) -> None:
        """`GET /v1/models/TASK`: TensorFlow Serving's status; KServe's, when only that is spoken by the variants."""
        trouble = self.trouble(found.name, found.route.protocols)
        observations = self._reached(found.name, found.route.protocols)
        spoken = {protocol for o in observations for protocol in o.variant.protocols}
        if _KSERVE_V1 in spoken and tensorflow_serving.TENSORFLOW_SERVING.name not in spoken:
            ready = not trouble
            self._answer(exchange, kserve_v1.model(found.name, ready=ready), 200 if ready else 503)
            return
        asked = found.version.rpartition("/")[2]
        document = tensorflow_serving.status(version=asked if asked.isdigit() else "1", trouble=trouble)
        self._answer(exchange, document, 200)

    def ready(self, exchange: Exchange, found: Found) -> None:
        """`GET /v2/models/TASK/ready`: whether a variant can be asked, asleep or not."""
        ready = not self.trouble(found.name, found.route.protocols)
        self._answer(exchange, open_inference.model_ready(found.name, ready=ready), 200 if ready else 503)

    def metadata(self, exchange: Exchange, found: Found) -> None:
        """A variant's own metadata, as it sends them: of one that is awake, if one is that speaks the protocol."""
        route = found.route
        target = self.target(found.name, route.protocols, route.verb, exchange.received_at)
        protocol = PROTOCOLS[route.protocols[0]]
        path = protocol.path(route.verb, target.variant.name, found.version)
        asking = asyncio.get_running_loop().create_task(self._ask(exchange, target.variant.name, path))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        exchange.on_disconnect = asking.cancel  # type: ignore[assignment]  # what it returns is of no use

    def trouble(self, task: str, protocols: tuple[str, ...]) -> str:
        """Why none of the task's variants can be asked by one of `protocols`; empty when one can.

        Raises UnknownTask, and UnsupportedMediaType when none could be asked at any time.
        """
        observations = self._reached(task, protocols)
        if any(o.available for o in observations):
            return ""
        return "; ".join(f"{o.variant.name}: {o.reason}" for o in observations)

    def target(self, task: str, protocols: tuple[str, ...], verb: str, received_at: float) -> Target:
        """Whom to ask about the task: a variant that is awake, if one is that speaks one of `protocols`.

        Raises WarmfrontError when there is none.
        """
        plane = self._plane
        observations = self._seen(task)
        mute = self._intake.mute(task, protocols, verb, [])
        asleep = {o.variant.name for o in observations if not o.ready and o.variant.name not in mute}
        if len(asleep) + len(mute) == len(observations):
            asleep = set()  # then one must be woken
        request = Request(id=plane.next_id(), task=task, size_bytes=0, arrival_at=received_at, excluded=mute | asleep)
        decision = plane.selector.decide(request, plane.clock())
        target = None if decision.chosen is None else plane.targets.get(decision.chosen.variant.name)
        if target is None:
            raise undecided(decision, mute)
        return target

    async def _ask(self, exchange: Exchange, name: str, path: str) -> None:
        plane = self._plane
        headers, _ = sorted_out(exchange.headers)
        try:
            response = await plane.pool.fetch(
                plane.targets[name].origin, "GET", path, headers, b"", timeout_s=plane.timeout_s
            )
            if response.status >= 500:
                raise UpstreamFailed(f"{name} answered {response.status} to GET {path}; try again")
        except WarmfrontError as error:
            self._fail(exchange, error)
            return
        kept, _, _ = from_variant(response.headers)
        exchange.respond(response.status, [*kept, (b"warmfront-variant", name.encode())], response.body)

    def _reached(self, task: str, protocols: tuple[str, ...]) -> list[Observation]:
        """The task's variants that a way leads to. Raises where there is none."""
        observations = self._seen(task)
        mute = self._intake.mute(task, protocols, INFER, [])
        reached = [o for o in observations if o.variant.name not in mute]
        if not reached:
            raise unspoken(task, (o.variant for o in observations))
        return reached

    def _seen(self, task: str) -> list[Observation]:
        observations = [o for o in self._plane.selector.catalogue.values() if o.variant.task == task]
        if not observations:
            raise self._plane.unknown(task)
        return observations


def own_version() -> str:
    """The version of what is installed; empty for a copied tree. Read when somebody asks, for it costs 12 ms."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("warmfront")
    except PackageNotFoundError:
        return ""
