"""Services and revisions by the stock kn, unchanged."""

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.kn

Kn = Callable[..., Any]

IMAGE = "dev.local/dummy-model-fn:v1"
MANIFEST = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: langid-fasttext
  labels: {warmfront.dev/task: langid}
  annotations:
    warmfront.dev/protocols: cloudevents,raw
    warmfront.dev/profile: |
      {"accuracy": 0.72}
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/initial-scale: "0"
        autoscaling.knative.dev/window: 60s
    spec:
      containerConcurrency: 4
      containers:
        - image: dev.local/langid-fasttext:v1
          ports: [{containerPort: 8080}]
          readinessProbe: {httpGet: {path: /readyz}}
"""


def test_create_waits_until_the_service_is_ready(kn: Kn) -> None:
    """All flags a variant needs; kn waits, tells the URL, and the Service holds what was asked for."""
    result = kn("service", "create", "hello", "--image", IMAGE, "--scale-min", "1", "--scale-max", "3",
                "--scale-init", "0", "--concurrency-limit", "4", "--env", "MODE=fast",
                "--annotation", "warmfront.dev/protocols=raw", "--label", "warmfront.dev/task=langid")  # fmt: skip
    assert "Ready to serve" in result.out
    assert kn.url("hello") in result.out
    service = kn("service", "describe", "hello", "-o", "json").json
    assert service["metadata"]["labels"] == {"warmfront.dev/task": "langid"}
    assert service["metadata"]["annotations"]["warmfront.dev/protocols"] == "raw"
    template = service["spec"]["template"]
    scaling = {key.partition("/")[2]: value for key, value in template["metadata"]["annotations"].items()}
    assert [scaling[name] for name in ("min-scale", "max-scale", "initial-scale")] == ["1", "3", "0"]
    assert template["spec"]["containerConcurrency"] == 4
    assert template["spec"]["containers"][0]["env"] == [{"name": "MODE", "value": "fast"}]


def test_create_does_not_wait_when_told_so(kn: Kn) -> None:
    """--no-wait returns after the creation; kn service wait then succeeds."""
    assert "created in namespace 'default'" in kn("service", "create", "hello", "--image", IMAGE, "--no-wait").out
    kn("service", "wait", "hello")


def test_an_image_without_a_folder_fails_with_the_remedy(kn: Kn) -> None:
    """kn ends with an error that carries the data plane's message, soon, and list and describe show it."""
    result = kn("service", "create", "lost", "--image", "dev.local/nowhere:v1", "--wait-window", "1", ok=False)
    assert result.code != 0
    assert "image 'dev.local/nowhere:v1' has no function folder" in result.err
    assert "functions/nowhere" in result.err
    assert "create one of them" in result.err
    listed = kn("service", "list").out
    assert "False" in listed
    assert "RevisionFailed" in listed
    assert "!!" in kn("service", "describe", "lost").out


def test_a_refused_service_says_why(kn: Kn) -> None:
    """What the embedded Knative has not is named; nothing is made."""
    result = kn("service", "create", "hello", "--image", IMAGE, "--mount", "/x=cm:settings", ok=False)
    assert "volumes is not available in the embedded Knative" in result.err
    assert "No services found" in kn("service", "list").out


def test_what_has_no_effect_is_a_warning(kn: Kn) -> None:
    """kn prints the server's warning that limits are not enforced, and goes on."""
    result = kn("service", "create", "hello", "--image", IMAGE, "--limit", "memory=64Mi")
    assert "Warning: spec.template.spec.containers[0].resources has no effect" in result.err
    assert "Ready to serve" in result.out


