"""The files in knative/ as people apply them, by kubectl and by kn, and what they really grant on a real Knative."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from warmfront.kube.files import load_manifests

from .conftest import IMAGES, ROOT, Cluster, ask, until

pytestmark = pytest.mark.cluster

KNATIVE = ROOT / "knative"
SERVICES = sorted(
    str(file.relative_to(KNATIVE))
    for file in KNATIVE.joinpath("base").rglob("*.yaml")
    if "serving.knative.dev/v1\nkind: Service\n" in file.read_text()
)


def overlay_of(resource: str, folder: Path, namespace: str, components: tuple[str, ...] = ()) -> Path:
    """A kustomization as a user writes one: their namespace and registry, the rest is ours."""
    names = [file.name for file in ROOT.glob("functions/*/")] + ["selector_fn"]
    images = []
    for name in (name.replace("_", "-") for name in names):
        repository, _, tag = IMAGES.format(name).rpartition(":")
        images.append({"name": f"dev.local/{name}", "newName": repository, "newTag": tag})
    content = {
        "resources": [os.path.relpath(KNATIVE / resource, folder)],
        "components": [os.path.relpath(KNATIVE / component, folder) for component in components],
        "namespace": namespace,
        "images": images,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder


def rights(cluster: Cluster) -> set[tuple[str, str, str]]:
    """What the selector's account may do beyond what a bare one may: resource (or path), name, verb."""
    return _listed(cluster, "warmfront-selector") - _listed(cluster, "default")


def _listed(cluster: Cluster, account: str) -> set[tuple[str, str, str]]:
    subject = f"system:serviceaccount:{cluster.namespace}:{account}"
    listed = cluster.kubectl("auth", "can-i", "--list", "--no-headers", f"--as={subject}")
    found: set[tuple[str, str, str]] = set()
    for line in listed.splitlines():
        resource = line.partition(" ")[0]
        paths, names, verbs = re.findall(r"\[(.*?)\]", line)
        found |= {(resource or paths, name, verb) for name in names.split() or [""] for verb in verbs.split()}
    return found


BASE_RIGHTS = {
    *(("services.serving.knative.dev", "", verb) for verb in ("get", "list", "watch")),
    *(("revisions.serving.knative.dev", "", verb) for verb in ("get", "list", "watch")),
    *(("podautoscalers.autoscaling.internal.knative.dev", "", verb) for verb in ("get", "list", "watch")),
    *(("endpointslices.discovery.k8s.io", "", verb) for verb in ("get", "list", "watch")),
    *(("leases.coordination.k8s.io", "warmfront-selector", verb) for verb in ("get", "patch", "update")),
    *(("configmaps", "warmfront-learned", verb) for verb in ("get", "patch", "update")),
}


KEEP_WARM = ("revisions.serving.knative.dev", "", "patch")
TRIGGER_DEFAULTS = ("triggers.eventing.knative.dev", "", "list")


@pytest.mark.parametrize(
    ("components", "granted"),
    [
        ([], set()),
        (["keep-warm"], {KEEP_WARM}),
        (["trigger-defaults"], {TRIGGER_DEFAULTS}),
        (["keep-warm", "trigger-defaults"], {KEEP_WARM, TRIGGER_DEFAULTS}),
    ],
)
def test_the_selector_may_do_this_and_nothing_else(
    cluster: Cluster, components: list[str], granted: set[tuple[str, str, str]]
) -> None:
    """`kubectl auth can-i --list` shows what a bare account has, the base's rights, and one for each component."""
    files = [KNATIVE / "base/rbac.yaml", *(KNATIVE / "components" / name / "role.yaml" for name in components)]
    roles = [obj for file in files for obj in load_manifests(file)]
    cluster.apply(roles)
    try:
        until("the rights", lambda: rights(cluster) >= BASE_RIGHTS | granted)
        assert rights(cluster) == BASE_RIGHTS | granted
    finally:
        names = [f"{obj['kind']}/{obj['metadata']['name']}" for obj in roles if obj["kind"].startswith("Role")]
        cluster.kubectl("delete", *names)


@pytest.mark.parametrize("resource", [".", "base", "overlays/minimal", "overlays/production"])
def test_the_api_server_takes_every_object(cluster: Cluster, resource: str, tmp_path: Path) -> None:
    """Each kustomization builds, and nothing in it is refused or unknown to the API server."""
    folder = overlay_of(resource, tmp_path, cluster.namespace)
    # a dry run of a Service asks whether its pod would be admitted, and so wants its account to be there
    cluster.apply(load_manifests(KNATIVE / "base/rbac.yaml"))
    said = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-k", str(folder))
    assert "service.serving.knative.dev/selector" in said
    assert ("broker.eventing.knative.dev/default" in said) is (resource != "overlays/minimal")
    assert ("poddisruptionbudget.policy/selector" in said) is (resource == "overlays/production")


def test_production_runs_and_grants_what_it_says(cluster: Cluster, tmp_path: Path) -> None:
    """`kubectl apply -k` brings up two selectors that route, variants without an outside address, and these rights.

    Applied a second time it changes nothing that runs.
    """
    folder = str(overlay_of("overlays/production", tmp_path, cluster.namespace, ("components/keep-warm",)))
    cluster.kubectl("apply", "-k", folder)
    cluster.wait_ready(
        "ksvc/selector", *(f"ksvc/langid-{name}" for name in ("cld2", "fasttext", "py3langid", "lingua"))
    )
    assert rights(cluster) == BASE_RIGHTS | {KEEP_WARM}
    until("two selectors", lambda: _running(cluster, "selector") == 2)
    selector, variant = cluster.outside("selector"), cluster.outside("langid-cld2")
    reply = ask(f"{selector}/tasks/langid", b"Where is the station, please?")
    assert (reply.status, b'"en"' in reply.body) == (200, True)
    assert variant == cluster.inside("langid-cld2")
    assert ask(selector.replace("selector.", "langid-cld2.", 1), b"text").status == 404
    cluster.kubectl("apply", "-k", folder)
    generations = cluster.kubectl("get", "ksvc", "-o", "jsonpath={.items[*].metadata.generation}")
    assert set(generations.split()) == {"1"}


def _running(cluster: Cluster, service: str) -> int:
    phases = cluster.kubectl(
        "get", "pods", "-l", f"serving.knative.dev/service={service}", "-o", "jsonpath={.items[*].status.phase}"
    )
    return phases.split().count("Running")


@pytest.mark.parametrize("file", SERVICES)
def test_kn_applies_every_service(cluster: Cluster, file: str) -> None:
    """`kn service apply -f FILE` makes the same object of a file as kubectl does: labels, annotations, template."""
    (wanted,) = load_manifests(KNATIVE / file)
    name = wanted["metadata"]["name"]
    command = ["kn", "service", "apply", name, "-f", str(KNATIVE / file), "-n", cluster.namespace, "--no-wait"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    there = yaml.safe_load(cluster.kubectl("get", "ksvc", name, "-o", "yaml"))
    for part in ("labels", "annotations"):
        assert (wanted["metadata"].get(part) or {}).items() <= (there["metadata"].get(part) or {}).items()
    template, made = wanted["spec"]["template"], there["spec"]["template"]
    assert template["metadata"]["annotations"].items() <= made["metadata"]["annotations"].items()
    (container,) = made["spec"]["containers"]
    assert container["image"] == template["spec"]["containers"][0]["image"]
    assert container["securityContext"] == template["spec"]["containers"][0]["securityContext"]
