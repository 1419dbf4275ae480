"""A process that hosts Eventing: `host.py STATE_FOLDER`. Prints its port; ends when stdin is closed, or killed."""

import asyncio
import sys
from pathlib import Path

from warmfront.runtime.addresses import Addresses
from warmfront.runtime.eventing import Eventing
from warmfront.runtime.store import Store
from warmfront.wire.pool import Pool
from warmfront.wire.server import Server


async def main(state: Path) -> None:
    def handle(exchange):
        eventing.handle(exchange)

    server, pool, store = Server(handle), Pool(), Store(state / "store.db")
    port = await server.listen("127.0.0.1", 0)
    eventing = Eventing(store, state / "journal.db", pool, Addresses(port=port))
    await eventing.start()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await eventing.stop()
    await pool.close()
    await server.close(0)
    store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
