"""What the stock kn made really runs: it answers through the ingress, sleeps and wakes in Knative's times."""

import json
import time
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest

from warmfront.autoscaling import TICK_S
from warmfront.function.dummy import expected_label

pytestmark = pytest.mark.kn

Kn = Callable[..., Any]

IMAGE = "dev.local/dummy-model-fn:v1"
# Knative's: idle to zero takes the window and up to 3 s, once the activator has been in the path for the grace period
WINDOW_S, GRACE_S, LAG_S = 6.0, 30.0, 3.0


def ask(kn: Any, name: str) -> str:
    """The label that the dummy model gives to `ten`, which every accuracy from 0.5 on gets right."""
    status, body = kn.plane.ask(f"{name}.default", "ten", {"content-type": "text/plain"})
    assert status == 200, body
    label: str = json.loads(body)["label"]
    return label


def until(changes: "Queue[tuple[float, int]]", replicas: int) -> float:
    """The instant at which so many replicas are ready."""
    while True:
        at, count = changes.get(timeout=45)
        if count == replicas:
            return at


def test_one_command_makes_a_service_that_answers(kn: Kn) -> None:
    """Name and image suffice: it answers at its URL, and nothing keeps it from scaling to zero."""
    assert "Ready to serve" in kn("service", "create", "hello", "--image", IMAGE).out
    assert ask(kn, "hello") == expected_label(b"ten", 0)
    service = kn("service", "describe", "hello", "-o", "json").json
    assert not any("min-scale" in key for key in service["spec"]["template"]["metadata"].get("annotations", {}))


def test_variables_given_to_kn_reach_the_function(kn: Kn) -> None:
    """`--env` is what the replica has: with another seed the same text has another right answer."""
    kn("service", "create", "other", "--image", IMAGE, "--env", "DUMMY_SEED=7", "--env", "DUMMY_ACCURACY=1")
    assert ask(kn, "other") == expected_label(b"ten", 7) != expected_label(b"ten", 0)


def test_zero_one_zero_in_knatives_times(kn: Kn) -> None:
    """Under `--scale-window 6s`: no replica before the first request, none after the window, and the same again.

    The activator has been in the path since the creation (kn's default burst capacity). So the first sleep waits until
    the grace period since then is over, the second one for the window only.
    """
    kn("service", "create", "hello", "--image", IMAGE, "--scale-init", "0", "--scale-window", "6s")
    created_at = time.monotonic()
    changes = kn.plane.replicas("hello-00001")
    assert changes.get(timeout=5)[1] == 0
    ask(kn, "hello")
    until(changes, 1)
    first_s = until(changes, 0) - created_at
    assert GRACE_S - TICK_S <= first_s <= GRACE_S + LAG_S + TICK_S

    ask(kn, "hello")
    idle_at = time.monotonic()
    until(changes, 1)
    second_s = until(changes, 0) - idle_at
    assert WINDOW_S - TICK_S <= second_s <= WINDOW_S + LAG_S + TICK_S
    rows = kn("revision", "list").out.splitlines()
    assert "hello-00001" in rows[1]
    assert "True" in rows[1], "asleep is not unready"


def test_a_failed_function_is_reported_with_its_last_words(kn: Kn) -> None:
    """A setting that the function refuses: kn ends with an error status and the function's own message."""
    result = kn("service", "create", "bad", "--image", IMAGE, "--env", "DUMMY_ACCURACY=2",
                "--wait-window", "1", ok=False)  # fmt: skip
    assert result.code != 0
    assert "DUMMY_ACCURACY is '2'; it must be a number from 0 to 1" in result.err
