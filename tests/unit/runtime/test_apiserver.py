"""The API server over a real socket: discovery, verbs, errors, watches, credentials."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from warmfront.errors import WarmfrontError
from warmfront.kube.resources import REVISIONS, SERVICES, Json
from warmfront.runtime.apiserver import ApiServer, write_kubeconfig
from warmfront.runtime.apiserver.documents import failure
from warmfront.runtime.store import Store
from warmfront.wire.messages import Headers, Response
from warmfront.wire.pool import Failure, Origin, Pool
from warmfront.wire.server import Server

TOKEN = "0123abcd"
SERVING = "/apis/serving.knative.dev/v1"
IN_DEFAULT = f"{SERVING}/namespaces/default"
BEARER = (b"authorization", b"Bearer " + TOKEN.encode())
MERGE = (b"content-type", b"application/merge-patch+json")
HELLO = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "hello", "labels": {"warmfront.dev/task": "langid"}},
    "spec": {"template": {"spec": {"containers": [{"image": "dev.local/dummy-model-fn:v1"}]}}},
}


class Api:
    """An API server on an ephemeral port, and a client of it."""

    def __init__(self) -> None:
        self.store = Store(None)
        self.server = ApiServer(self.store, TOKEN)
        self.http = Server(self.server.handle)
        self.pool = Pool()

    async def start(self) -> None:
        self.origin = Origin(host="127.0.0.1", port=await self.http.listen("127.0.0.1", 0))

    async def stop(self) -> None:
        self.server.close()
        await self.pool.close()
        await self.http.close(1.0)
        self.store.close()

    async def ask(self, method: str, path: str, body: object = None, headers: Headers | None = None) -> Response:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [BEARER] if headers is None else headers
        return await self.pool.fetch(self.origin, method, path, headers, data, timeout_s=5.0)

    async def json(self, method: str, path: str, body: object = None, *, status: int = 200, **more: Any) -> Any:
        response = await self.ask(method, path, body, **more)
        assert response.status == status, response.body
        return json.loads(response.body)


def with_api(story: Callable[[Api], Awaitable[None]]) -> None:
    async def run() -> None:
        api = Api()
        await api.start()
        try:
            await asyncio.wait_for(story(api), 20)
        finally:
            await api.stop()

    asyncio.run(run())


class Lines:
    """Collects the events of one watch, as they come."""

    def __init__(self, api: Api, path: str) -> None:
        self.events: asyncio.Queue[Json] = asyncio.Queue()
        self.ended = asyncio.Event()
        self.status = 0
        self._rest = b""
        self.call = api.pool.send(api.origin, "GET", path, [BEARER], b"", self, timeout_s=20.0)

    def on_response(self, status: int, headers: Headers) -> None:
        self.status = status

    def on_body(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.events.put_nowait(json.loads(line))

    def on_complete(self) -> None:
        self.ended.set()

    def on_failure(self, failure: Failure) -> None:
        self.ended.set()

    async def next(self) -> tuple[str, str]:
        event = await self.events.get()
        return event["type"], event["object"]["metadata"].get("name", "")


def test_discovery_lists_what_there_is() -> None:
    """Version, groups, resources with verbs and short names, and that fields are validated by the server."""

    async def story(api: Api) -> None:
        assert (await api.json("GET", "/version"))["major"] == "1"
        groups = {group["name"] for group in (await api.json("GET", "/apis"))["groups"]}
        assert {"serving.knative.dev", "eventing.knative.dev", "discovery.k8s.io"} < groups
        assert (await api.json("GET", "/apis/serving.knative.dev"))["preferredVersion"]["version"] == "v1"
        listed = {entry["name"]: entry for entry in (await api.json("GET", SERVING))["resources"]}
        assert listed["services"]["shortNames"] == ["kservice", "ksvc"]
        assert "create" in listed["services"]["verbs"]
        assert listed["configurations"]["verbs"] == ["get", "list", "watch"]
        assert "services/status" in listed
        paths = (await api.json("GET", f"/openapi/v3{SERVING}"))["paths"]
        patch = paths[f"{SERVING}/namespaces/{{namespace}}/services/{{name}}"]["patch"]
        assert patch["parameters"][0]["name"] == "fieldValidation"

    with_api(story)


def test_namespaces_are_simply_there() -> None:
    """`default` and those with objects are listed, any can be read; there are never events."""

    async def story(api: Api) -> None:
        await api.json("POST", f"{SERVING}/namespaces/team/services", HELLO, status=201)
        listed = await api.json("GET", "/api/v1/namespaces")
        assert [item["metadata"]["name"] for item in listed["items"]] == ["default", "team"]
        assert (await api.json("GET", "/api/v1/namespaces/any"))["status"]["phase"] == "Active"
        assert (await api.json("GET", "/api/v1/namespaces/default/events?fieldSelector=x"))["items"] == []
        await api.json("POST", "/api/v1/namespaces", {}, status=405)

    with_api(story)


def test_health_is_open_and_all_else_wants_the_token() -> None:
    """No token, a wrong one and another scheme are 401; Bearer and the kubeconfig's URL (Basic) are let in."""

    async def story(api: Api) -> None:
        for path in ("/healthz", "/readyz", "/livez"):
            assert (await api.ask("GET", path, headers=[])).body == b"ok"
        for wrong in ([], [(b"authorization", b"Bearer wrong")], [(b"authorization", TOKEN.encode())]):
            status = await api.json("GET", "/apis", status=401, headers=wrong)
            assert (status["kind"], status["reason"]) == ("Status", "Unauthorized")
        await api.json("GET", "/apis", headers=[(b"authorization", b"Basic d2FybWZyb250OjAxMjNhYmNk")])

    with_api(story)