def test_create_from_a_file(kn: Kn) -> None:
    """The manifest a cluster reads, labels, annotations and probe included."""
    (kn.home / "service.yaml").write_text(MANIFEST)
    assert "Ready to serve" in kn("service", "create", "-f", "service.yaml").out
    service = kn("service", "describe", "langid-fasttext", "-o", "json").json
    assert json.loads(service["metadata"]["annotations"]["warmfront.dev/profile"]) == {"accuracy": 0.72}
    container = service["spec"]["template"]["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_apply_creates_then_changes_only_what_changed(kn: Kn) -> None:
    """The same file again makes no new revision; a changed one makes one, and the old one is listed behind it."""
    file = kn.home / "service.yaml"
    file.write_text(MANIFEST)
    for _ in range(2):
        kn("service", "apply", "-f", "service.yaml")
        assert [r["metadata"]["name"] for r in kn("revision", "list", "-o", "json").json["items"]] == [
            "langid-fasttext-00001"
        ]
    file.write_text(MANIFEST.replace("containerConcurrency: 4", "containerConcurrency: 2"))
    assert "langid-fasttext-00002" in kn("service", "apply", "-f", "service.yaml").out
    revision = kn("revision", "describe", "langid-fasttext-00002", "-o", "json").json
    assert revision["spec"]["containerConcurrency"] == 2


def test_update_makes_a_new_revision(kn: Kn) -> None:
    """A changed variable: revision 2 takes the traffic, revision 1 stays, and describe shows both in their places."""
    kn("service", "create", "hello", "--image", IMAGE, "--env", "MODE=fast")
    assert "hello-00002" in kn("service", "update", "hello", "--env", "MODE=slow").out
    rows = [line.split() for line in kn("revision", "list").out.splitlines()]
    assert rows[1][:3] == ["hello-00002", "hello", "100%"]
    assert rows[2][:2] == ["hello-00001", "hello"]
    assert "100%" not in rows[2]
    described = kn("revision", "describe", "hello-00002").out
    assert "MODE=slow" in described
    assert "Service:" in described


def test_an_update_that_fails_leaves_the_old_revision_serving(kn: Kn) -> None:
    """kn reports the failure; the traffic stays on the revision that is ready."""
    kn("service", "create", "hello", "--image", IMAGE)
    result = kn("service", "update", "hello", "--image", "dev.local/nowhere:v1", "--wait-window", "1", ok=False)
    assert result.code != 0
    assert "has no function folder" in result.err
    traffic = kn("service", "describe", "hello", "-o", "json").json["status"]["traffic"]
    assert [entry["revisionName"] for entry in traffic] == ["hello-00001"]


def test_list_and_describe(kn: Kn) -> None:
    """The tables have name, URL, latest revision and conditions; JSON holds the objects."""
    assert "No services found" in kn("service", "list").out
    for name in ("one", "two"):
        kn("service", "create", name, "--image", IMAGE)
    header, *rows = kn("service", "list").out.splitlines()
    assert header.split()[:3] == ["NAME", "URL", "LATEST"]
    assert [row.split()[0] for row in rows] == ["one", "two"]
    assert rows[0].split()[1:3] == [kn.url("one"), "one-00001"]
    assert "3 OK / 3" in rows[0]
    listed = kn("service", "list", "-o", "json").json
    assert [item["metadata"]["name"] for item in listed["items"]] == ["one", "two"]
    described = kn("service", "describe", "one").out
    for part in (kn.url("one"), "100%  @latest (one-00001) [1]", "++ Ready"):
        assert part in described


def test_tags_keep_an_old_revision_reachable(kn: Kn) -> None:
    """A tag on revision 1 at 0 percent gets a URL of its own; a split of traffic is refused."""
    kn("service", "create", "hello", "--image", IMAGE)
    kn("service", "update", "hello", "--env", "A=b")
    kn("service", "update", "hello", "--tag", "hello-00001=old", "--traffic", "@latest=100")
    traffic = kn("service", "describe", "hello", "-o", "json").json["status"]["traffic"]
    urls = {entry["revisionName"]: entry.get("url") for entry in traffic}
    assert urls == {"hello-00002": None, "hello-00001": kn.url("old-hello")}
    result = kn("service", "update", "hello", "--traffic", "hello-00001=50,@latest=50", ok=False)
    assert "a split of [50, 50] percent" in result.err


def test_delete_removes_the_service_and_all_it_made(kn: Kn) -> None:
    """With --wait; a second deletion says that there is none."""
    kn("service", "create", "hello", "--image", IMAGE)
    assert "successfully deleted" in kn("service", "delete", "hello", "--wait").out
    assert "No revisions found" in kn("revision", "list").out
    again = kn("service", "delete", "hello", ok=False)
    assert (again.code, '"hello" not found' in again.err) == (1, True)


def test_revisions_can_be_deleted(kn: Kn) -> None:
    """An old one goes; the one in use stays."""
    kn("service", "create", "hello", "--image", IMAGE)
    kn("service", "update", "hello", "--env", "A=b")
    kn("revision", "delete", "hello-00001")
    assert [r["metadata"]["name"] for r in kn("revision", "list", "-o", "json").json["items"]] == ["hello-00002"]


def test_namespaces_keep_apart(kn: Kn) -> None:
    """A namespace need not be made; -A lists them all."""
    kn("service", "create", "hello", "--image", IMAGE, "-n", "team")
    assert "No services found" in kn("service", "list").out
    assert kn.url("hello", "team") in kn("service", "list", "-A").out


def test_without_the_token_kn_is_told_what_to_use(kn: Kn) -> None:
    """A wrong token in the kubeconfig: an error that names the remedy."""
    config = kn.home / "kubeconfig"
    token = json.loads(config.read_text())["users"][0]["user"]["token"]
    config.write_text(config.read_text().replace(token, "wrong"))
    result = kn("service", "list", ok=False)
    assert (result.code, "use the kubeconfig that `warmfront up` wrote" in result.err) == (1, True)
