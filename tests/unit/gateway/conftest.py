"""A gateway on real sockets within one event loop: variants, the gateway's server and a client, all in the test."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from warmfront.domain import Feedback, Observation, Outcome, Profile, Spread, Variant
from warmfront.gateway.app import build_selector, fault, limits
from warmfront.gateway.gateway import Gateway
from warmfront.gateway.settings import Settings
from warmfront.wire.messages import Exchange, Response
from warmfront.wire.pool import Pool
from warmfront.wire.server import Server


class Witness:
    """The real selector, with what it was told written down."""

    def __init__(self, selector: Any) -> None:
        self._selector = selector
        self.outcomes: list[Outcome] = []
        self.feedback: list[Feedback] = []
        self.planned: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)

    def observe(self, outcome: Outcome | Feedback, now: float) -> None:
        self._selector.observe(outcome, now)
        (self.outcomes if isinstance(outcome, Outcome) else self.feedback).append(outcome)

    def plan(self, now: float) -> list[Any]:
        starts, self.planned = self.planned, []
        return starts


@dataclass
class Stage:
    """What a test acts on. `wall` is the wall clock, set by hand."""

    gateway: Gateway
    witness: Witness
    pool: Pool
    wall: list[float]
    port: int = 0
    servers: list[Server] = field(default_factory=list)

    async def variant(
        self,
        name: str,
        answer: Callable[[Exchange], None],
        accuracy: float = 0.9,
        *,
        ready: int = 1,
        protocols: tuple[str, ...] = ("cloudevents", "raw"),
        url: str = "",
        p95_s: float = 0.004,
    ) -> None:
        """A variant of task `t` that answers so."""
        if not url:
            server = Server(answer)
            self.servers.append(server)
            url = f"http://127.0.0.1:{await server.listen('127.0.0.1', 0)}"
        profile = Profile(
            accuracy=accuracy, latency_s=Spread(p50=0.002, p95=p95_s), cold_start_s=Spread(p50=0.3, p95=0.6)
        )
        variant = Variant(name=name, task="t", revision=f"{name}-1", url=url, protocols=protocols, profile=profile)
        self.gateway.update(Observation(variant=variant, ready=ready))

    async def ask(self, body: bytes = b"x", path: str = "/tasks/t", **headers: str) -> Response:
        """POST; `min_accuracy="1"` is the header Warmfront-Min-Accuracy."""
        fields = [(f"warmfront-{name.replace('_', '-')}".encode(), text.encode()) for name, text in headers.items()]
        return await self.pool.fetch(f"http://127.0.0.1:{self.port}", "POST", path, fields, body, timeout_s=20)

    async def event(self, id_: str = "1", body: bytes = b"x", **attributes: str) -> Response:
        """POST a binary event to `/`."""
        fields = {"specversion": "1.0", "id": id_, "source": "/s", "type": "dev.warmfront.inference.request"}
        fields |= {"subject": "t"} | attributes
        headers = [(f"ce-{name}".encode(), text.encode()) for name, text in fields.items()]
        return await self.pool.fetch(f"http://127.0.0.1:{self.port}", "POST", "/", headers, body, timeout_s=20)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the loop run until `condition` holds."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.0005)

    def counter(self, line: str) -> float:
        """The value of a metric by its name and labels as rendered; 0 when it is not there."""
        for row in self.gateway.plane.measures.registry.render().decode().splitlines():
            if row.startswith(line + " "):
                return float(row.rpartition(" ")[2])
        return 0.0


@pytest.fixture
def play() -> Callable[..., None]:
    """Run a scene on a stage: `play(scene, timeout_s=1.0)` builds the gateway with these settings."""

    def run(scene: Callable[[Stage], Awaitable[None]], **settings: Any) -> None:
        asyncio.run(_play(scene, Settings(**settings)))

    return run


async def _play(scene: Callable[[Stage], Awaitable[None]], settings: Settings) -> None:
    pool, wall = Pool(), [1_000_000.0]
    witness = Witness(build_selector(settings))
    gateway = Gateway(settings, witness, pool, wall=lambda: wall[0])
    stage = Stage(gateway, witness, pool, wall)
    server = Server(gateway.handle, limits(settings), fault=fault)
    stage.servers.append(server)
    stage.port = await server.listen("127.0.0.1", 0)
    try:
        await scene(stage)
    finally:
        admission = gateway.plane.admission
        await pool.close()
        for started in stage.servers:
            await started.close(0)
        gateway.close()
    assert (admission.in_flight, admission.in_flight_bytes, admission.waiting) == (0, 0, 0)


def detail(response: Response) -> str:
    """What a problem reply says."""
    assert response.header(b"content-type") == b"application/problem+json"
    return str(json.loads(response.body)["detail"])


@pytest.fixture(name="detail")
def _detail() -> Callable[[Response], str]:
    return detail