def test_the_kubeconfig_is_private_and_holds_the_token_twice(tmp_path: Path) -> None:
    """Mode 0600, in the URL for Go clients, as user token for others; writing it again replaces it."""
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    write_kubeconfig(path, port=1234, token=TOKEN)
    assert path.stat().st_mode & 0o777 == 0o600
    config = json.loads(path.read_text())
    assert config["clusters"][0]["cluster"]["server"] == "http://warmfront:0123abcd@127.0.0.1:1234"
    assert config["users"][0]["user"]["token"] == TOKEN
    assert [entry.name for entry in tmp_path.iterdir()] == ["kubeconfig"]


def test_an_object_is_created_read_changed_and_deleted() -> None:
    """The life of a Service by POST, GET, PUT, PATCH and DELETE, with defaults and versions as in Kubernetes."""

    async def story(api: Api) -> None:
        made = await api.json("POST", f"{IN_DEFAULT}/services", HELLO, status=201)
        assert made["spec"]["template"]["spec"]["timeoutSeconds"] == 300
        assert await api.json("GET", f"{IN_DEFAULT}/services/hello") == made
        listed = await api.json("GET", f"{SERVING}/services?labelSelector=warmfront.dev%2Ftask%3Dlangid")
        assert (listed["kind"], listed["items"]) == ("ServiceList", [made])
        assert listed["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        assert (await api.json("GET", f"{SERVING}/services?labelSelector=x"))["items"] == []
        made["spec"]["template"]["spec"]["containerConcurrency"] = 4
        put = await api.json("PUT", f"{IN_DEFAULT}/services/hello", made)
        assert put["metadata"]["generation"] == 2
        await api.json("PUT", f"{IN_DEFAULT}/services/hello", made, status=409)
        patch = {"metadata": {"labels": {"x": "y"}}}
        patched = await api.json("PATCH", f"{IN_DEFAULT}/services/hello", patch, headers=[BEARER, MERGE])
        assert patched["metadata"]["labels"] == {"warmfront.dev/task": "langid", "x": "y"}
        gone = await api.json("DELETE", f"{IN_DEFAULT}/services/hello", {"propagationPolicy": "Background"})
        assert (gone["status"], gone["details"]["uid"]) == ("Success", made["metadata"]["uid"])
        missing = await api.json("GET", f"{IN_DEFAULT}/services/hello", status=404)
        assert missing["message"] == 'services.serving.knative.dev "hello" not found'
        assert missing["details"] == {"name": "hello", "group": "serving.knative.dev", "kind": "services"}

    with_api(story)


def test_the_status_has_a_path_of_its_own() -> None:
    """PUT and PATCH of /status change the status only; a stale version is refused."""

    async def story(api: Api) -> None:
        made = await api.json("POST", f"{IN_DEFAULT}/services", HELLO, status=201)
        path = f"{IN_DEFAULT}/services/hello/status"
        changed = {**made, "spec": {}, "status": {"a": 1}}
        assert (await api.json("PUT", path, changed))["spec"] == made["spec"]
        await api.json("PUT", path, changed, status=409)
        patched = await api.json("PATCH", path, {"status": {"b": 2}}, headers=[BEARER, MERGE])
        assert patched["status"] == {"a": 1, "b": 2}

    with_api(story)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/nowhere", None, 404, "could not find the requested resource"),
        ("GET", f"{IN_DEFAULT}/pods", None, 404, "could not find the requested resource"),
        ("GET", f"{IN_DEFAULT}/services/hello/scale", None, 404, "could not find"),
        ("GET", f"{SERVING}/services/hello", None, 404, "live in a namespace"),
        ("GET", f"{IN_DEFAULT}/services?labelSelector=a%20b", None, 400, "label selector has 'a b'"),
        ("GET", f"{IN_DEFAULT}/services?fieldSelector=spec.x%3D1", None, 400, "field selector has"),
        ("GET", f"{IN_DEFAULT}/services?watch=1&timeoutSeconds=x", None, 400, "timeoutSeconds is 'x'"),
        ("GET", f"{IN_DEFAULT}/services?watch=1&resourceVersion=9", None, 410, "too old resource version"),
        ("POST", f"{IN_DEFAULT}/services", HELLO, 409, '"hello" already exists'),
        ("POST", f"{IN_DEFAULT}/services", b"{", 400, "not a JSON object"),
        ("POST", f"{IN_DEFAULT}/services", [], 400, "not a JSON object"),
        ("POST", f"{IN_DEFAULT}/services", b'{"metadata":{"name":"\xff"}}', 400, "not a JSON object"),
        ("POST", f"{IN_DEFAULT}/services", {"kind": "Service"}, 400, "metadata is missing"),
        ("POST", f"{IN_DEFAULT}/services", {**HELLO, "kind": "Pod"}, 400, "kind is 'Pod'; this path takes Service"),
        ("POST", f"{SERVING}/namespaces/x/services", {**HELLO, "metadata": {"name": "a", "namespace": "y"}}, 400,
         "the path says 'x'"),
        ("POST", f"{IN_DEFAULT}/services", {**HELLO, "metadata": {}}, 400, "metadata.name is None"),
        ("POST", f"{IN_DEFAULT}/services?dryRun=All", HELLO, 400, "dryRun is not available"),
        ("POST", f"{IN_DEFAULT}/services?fieldValidation=Strict", {**HELLO, "metadata": {"name": "b"},
         "spec": {**HELLO["spec"], "trafic": [{}]}}, 400, 'unknown field "spec.trafic"'),
        ("POST", f"{IN_DEFAULT}/services/hello", HELLO, 405, "not available on this object"),
        ("DELETE", f"{IN_DEFAULT}/services", None, 405, "not available on this collection"),
        ("POST", f"{IN_DEFAULT}/revisions", HELLO, 405, "follow from their Service; change that instead"),
        ("PUT", f"{IN_DEFAULT}/services/other", {**HELLO, "metadata": {"name": "other"}}, 404, "not found"),
        ("PUT", f"{IN_DEFAULT}/services/other", HELLO, 400, "the path says 'other'"),
        ("PATCH", f"{IN_DEFAULT}/services/hello", {"spec": {}}, 415, "takes application/merge-patch+json"),
        ("DELETE", f"{IN_DEFAULT}/services/hello", {"propagationPolicy": "Orphan"}, 400, "Orphan"),
        ("DELETE", f"{IN_DEFAULT}/services/hello", {"preconditions": {"uid": "x"}}, 409, "uid is"),
    ],
)  # fmt: skip
def test_errors_are_status_objects(method: str, path: str, body: object, status: int, message: str) -> None:
    """Each mistake has its status and a message that says what was found; the next good request works."""

    async def story(api: Api) -> None:
        await api.json("POST", f"{IN_DEFAULT}/services", HELLO, status=201)
        failure = await api.json(method, path, body, status=status)
        assert (failure["kind"], failure["status"], failure["code"]) == ("Status", "Failure", status)
        assert message in failure["message"]
        assert failure["reason"] == ("AlreadyExists" if method == "POST" and status == 409 else failure["reason"])
        assert (await api.json("GET", f"{IN_DEFAULT}/services/hello"))["kind"] == "Service"

    with_api(story)


