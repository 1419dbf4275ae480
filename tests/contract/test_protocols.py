"""docs/protocols.md, worked: what its tables say is what the code does, and what happens in a real selector."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract import speakers
from tests.contract.conftest import Front, Platform, Reply

from warmfront.protocols import PROTOCOLS, Errors
from warmfront.protocols.reach import CONVERSIONS

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocols.md"
REST = tuple(name for name, protocol in PROTOCOLS.items() if protocol.errors is not Errors.STATUS)
OPAQUE = ("raw", "cloudevents", "sagemaker")
ROWS = {"instances": [{"x": 1.0}, {"x": 3.0}]}
COLUMNS = {"inputs": {"x": [1.0, 3.0]}}
TENSORS = {"id": "7", "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1.0, 3.0]}]}


def table(*head: str) -> list[list[str]]:
    """The rows of the document's table that begins with this head, without markup."""
    for found in re.findall(r"(?:^\|.*\n)+", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE):
        first, _, *rows = (
            [cell.strip().replace("`", "") for cell in line.strip("|\n").split("|")] for line in found.splitlines()
        )
        if first[: len(head)] == list(head):
            return [first, *rows]
    raise AssertionError(f"{DOCUMENT.name} has no table of {head}")


def cell(client: str, variant: str) -> str:
    """What the document says of one pair."""
    if client == variant:
        return "untouched"
    conversion = CONVERSIONS.get((client, variant))
    return "-" if conversion is None else conversion.kind


def test_the_table_of_protocols_is_the_codes() -> None:
    """Path, readiness, error and objective of each."""
    rows = {row[0]: row[1:] for row in table("warmfront.dev/protocols")[1:]}
    assert set(rows) == set(PROTOCOLS)
    for name, protocol in PROTOCOLS.items():
        path = protocol.paths["infer"].format(model="NAME", version="")
        told = [path, protocol.readiness.format(model="NAME"), protocol.errors.value, protocol.objective]
        assert rows[name] == [text.replace("`", "") for text in told], name


def test_the_table_of_ways_is_the_codes() -> None:
    """Every client against every variant; gRPC reaches gRPC of the same kind and nothing else."""
    head, *rows = table("client", "cloudevents")
    assert head[1:] == list(REST)
    assert {row[0]: row[1:] for row in rows} == {client: [cell(client, variant) for variant in REST] for client in REST}
    for one, other in CONVERSIONS:
        assert {one, other} <= set(REST)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One task for each protocol, `only-NAME`, with one variant that speaks nothing else."""
    platform = Platform(tmp_path_factory.mktemp("platform"))
    answers = {
        "raw": speakers.opaque,
        "sagemaker": speakers.opaque,
        "cloudevents": speakers.events,
        "kserve-v1": speakers.kserve_v1,
        "open-inference": speakers.open_inference,
        "tensorflow-serving": speakers.tensorflow_serving("v-tensorflow-serving"),
    }
    for name, answer in answers.items():
        platform.add(f"v-{name}", f"only-{name}", 0.9, name).answer = answer
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def front(start) -> Front:
    """One selector for all."""
    return start("native")


def ask(front: Front, client: str, task: str, body: bytes, kind: str = "application/json") -> Reply:
    """One request as a client of that protocol sends it."""
    headers = {"Content-Type": kind}
    if client == "cloudevents":
        ask.number = getattr(ask, "number", 0) + 1  # type: ignore[attr-defined]
        fields = {"specversion": "1.0", "id": f"{ask.number}", "source": "/t", "subject": task}  # type: ignore[attr-defined]
        fields |= {"type": "dev.warmfront.inference.request"}
        return front.ask("POST", "/", body, headers | {f"ce-{name}": text for name, text in fields.items()})
    if client == "sagemaker":
        return front.ask("POST", "/invocations", body, headers | {"Warmfront-Task": task})
    paths = {"raw": "/tasks/{}", "open-inference": "/v2/models/{}/infer"}
    return front.ask("POST", paths.get(client, "/v1/models/{}:predict").format(task), body, headers)


def request_of(client: str, variant: str) -> tuple[Any, Any]:
    """What a client of one protocol sends so that a variant of another can take it, and what it gets back."""
    if client == "open-inference":
        name = {"open-inference": "y", "kserve-v1": "predictions"}.get(variant, "outputs")
        output = {"name": name, "datatype": "FP32", "shape": [2], "data": [0.5, 1.5]}
        return TENSORS, {"model_name": f"v-{variant}", "id": "7", "outputs": [output]}
    if client == "tensorflow-serving" and variant != "kserve-v1":
        return COLUMNS, {"outputs": [0.5, 1.5]}
    if variant == "open-inference" and client in OPAQUE:
        output = {"name": "y", "datatype": "FP32", "shape": [2], "data": [0.5, 1.5]}
        return TENSORS, {"model_name": f"v-{variant}", "id": "7", "outputs": [output]}
    return ROWS, {"predictions": [0.5, 1.5]}


@pytest.mark.parametrize("variant", REST)
@pytest.mark.parametrize("client", REST)
def test_every_pair(front: Front, client: str, variant: str) -> None:
    """A way that the table shows leads to the right answer in the client's protocol; where it shows none, 415."""
    opaque = client in OPAQUE and variant in OPAQUE
    sent, told = (None, None) if opaque else request_of(client, variant)
    body, kind = (b"hello", "text/plain") if opaque else (json.dumps(sent).encode(), "application/json")
    reply = ask(front, client, f"only-{variant}", body, kind)
    if cell(client, variant) == "-":
        assert reply.status == 415
        said = reply.json.get("error", reply.json.get("detail"))
        assert f"v-{variant} speaks {variant}" in said
        assert ("error" in reply.json) == (client not in OPAQUE)
        return
    assert (reply.status, reply.body if opaque else reply.json) == (200, b"HELLO" if opaque else told)
    assert ("ce-type" in reply.headers) == (client == "cloudevents")
    assert reply.headers["content-type"] == ("text/plain" if opaque else "application/json")


