"""The handler: one exchange in, one reply out, whatever front it came through.

What may live here: dispatch by route, the token, rendering of errors, the catalogue's observations on their way to the
selector. What must not: sockets, threads, signals (fronts), and how long things take (forwarding).
"""

import hmac
import logging
import os
import time
from collections.abc import Callable, Mapping

import msgspec

from warmfront.domain import Observation, Request, Start
from warmfront.errors import InvalidRequest, MethodNotAllowed, Unauthorized, UnknownTask, WarmfrontError
from warmfront.gateway import introspection, problems, routes
from warmfront.gateway.admission import Admission
from warmfront.gateway.dialects import TASK_HEADER, Message, sorted_out
from warmfront.gateway.events import Events
from warmfront.gateway.grpc import Calls, is_call
from warmfront.gateway.hedging import new_passage
from warmfront.gateway.intake import Intake
from warmfront.gateway.keeping import Keeping
from warmfront.gateway.measures import Measures
from warmfront.gateway.models import Models
from warmfront.gateway.objective import from_headers, from_parameters
from warmfront.gateway.peers import Peers
from warmfront.gateway.plane import Memory, Plane, Selector
from warmfront.gateway.refusals import MUTE
from warmfront.gateway.replies import DirectReply
from warmfront.gateway.routes import Action, Found
from warmfront.gateway.settings import Settings
from warmfront.gateway.targets import Target, unfit
from warmfront.gateway.wake import Waker
from warmfront.protocols import Errors, errors_at, grpc, open_inference, sagemaker
from warmfront.telemetry import metrics
from warmfront.telemetry.records import RecordFile
from warmfront.wire.messages import Exchange, Headers, first
from warmfront.wire.pool import Origin, Pool

_log = logging.getLogger(__name__)

_JSON = [(b"content-type", b"application/json")]
_NO_FEED: Mapping[str, str] = {}
_NONE: Mapping[str, open_inference.Scalar] = {}