def test_what_is_ignored_comes_back_as_warning_headers() -> None:
    """One `Warning: 299` per field without effect, in the form that kn and kubectl print."""

    async def story(api: Api) -> None:
        container = {**HELLO["spec"]["template"]["spec"]["containers"][0], "resources": {"limits": {"cpu": 1}}}
        body = {**HELLO, "spec": {"template": {"spec": {"containers": [container], "x": 1}}}}
        response = await api.ask("POST", f"{IN_DEFAULT}/services", body)
        warnings = [value.decode() for name, value in response.headers if name == b"warning"]
        assert response.status == 201
        assert warnings[0].startswith('299 - "spec.template.spec.containers[0].resources has no effect')
        assert warnings[1] == '299 - "unknown field \\"spec.template.spec.x\\""'

    with_api(story)


def test_a_revision_is_warmed_by_a_patch_and_keeps_its_spec() -> None:
    """Annotations of a Revision can be patched; its spec cannot."""

    async def story(api: Api) -> None:
        api.store.create(REVISIONS, {"metadata": {"name": "hello-00001"}, "spec": {"a": 1}})
        path = f"{IN_DEFAULT}/revisions/hello-00001"
        annotations = {"autoscaling.knative.dev/min-scale": "1"}
        patch = {"metadata": {"annotations": annotations}}
        patched = await api.json("PATCH", path, patch, headers=[BEARER, MERGE])
        assert patched["metadata"]["annotations"] == annotations
        failure = await api.json("PATCH", path, {"spec": {"a": 2}}, status=400, headers=[BEARER, MERGE])
        assert "immutable" in failure["message"]

    with_api(story)