@pytest.mark.parametrize(
    ("client", "variant", "body", "status", "told"),
    [
        ("tensorflow-serving", "open-inference", {"instances": [[1.0]]}, 422, "open-inference names its inputs"),
        ("tensorflow-serving", "kserve-v1", COLUMNS, 422, "kserve-v1 has no column format"),
        ("open-inference", "kserve-v1", TENSORS | {"parameters": {"sequence_id": 1}}, 422, "sequence_id have no place"),
        ("raw", "tensorflow-serving", {"image": [1]}, 422, "the body is no request of tensorflow-serving"),
        ("cloudevents", "kserve-v1", {"image": [1]}, 422, "the body is no request of kserve-v1"),
        ("tensorflow-serving", "tensorflow-serving", {"signature_name": "no"}, 400, 'name: "no" not found'),
        (
            "open-inference",
            "tensorflow-serving",
            TENSORS | {"inputs": [TENSORS["inputs"][0] | {"name": "z"}]},
            400,
            "x",
        ),
        ("raw", "tensorflow-serving", ROWS | {"signature_name": "no"}, 400, "not found in signature def"),
    ],
)
def test_what_cannot_be(front: Front, client: str, variant: str, body: Any, status: int, told: str) -> None:
    """422 names what the variant speaks and why this body cannot go there; a variant's own refusal comes back as the
    client's protocol tells errors.
    """
    reply = ask(front, client, f"only-{variant}", json.dumps(body).encode())
    assert reply.status == status
    if client in OPAQUE:
        assert reply.headers["content-type"] == "application/problem+json"
        assert told in reply.json["detail"]
    else:
        assert list(reply.json) == ["error"]
        assert told in reply.json["error"]
    assert status != 422 or f"v-{variant} speaks {variant}" in reply.body.decode()


def test_text_never_reaches_a_model_server(front: Front) -> None:
    """415 at once: a body that says it is no JSON is not tried."""
    reply = ask(front, "raw", "only-kserve-v1", b"hello", "text/plain")
    assert (reply.status, reply.json["title"]) == (415, "Unsupported media type")


def test_a_variant_that_speaks_it_is_preferred_to_none(front: Front, platform: Platform) -> None:
    """A body that one variant cannot take goes to the next best that can, and `decide` says which is left out."""
    platform.add("mixed-rows", "mixed", 0.95, "kserve-v1").answer = speakers.kserve_v1
    platform.add("mixed-columns", "mixed", 0.6, "tensorflow-serving").answer = speakers.tensorflow_serving(
        "mixed-columns"
    )
    until_known(front, "mixed", 2)
    reply = ask(front, "tensorflow-serving", "mixed", json.dumps(COLUMNS).encode())
    assert (reply.status, reply.json, reply.headers["warmfront-variant"]) == (
        200,
        {"outputs": [0.5, 1.5]},
        "mixed-columns",
    )
    reply = ask(front, "tensorflow-serving", "mixed", json.dumps(ROWS).encode())
    assert (reply.json, reply.headers["warmfront-variant"]) == ({"predictions": [0.5, 1.5]}, "mixed-rows")
    reply = front.ask("POST", "/decide/mixed", json.dumps(COLUMNS).encode())
    verdicts = {one["variant"]: one["verdict"] for one in reply.json["candidates"]}
    assert verdicts["mixed-columns"] == ""
    assert "no request of kserve-v1" in verdicts["mixed-rows"]