class Gateway:
    """The selector's data plane.

    Whoever feeds `update` may set `plane.settled` (whether all variants were told once; else true from the start) and
    `describe` (how that feed stands).
    """

    def __init__(
        self,
        settings: Settings,
        selector: Selector,
        pool: Pool,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.plane = Plane(
            settings=settings,
            selector=selector,
            pool=pool,
            admission=Admission(
                max_in_flight=settings.max_in_flight,
                max_in_flight_bytes=settings.max_in_flight_bytes,
                max_waiting=settings.max_waiting,
            ),
            measures=Measures(),
            labels=Memory(settings.labels),
            records=RecordFile(settings.records) if settings.records else None,
            clock=clock,
            wall=wall,
            started_at=clock(),
            id_prefix=f"{os.urandom(5).hex()}-",
        )
        self.intake = Intake(self.plane)
        self.events = Events(self.plane, self.intake)
        self.waker = Waker(self.plane)
        self.keeping = Keeping(self.plane, self.waker, self._json, self._fail)
        self.peers = Peers(self.plane)
        self.describe: Callable[[], Mapping[str, str]] = lambda: _NO_FEED
        self.draining = False
        self.plane.measures.registry.collect(self._collect)
        models = Models(self.plane, self.intake, self._json, self._fail)
        actions: dict[Action, Callable[[Exchange, Found], None]] = {
            Action.EVENT: self._event,
            Action.INFER: self._infer,
            Action.DECIDE: self._decide,
            Action.TASKS: self._tasks,
            Action.TASK: self._task,
            Action.WARM_SET: self._warm_set,
            Action.WARM: self._warm,
            Action.RELEASE: self._release,
            Action.SERVER: models.server,
            Action.MODELS: models.models,
            Action.MODEL_STATUS: models.status,
            Action.MODEL_READY: models.ready,
            Action.METADATA: models.metadata,
            Action.CALL: Calls(self.plane, self.intake, models, lambda: self.ready).receive,
            Action.LIVE: self._live,
            Action.READY: self._ready,
            Action.METRICS: self._metrics,
            Action.PEERS: self._peers,
            Action.HEAR: self._hear,
        }
        self._actions = {route: actions[route.action] for route in routes.ROUTES}

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return not self.draining and self.plane.settled()

    def update(self, observation: Observation) -> None:
        """Take what was seen of a variant. One whose address cannot be used is shown and never chosen."""
        plane, variant = self.plane, observation.variant
        before = plane.targets.get(variant.name)
        waiting = set() if before is None else before.waiting
        if observation.gone:
            plane.targets.pop(variant.name, None)
            plane.measures.forget(variant.name)
        elif observation.available:
            try:
                origin = Origin.parse(variant.url)._replace(h2c=grpc.spoken_by(variant.protocols))
                route = plane.measures.route(variant.task, variant.name)
                plane.targets[variant.name] = Target(variant, origin, route, waiting)
            except InvalidRequest as error:
                observation = Observation(variant=variant, available=False, reason=f"address {error}")
        if not observation.gone:
            plane.measures.ready.child(variant.task, variant.name).value = observation.ready
            plane.measures.starting.child(variant.task, variant.name).value = len(observation.starting_at)
        plane.selector.update(observation, plane.clock())
        if observation.gone or not observation.available:
            for request in list(waiting):
                request.forsake("was deleted" if observation.gone else f"cannot start: {observation.reason}")
        self.intake.catalogue_changed()

    def handle(self, exchange: Exchange) -> None:
        """Answer `exchange`, now or later. Every error becomes a reply that the client's protocol has."""
        try:
            found = routes.match(exchange.method, exchange.path)
            route = found.route
            if route.guarded and self.plane.settings.token:
                self._authorize(exchange)
            self._actions[route](exchange, found)
        except WarmfrontError as error:
            self._fail(exchange, error)
        except Exception:  # noqa: BLE001 - whatever breaks inside, this client gets a reply on every front
            _log.exception("a request failed inside", extra={"fields": {"path": exchange.path[:200]}})
            if exchange.responded:
                exchange.abort()
            else:
                self._fail(exchange, problems.internal())

    def tick(self) -> None:
        """Once a second: let waiting requests think again, act on the plan, write pending rows."""
        plane, now = self.plane, self.plane.clock()
        for name, target in plane.targets.items():
            if target.waiting and not plane.selector.catalogue[name].ready:
                self._let_go(target, now)
        for action in plane.selector.plan(now):
            if isinstance(action, Start):
                self.waker.wake(action)
            else:
                self.keeping.act(action)
        if self.plane.records is not None:
            self.plane.records.flush()

    def _let_go(self, target: Target, now: float) -> None:
        """Let those who wait for a start ask another variant, once nobody would be sent to this one any more."""
        variant = target.variant
        anybody = Request(id=self.plane.next_id(), task=variant.task, size_bytes=1, arrival_at=now)
        decision = self.plane.selector.decide(anybody, now)
        verdict = next((c.verdict for c in decision.alternatives if c.variant.name == variant.name), "")
        for request in list(target.waiting) if verdict else ():
            request.forsake(verdict, overdue=True)

    def close(self) -> None:
        """Write what is pending."""
        if self.plane.records is not None:
            self.plane.records.close()

    def _fail(self, exchange: Exchange, error: WarmfrontError) -> None:
        if isinstance(error, MethodNotAllowed) and exchange.method == "OPTIONS":
            allow = ", ".join(routes.methods(exchange.path)).encode()
            exchange.respond(204, [(b"allow", allow)])
            return
        self.plane.measures.refused.child(error.slug).value += 1
        in_event_mode = exchange.path == "/"
        status = 422 if in_event_mode and isinstance(error, UnknownTask) else None
        shape = Errors.STATUS if is_call(exchange) else errors_at(exchange.path)
        status, headers, body = problems.render(error, status=status, shape=shape)
        if isinstance(error, MethodNotAllowed):
            headers.append((b"allow", ", ".join(routes.methods(exchange.path)).encode()))
        exchange.respond(status, headers, body)

    def _authorize(self, exchange: Exchange) -> None:
        given = exchange.header(b"authorization") or b""
        if not hmac.compare_digest(given, b"Bearer " + self.plane.settings.token.encode()):
            raise Unauthorized("this path wants the selector's token; send Authorization: Bearer TOKEN")

    # -- inference ---------------------------------------------------------------------------------------------------

    def _event(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        self.events.receive(exchange)

    def _infer(self, exchange: Exchange, found: Found) -> None:
        request, headers = self._request(exchange, found)
        reply, route = DirectReply(exchange), found.route
        message = Message(route.protocols, headers, exchange.body, None, True, route.verb, found.version)
        passage = new_passage(self.plane, request, message, reply)
        exchange.on_disconnect = passage.cancel
        try:
            passage.begin()
        except WarmfrontError as error:
            self.plane.measures.refused.child(error.slug).value += 1
            reply.fail(passage, error)

    def _request(self, exchange: Exchange, found: Found) -> tuple[Request, Headers]:
        """What is asked for, and the headers that go on to a variant."""
        route, task, body = found.route, found.name or _task_named(exchange), exchange.body
        kept, stated = sorted_out(exchange.headers)
        if not found.name and not exchange.header(TASK_HEADER):  # then this named the task, and no model of a variant
            kept = [item for item in kept if item[0] != sagemaker.TARGET_MODEL]
        defaults = self.intake.defaults(task)
        parameters = _NONE
        if route.protocols is routes.OPEN_INFERENCE:
            parameters = open_inference.parameters(body, first(kept, open_inference.JSON_LENGTH))
        if parameters:
            asked = from_headers(stated, from_parameters(parameters, defaults.objective))
        else:
            asked = defaults.with_headers(stated)
        at, verb = exchange.received_at, route.verb
        return self.intake.request(task, len(body), asked, route.protocols, kept, arrival_at=at, verb=verb), kept

    # -- looking in --------------------------------------------------------------------------------------------------

    def _decide(self, exchange: Exchange, found: Found) -> None:
        request, headers = self._request(exchange, found)
        plane, task = self.plane, found.name
        message = Message(found.route.protocols, headers, exchange.body)
        left_out = dict.fromkeys(request.excluded, MUTE) | unfit(message, request, plane.targets.values())
        decision = plane.selector.decide(request._replace(excluded=frozenset(left_out)), plane.clock())
        if not decision.alternatives:
            raise plane.unknown(task)
        self._json(exchange, introspection.decision(decision, left_out))

    def _tasks(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        names = sorted({o.variant.task for o in self.plane.selector.catalogue.values()})
        self._json(exchange, {"tasks": [self._task_document(name) for name in names]})

    def _task(self, exchange: Exchange, found: Found) -> None:
        self._json(exchange, self._task_document(found.name))

    def _task_document(self, task: str) -> dict[str, object]:
        plane = self.plane
        observations = [o for o in plane.selector.catalogue.values() if o.variant.task == task]
        if not observations:
            raise self.plane.unknown(task)
        now = plane.clock()
        request = Request(id=plane.next_id(), task=task, size_bytes=introspection.ESTIMATE_BYTES, arrival_at=now)
        kept_until = {o.variant.name: self.keeping.until(o.variant) for o in observations}
        return introspection.task(task, observations, plane.selector.decide(request, now), kept_until)

    def _warm_set(self, exchange: Exchange, found: Found) -> None:
        plane = self.plane
        warm = plane.selector.warm_set(found.name, plane.clock())
        kept_until = {
            row.variant: self.keeping.until(plane.selector.catalogue[row.variant].variant) for row in warm.variants
        }
        self._json(exchange, introspection.warm_set(warm, kept_until, plane.settings))

    # -- keeping warm ------------------------------------------------------------------------------------------------

    def _warm(self, exchange: Exchange, found: Found) -> None:
        self.keeping.warm(exchange, found.name)

    def _release(self, exchange: Exchange, found: Found) -> None:
        self.keeping.release(exchange, found.name)

    # -- health ------------------------------------------------------------------------------------------------------

    def _live(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        self._json(exchange, {"live": True})

    def _ready(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        document = {"ready": self.ready, "draining": self.draining, "catalogue": dict(self.describe())}
        self._json(exchange, document, 200 if self.ready else 503)

    def _metrics(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        exchange.respond(200, [(b"content-type", metrics.CONTENT_TYPE)], self.plane.measures.registry.render())

    def _peers(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        self._json(exchange, self.peers.document())

    def _hear(self, exchange: Exchange, found: Found) -> None:  # noqa: ARG002 - one shape for all actions
        self._json(exchange, self.peers.hear(exchange))

    def _collect(self) -> None:
        plane = self.plane
        plane.measures.in_flight.value = plane.admission.in_flight
        plane.measures.waiting.value = plane.admission.waiting
        plane.measures.kept.value = len(self.events.duplicates)
        plane.measures.catalogue.value = float(self.plane.settled())

    def _json(self, exchange: Exchange, document: object, status: int = 200) -> None:
        exchange.respond(status, list(_JSON), msgspec.json.encode(document))


def _task_named(exchange: Exchange) -> str:
    """The task of a request whose path names none. Raises InvalidRequest when no header does either."""
    named = exchange.header(TASK_HEADER) or exchange.header(sagemaker.TARGET_MODEL)
    if not named:
        raise InvalidRequest("Warmfront-Task is absent; on this path it names the task")
    return named.decode("utf-8", "backslashreplace")
