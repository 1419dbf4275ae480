"""Small servers, one per protocol, that do the same: halve numbers called `x`, or put a text in capitals.

They take their own protocol and nothing else, so that a body in another one's frame is noticed.
"""

import json
from collections.abc import Callable

from tests.contract.half_plus import HalfPlus

from warmfront.cloudevents import CloudEvent, decode, encode, mode_of
from warmfront.wire.messages import Exchange

JSON = [(b"content-type", b"application/json")]


def opaque(exchange: Exchange) -> None:
    """Raw and SageMaker: no frame but the body."""
    if exchange.path not in {"/", "/invocations"} or mode_of(exchange.headers) is not None:
        exchange.respond(400, JSON, b'{"error": "this is an event, or another path"}')
    else:
        exchange.respond(200, [(b"content-type", b"text/plain")], exchange.body.upper())


def events(exchange: Exchange) -> None:
    """Structured events in, structured or binary, and out."""
    event = decode(exchange.headers, exchange.body)
    answer = CloudEvent(
        id="a", source="/v", type="dev.warmfront.inference.response", datacontenttype="text/plain",
        data=event.data.upper(),
    )  # fmt: skip
    exchange.respond(200, *encode(answer))


def kserve_v1(exchange: Exchange) -> None:
    """Rows, named or not."""
    document = json.loads(exchange.body)
    if set(document) != {"instances"} or not exchange.path.endswith(":predict"):
        exchange.respond(400, JSON, json.dumps({"error": f"wanted instances, found {sorted(document)}"}).encode())
        return
    rows = [row["x"] if isinstance(row, dict) else row for row in document["instances"]]
    exchange.respond(200, JSON, json.dumps({"predictions": [row / 2 for row in rows]}).encode())


def open_inference(exchange: Exchange) -> None:
    """One tensor of numbers."""
    document = json.loads(exchange.body)
    if not exchange.path.endswith("/infer") or [one["name"] for one in document.get("inputs", ())] != ["x"]:
        exchange.respond(400, JSON, b'{"error": "wanted one input, x"}')
        return
    (x,) = document["inputs"]
    output = {"name": "y", "datatype": "FP32", "shape": x["shape"], "data": [value / 2 for value in x["data"]]}
    reply = {"model_name": exchange.path.split("/")[3], "id": document.get("id", ""), "outputs": [output]}
    exchange.respond(200, JSON, json.dumps(reply).encode())


def tensorflow_serving(name: str) -> Callable[[Exchange], None]:
    """The model server of the golden pairs, adding nothing."""
    return HalfPlus({name: 0.0}).answer