def test_a_watch_streams_changes_as_they_happen() -> None:
    """ADDED for what exists, then each change, selected; a write is on the wire before the next one is made."""

    async def story(api: Api) -> None:
        api.store.create(SERVICES, HELLO)
        lines = Lines(api, f"{IN_DEFAULT}/services?watch=true&fieldSelector=metadata.name%3Dhello")
        assert await lines.next() == ("ADDED", "hello")
        api.store.create(SERVICES, {"metadata": {"name": "other"}})
        api.store.set_status(SERVICES, "default", "hello", {"a": 1})
        assert await lines.next() == ("MODIFIED", "hello")
        api.store.delete(SERVICES, "default", "hello")
        assert await lines.next() == ("DELETED", "hello")
        lines.call.cancel()

    with_api(story)


def test_a_watch_goes_on_from_a_version_and_ends_with_a_bookmark() -> None:
    """After the version only; after timeoutSeconds a bookmark with the latest version, then the end in good order."""

    async def story(api: Api) -> None:
        version = api.store.create(SERVICES, HELLO)["metadata"]["resourceVersion"]
        api.store.create(SERVICES, {"metadata": {"name": "other"}})
        query = f"watch=1&resourceVersion={version}&allowWatchBookmarks=true&timeoutSeconds=1"
        lines = Lines(api, f"{SERVING}/services?{query}")
        assert await lines.next() == ("ADDED", "other")
        mark = await lines.events.get()
        assert (mark["type"], mark["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", api.store.version)
        await lines.ended.wait()
        assert lines.status == 200

    with_api(story)


def test_a_streaming_list_ends_with_its_own_bookmark() -> None:
    """sendInitialEvents: all that exists, then a bookmark that says so, then changes."""

    async def story(api: Api) -> None:
        api.store.create(SERVICES, HELLO)
        query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        lines = Lines(api, f"{SERVING}/services?{query}")
        assert await lines.next() == ("ADDED", "hello")
        mark = await lines.events.get()
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        api.store.delete(SERVICES, "default", "hello")
        assert await lines.next() == ("DELETED", "hello")
        lines.call.cancel()

    with_api(story)


def test_closing_the_server_ends_its_watches() -> None:
    """A client's watch ends in good order when the runtime stops, so it starts anew elsewhere."""

    async def story(api: Api) -> None:
        api.store.create(SERVICES, HELLO)
        lines = Lines(api, f"{SERVING}/services?watch=1")
        assert await lines.next() == ("ADDED", "hello")
        api.server.close()
        await lines.ended.wait()

    with_api(story)


def test_a_watcher_that_does_not_read_is_cut_off() -> None:
    """Behind a client that reads nothing no more than a bounded number of events is kept; others go on."""

    async def story(api: Api) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", api.origin.port)
        writer.transport.pause_reading()
        request = f"GET {SERVING}/services?watch=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        writer.write(request.encode())
        other = Lines(api, f"{SERVING}/services?watch=1")
        api.store.create(SERVICES, HELLO)
        assert await other.next() == ("ADDED", "hello")
        while api.http.connections > 1:
            for _ in range(50):
                api.store.set_status(SERVICES, "default", "hello", {"n": api.store.version, "bulk": "x" * 20_000})
            while not other.events.empty():
                await other.next()
            await asyncio.sleep(0)
        api.store.delete(SERVICES, "default", "hello")
        while await other.next() != ("DELETED", "hello"):
            pass
        other.call.cancel()
        writer.close()

    with_api(story)


def test_an_error_without_a_reason_keeps_its_status() -> None:
    """A status without a Kubernetes reason is reported as an internal error, with its own code."""

    class Odd(WarmfrontError):
        status = 418

    status = failure(Odd("x"), target=None, creating=False)
    assert (status["reason"], status["code"]) == ("InternalError", 418)
