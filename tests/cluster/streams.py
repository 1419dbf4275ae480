"""A producer that keeps sending while something breaks, and the account of what became of its events."""

import contextlib
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Self

from .conftest import Cluster, ask, until
from .scenery import RESPONSE, fresh, send

GIVE_UP_S = 90.0
AGAIN_S = 0.5


class Account(NamedTuple):
    """What became of a producer's events. `refused`: POSTs that were not accepted, and therefore sent again."""

    sent: int
    accepted: int
    refused: int
    answered: int
    letters: int

    @property
    def lost(self) -> int:
        """Accepted, and neither answered nor a dead letter."""
        return self.accepted - self.answered - self.letters


class Stream:
    """Sends events about `task` at a steady rate, from entering to leaving a `with`, each until it is accepted."""

    def __init__(self, cluster: Cluster, task: str, per_second: float) -> None:
        self.ids: list[str] = []
        self.accepted: set[str] = set()
        self.refused = 0
        self._cluster, self._task, self._broker = cluster, task, cluster.broker()
        self._pause_s = 1 / per_second
        self._logs = ""
        self._over = threading.Event()
        self._clients = ThreadPoolExecutor(100)
        self._driver = threading.Thread(target=self._drive)

    def __enter__(self) -> Self:
        self._logs = self._log_pods()
        self._driver.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._driver.join()
        self._clients.shutdown()

    def _drive(self) -> None:
        while not self._over.wait(self._pause_s):
            self.ids.append(fresh())
            self._clients.submit(self._deliver, self.ids[-1])

    def _deliver(self, id_: str) -> None:
        deadline = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline:
            try:
                accepted = send(self._broker, id_, self._task, id_).status == 202
            except OSError:
                accepted = False
            if accepted:
                self.accepted.add(id_)
                return
            self.refused += 1
            time.sleep(AGAIN_S)

    def _log_pods(self) -> str:
        logs = "serving.knative.dev/service in (consumer, event-log)"
        return self._cluster.kubectl("get", "pods", "-l", logs, "-o", "name")

    def account(self, fault: str) -> Account:
        """Wait until nothing is missing, or for a minute and a half; print and give back the counts."""
        answered: set[str] = set()
        letters: set[str] = set()

        def complete() -> bool:
            for line in self._cluster.logged("consumer"):
                if line["type"] == RESPONSE:
                    answered.add(line["causationid"])
            for line in self._cluster.logged("event-log"):  # the request itself, or the answer that nobody took
                letters.add(line.get("causationid", line["id"]))
            return self.accepted <= answered | letters

        with contextlib.suppress(AssertionError):  # the counts show it better
            until("every accepted event answered or dead", complete, GIVE_UP_S)
        answered &= self.accepted
        letters = (letters & self.accepted) - answered
        found = Account(len(self.ids), len(self.accepted), self.refused, len(answered), len(letters))
        assert self._log_pods() == self._logs, "a log was replaced, and with it what it had counted"
        print(f"\n{fault}: {found._asdict()}, lost {sorted(self.accepted - answered - letters) or 'none'}")
        return found


class Callers:
    """Plain HTTP requests to `url`, a few at a time, from entering to leaving a `with`. 0 is no reply at all."""

    def __init__(self, url: str, clients: int, pause_s: float = 0.2) -> None:
        self.statuses: Counter[int] = Counter()
        self._url, self._clients, self._pause_s = url, clients, pause_s
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._running: list[Future[Any]] = []

    def __enter__(self) -> Self:
        self._running = [self._pool.submit(self._call) for _ in range(self._clients)]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._running:
            one.result()

    def _call(self) -> None:
        while not self._over.wait(self._pause_s):
            try:
                self.statuses[ask(self._url, fresh().encode()).status] += 1
            except OSError:
                self.statuses[0] += 1
