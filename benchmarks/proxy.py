"""The hop without a decision: our Server and Pool as a plain reverse proxy, beside nginx `proxy_pass`.

python -m benchmarks.proxy                      # compare, medians of five rounds
python -m benchmarks.proxy PORT UPSTREAM_PORT   # be the proxy
"""

import asyncio
import json
import signal
import sys

import uvloop
from benchmarks import harness, servers

from warmfront.wire.messages import Exchange, Headers, forwardable, returnable
from warmfront.wire.pool import Failure, Origin, Pool
from warmfront.wire.server import Server


class _Relay:
    """Passes one reply on, as it arrives."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def on_response(self, status: int, headers: Headers) -> None:
        self._exchange.start(status, returnable(headers))

    def on_body(self, data: bytes) -> None:
        self._exchange.write(data)

    def on_complete(self) -> None:
        self._exchange.finish()

    def on_failure(self, failure: Failure) -> None:
        if failure.started:
            self._exchange.abort()
        else:
            self._exchange.respond(502, [], failure.message.encode())


async def _serve(port: int, upstream: int) -> None:
    pool, origin = Pool(), Origin("127.0.0.1", upstream)

    def handle(exchange: Exchange) -> None:
        target = f"{exchange.path}?{exchange.query}" if exchange.query else exchange.path
        headers = forwardable(exchange.headers)
        call = pool.send(origin, exchange.method, target, headers, exchange.body, _Relay(exchange), timeout_s=30)
        exchange.on_disconnect, exchange.on_pause, exchange.on_resume = call.cancel, call.pause, call.resume

    server = Server(handle)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await server.listen("127.0.0.1", port)
    await stopped.wait()
    await server.close(1)
    await pool.close()


def compare(rounds: int = 5, seconds: float = 3) -> dict[str, dict[str, float]]:
    """The bare proxy and nginx before the same upstream; see `harness.measure`."""
    upstream = servers.start_nginx_constant()
    try:
        harness.pin(upstream.pid, measured=False)
        cells = [
            harness.Cell(name="nginx", start=lambda: servers.start_nginx_proxy(upstream.port)),
            harness.Cell(name="bare proxy", start=lambda: servers.start_bare_proxy(upstream.port)),
        ]
        return harness.measure(cells, rounds, seconds)
    finally:
        upstream.stop()


def main() -> None:
    """Compare, or be the proxy when ports are given."""
    if len(sys.argv) == 3:
        uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
        return
    if missing := harness.missing_tools():
        raise SystemExit("\n".join(missing))
    results = compare()
    ratio = results["bare proxy"]["cpu_us"] / results["nginx"]["cpu_us"]
    sys.stdout.write(json.dumps(results | {"ratio": {"cpu": ratio}}, indent=2) + "\n")


if __name__ == "__main__":
    main()
