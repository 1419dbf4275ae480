"""events/ keeps its word: schemas, golden examples and asyncapi.yaml fit each other and the codec."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from warmfront.cloudevents import CloudEvent, Headers, Mode, decode, encode
from warmfront.gateway.events import FEEDBACK, REJECTED, REQUEST, RESPONSE, reply_id
from warmfront.gateway.objective import EXTENSIONS, from_extensions

EVENTS = Path(__file__).parents[2] / "events"
SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in EVENTS.glob("schemas/*.json")
}
EXAMPLES = sorted(path.stem for path in EVENTS.glob("examples/*.json"))
REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)


def schema_of(example: str) -> str:
    return next(name for name in SCHEMAS if example == name or example.startswith(f"{name}."))


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[name], registry=REGISTRY)


def structured(example: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EVENTS / "examples" / f"{example}.json").read_text())
    return document


def from_json(example: str) -> CloudEvent:
    body = (EVENTS / "examples" / f"{example}.json").read_bytes()
    return decode([(b"content-type", b"application/cloudevents+json")], body)


def from_raw_http(example: str) -> tuple[str, CloudEvent]:
    """Start line and event of an `.http` file: lines up to an empty one, then as many bytes as Content-Length says."""
    head, _, rest = (EVENTS / "examples" / f"{example}.http").read_bytes().partition(b"\n\n")
    start, *lines = head.decode("ascii").splitlines()
    headers: Headers = [
        (name.lower().encode(), value.strip().encode()) for name, _, value in (line.partition(":") for line in lines)
    ]
    length = int(dict(headers)[b"content-length"])
    assert rest[length:] == b"\n", "the body is as long as Content-Length says, and one line break ends the file"
    return start, decode(headers, rest[:length])


def test_every_event_type_has_a_schema_and_examples() -> None:
    """The four types of the design, by the names that the selector uses."""
    named = {SCHEMAS[name]["title"] for name in SCHEMAS if name != "cloudevent"}
    assert named == {REQUEST, RESPONSE, REJECTED, FEEDBACK}
    assert {schema_of(example) for example in EXAMPLES} == set(SCHEMAS) - {"cloudevent"}
    assert {path.stem for path in EVENTS.glob("examples/*.http")} == set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schemas_are_valid_and_named_after_their_file(name: str) -> None:
    """Draft 2020-12, found under its `$id`."""
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"].endswith(f"/schemas/{name}.schema.json")


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_satisfy_their_schema(example: str) -> None:
    """Without any fault."""
    assert not [error.message for error in validator(schema_of(example)).iter_errors(structured(example))]


@pytest.mark.parametrize("example", EXAMPLES)
def test_both_forms_of_an_example_are_the_same_event(example: str) -> None:
    """Attribute for attribute and byte for byte."""
    start, event = from_raw_http(example)
    assert event == from_json(example)
    is_reply = event.type in {RESPONSE, REJECTED}
    assert start == ("HTTP/1.1 200 OK" if is_reply else "POST /default/default HTTP/1.1")


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_our_codec_writes_satisfies_the_schema_too(example: str) -> None:
    """The structured form of a decoded example is as good as the golden one."""
    _, body = encode(from_json(example), Mode.STRUCTURED)
    assert json.loads(body) == structured(example)


def test_replies_belong_to_their_request() -> None:
    """The golden replies carry the id, causation and correlation that a selector gives them."""
    request = from_json("inference.request")
    for reply in map(from_json, ("inference.response", "inference.rejected")):
        assert reply.id == reply_id(request)
        assert reply.extensions["causationid"] == reply.extensions["correlationid"] == request.id
        assert reply.extensions["traceparent"] == request.extensions["traceparent"]
        assert json.loads(from_json("feedback.label").data)["decision_id"] == reply.extensions["decisionid"]


def test_the_objective_of_the_golden_request_is_understood() -> None:
    """And the schema knows exactly the extensions that carry an objective."""
    objective = from_extensions(from_json("inference.request").extensions)
    assert (objective.deadline_s, objective.min_accuracy) == (0.3, 0.8)
    assert set(EXTENSIONS) <= set(SCHEMAS["inference.request"]["properties"])


BROKEN = [
    ("inference.request", {"subject": None}),
    ("inference.request", {"id": ""}),
    ("inference.request", {"specversion": "0.3"}),
    ("inference.request", {"type": "dev.warmfront.inference.requests"}),
    ("inference.request", {"time": "yesterday"}),
    ("inference.request", {"datacontenttype": "text"}),
    ("inference.request", {"deadlinems": "soon"}),
    ("inference.request", {"deadlinems": "0"}),
    ("inference.request", {"deadlinems": -1}),
    ("inference.request", {"deadlineat": "08:30"}),
    ("inference.request", {"minaccuracy": "80%"}),
    ("inference.request", {"minaccuracy": "1.5"}),
    ("inference.request", {"onmiss": "panic"}),
    ("inference.request", {"weights": "latency=1"}),
    ("inference.request", {"data_base64": "eA=="}),
    ("inference.request", {"Deadline": "1"}),
    ("inference.request", {"extra": 1.5}),
    ("inference.response", {"decisionid": None}),
    ("inference.response", {"coldstart": "maybe"}),
    ("inference.response", {"accuracy": "1.2"}),
    ("inference.response", {"id": "not-derived"}),
    ("inference.rejected", {"datacontenttype": "application/json"}),
    ("inference.rejected", {"data": {"title": "no"}}),
    ("feedback.correct", {"data": {"correct": True}}),
    ("feedback.correct", {"data": {"decision_id": "1"}}),
    ("feedback.correct", {"data": {"decision_id": "1", "correct": True, "score": 1}}),
    ("feedback.correct", {"data": {"decision_id": "1", "score": 2}}),
    ("feedback.correct", {"datacontenttype": "text/plain"}),
]


@pytest.mark.parametrize(("example", "change"), BROKEN, ids=str)
def test_a_broken_example_fails_its_schema(example: str, change: dict[str, Any]) -> None:
    """One wrong or missing (None) member is enough."""
    broken = copy.deepcopy(structured(example)) | change
    broken = {name: value for name, value in broken.items() if value is not None}
    assert list(validator(schema_of(example)).iter_errors(broken))


@pytest.mark.parametrize("change", [{"deadlinems": 300}, {"minaccuracy": 1}, {"note": None}, {"urgent": True}], ids=str)
def test_senders_with_typed_extensions_are_welcome(change: dict[str, Any]) -> None:
    """JSON may carry integers where headers carry their strings; the schema takes both, as the codec does."""
    document = structured("inference.request") | change
    assert not list(validator("inference.request").iter_errors(document))
    assert decode([(b"content-type", b"application/cloudevents+json")], json.dumps(document).encode()).id


# --- asyncapi.yaml ---


def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((EVENTS / "asyncapi.yaml").read_text())
    return document


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    if isinstance(node, list):
        return [found for value in node for found in references(value)]
    return []


def test_asyncapi_references_lead_somewhere() -> None:
    """Inside the document by pointer, outside it to a schema file; nothing hangs in the air."""
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    files = set()
    for reference in references(document):
        if reference.startswith("#/"):
            node: Any = document
            for part in reference[2:].split("/"):
                node = node[part]
        else:
            path = (EVENTS / reference).resolve()
            assert path.is_file(), reference
            files.add(path.name)
    assert files == {f"{name}.schema.json" for name in SCHEMAS if name != "cloudevent"}


def test_asyncapi_names_every_message_by_its_event_type() -> None:
    """Message name, schema and event type are one and the same."""
    messages = asyncapi()["components"]["messages"].values()
    for message in messages:
        schema = json.loads((EVENTS / message["payload"]["schema"]["$ref"]).read_text())
        assert schema["properties"]["type"]["const"] == schema["title"] == message["name"]
    assert {message["name"] for message in messages} == {REQUEST, RESPONSE, REJECTED, FEEDBACK}


def headers_of(document: dict[str, Any], reference: str) -> dict[str, Any]:
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    found = dict(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        found |= headers_of(document, part["$ref"]) if "$ref" in part else part["properties"]
    return found


@pytest.mark.parametrize("example", EXAMPLES)
def test_asyncapi_describes_every_header_of_the_examples(example: str) -> None:
    """No extension travels undocumented."""
    document = asyncapi()
    event = from_json(example)
    message = next(m for m in document["components"]["messages"].values() if m["name"] == event.type)
    headers, _ = encode(event)
    assert {name.decode() for name, _ in headers} <= set(headers_of(document, message["headers"]["$ref"]))