def until_known(front: Front, task: str, variants: int) -> None:
    """Wait for the selector's watch to tell it of new variants."""
    for _ in range(500):
        reply = front.ask("GET", f"/tasks/{task}")
        if reply.status == 200 and len([one for one in reply.json["variants"] if one["ready"]]) == variants:
            return
    raise AssertionError(reply.json)


def test_doors_of_model_servers(front: Front) -> None:
    """What clients ask before they ask a model."""
    assert front.ask("GET", "/v2").json["name"] == "warmfront"
    assert front.ask("GET", "/ping").status == 200
    assert front.ask("GET", "/v2/models/only-kserve-v1/ready").json == {"name": "only-kserve-v1", "ready": True}
    assert front.ask("GET", "/v2/models/only-open-inference/versions/3/ready").status == 200
    for path in ("/v2/models/only-raw/ready", "/v1/models/only-sagemaker"):
        reply = front.ask("GET", path)
        assert (reply.status, list(reply.json)) == (415, ["error"])
    assert front.ask("GET", "/v2/models/nothing/ready").status == 404
    assert front.ask("GET", "/v1/models/only-kserve-v1").json == {"name": "only-kserve-v1", "ready": True}
    reply = front.ask("GET", "/v2/models/only-tensorflow-serving")
    assert (reply.status, list(reply.json)) == (415, ["error"])


def test_metadata_is_a_variants(front: Front, platform: Platform) -> None:
    """Asked of a variant by its own name, answered as it answers, which names it."""
    variant = platform.variants["v-open-inference"]
    document = b'{"name": "v-open-inference", "platform": "tests", "inputs": [], "outputs": []}'
    variant.answer = lambda exchange: exchange.respond(200, speakers.JSON, document)
    reply = front.ask("GET", "/v2/models/only-open-inference/versions/3")
    assert (reply.status, reply.body, reply.headers["warmfront-variant"]) == (200, document, variant.name)
    assert (variant.seen[-1].method, variant.seen[-1].path) == ("GET", "/v2/models/v-open-inference/versions/3")
    variant.answer = lambda exchange: exchange.respond(503, [], b"")
    reply = front.ask("GET", "/v2/models/only-open-inference")
    assert (reply.status, reply.json) == (
        502,
        {"error": "v-open-inference answered 503 to GET /v2/models/v-open-inference; try again"},
    )
    variant.answer = speakers.open_inference


def test_the_doors_of_sagemaker(front: Front, platform: Platform) -> None:
    """The task in our header, in the AWS clients' header, in their path; without one, what is missing.

    The AWS header goes on where it is not the task's name.
    """
    target, model = {"X-Amzn-SageMaker-Target-Model": "m"}, b"x-amzn-sagemaker-target-model"
    for path, headers in (
        ("/invocations", {"Warmfront-Task": "only-sagemaker"}),
        ("/invocations", {"X-Amzn-SageMaker-Target-Model": "only-sagemaker"}),
        ("/endpoints/only-sagemaker/invocations", target),
        ("/invocations", {"Warmfront-Task": "only-sagemaker"} | target),
    ):
        reply = front.ask("POST", path, b"hello", headers | {"Content-Type": "text/plain"})
        assert (reply.status, reply.body) == (200, b"HELLO")
        passed_on = platform.variants["v-sagemaker"].seen[-1].header(model)
        assert passed_on == (b"m" if target.items() <= headers.items() else None)
    reply = front.ask("POST", "/invocations", b"hello")
    assert (reply.status, "Warmfront-Task is absent" in reply.json["detail"]) == (400, True)


def test_lists_want_the_token(start, platform: Platform) -> None:
    """What is served is the selector's inside; whether one model is ready is not."""
    front = start("native", WARMFRONT_TOKEN="secret")
    reply = front.ask("GET", "/v1/models")
    assert (reply.status, list(reply.json)) == (401, ["error"])
    names = front.ask("GET", "/v2/models", headers={"Authorization": "Bearer secret"}).json["models"]
    assert set(names) >= {f"only-{name}" for name in REST}
    assert front.ask("GET", "/v1/models/only-tensorflow-serving").status == 200
