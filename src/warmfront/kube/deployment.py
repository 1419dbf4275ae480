"""What `warmfront deploy` makes of manifests: which objects, in which order, by which command. Pure but for `write`.

`kn` makes Services, Brokers and Triggers as far as it can express them. Everything else, and what is to change on a
Broker or Trigger that is already there, goes to the Kubernetes API: created, or changed by a merge patch. The commands
that a dry run prints do the same by hand.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from warmfront.errors import SetupError
from warmfront.kube import kn
from warmfront.kube.files import load_manifests
from warmfront.kube.kn import Command
from warmfront.kube.resources import (
    BROKERS,
    CONFIGMAPS,
    LEASES,
    SERVICES,
    TRIGGERS,
    Json,
    Resource,
    annotations_of,
    labels_of,
)
from warmfront.kube.text import to_yaml

#: Marks what deploy has created, and so what undeploy may remove.
DEPLOYED_LABEL = "warmfront.dev/deployed"
SELECTOR = "selector"
NAMESPACES = Resource(group="", version="v1", plural="namespaces", kind="Namespace", short=("ns",))
_MIN_SCALE = "autoscaling.knative.dev/min-scale"
_LOCAL_IMAGE = re.compile(r"dev\.local/([^:@]+):([^:@]+)")


def _other(group: str, plural: str, kind: str) -> Resource:
    return Resource(group=group, version="v1", plural=plural, kind=kind, has_status=False)


_RBAC = "rbac.authorization.k8s.io"
# in the order of making: what others refer to comes first
KINDS = (
    _other("", "serviceaccounts", "ServiceAccount"),
    _other(_RBAC, "roles", "Role"),
    _other(_RBAC, "rolebindings", "RoleBinding"),
    CONFIGMAPS,
    LEASES,
    _other("networking.k8s.io", "networkpolicies", "NetworkPolicy"),
    _other("policy", "poddisruptionbudgets", "PodDisruptionBudget"),
    SERVICES,
    BROKERS,
    TRIGGERS,
)
KNATIVE = frozenset({SERVICES, BROKERS, TRIGGERS})
_BY_KIND = {(kind.api_version, kind.kind): kind for kind in KINDS}
# kn looks up a Broker's dead letter sink and a Trigger's subscriber, so these must be there before
_PHASES = {SERVICES: 1, BROKERS: 2, TRIGGERS: 3}
# fields of spec that are replaced as a whole: a filter that is gone from the manifest must not go on filtering
_WHOLE = ("filter", "filters", "delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to make different from the manifests. Scale and policy are the selector's; `registry` and `tag` replace the
    first and the last part of images named dev.local/NAME:TAG.
    """

    min_scale: int | None = None
    policy: str | None = None
    registry: str | None = None
    tag: str | None = None

    @property
    def for_selector(self) -> bool:
        """Whether a selector must be there to be changed."""
        return self.min_scale is not None or self.policy is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One object to be there. `source` is the file that holds this object and no other, unless it was changed."""

    resource: Resource
    obj: Json
    source: Path | None = None

    @property
    def name(self) -> str:
        """The object's name."""
        name: str = self.obj["metadata"]["name"]
        return name

    @property
    def label(self) -> str:
        """`service/selector`: how kn and kubectl call it."""
        return f"{self.resource.kind.lower()}/{self.name}"

    @property
    def phase(self) -> int:
        """Parts of one phase are made together, after those of every lower one."""
        return _PHASES.get(self.resource, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How one part comes about: a command of kn, else `create` or `patch` through the API; with none, nothing to do.

    `mark` says that the label is to be put on afterwards, for kn cannot.
    """

    part: Part
    command: Command | None = None
    create: Json | None = None
    patch: Json | None = None
    mark: bool = False


def parts_of(path: Path, namespace: str, changes: Changes) -> list[Part]:
    """The objects of manifests, in the order of making, each in this namespace. Namespaces themselves are left out.

    Raises:
        SetupError: a file is wrong, a kind is not known, an object is there twice, or there is no selector to change.
    """
    sole = _sole_documents(path)
    parts: list[Part] = []
    for loaded in load_manifests(path):
        if (loaded.get("apiVersion"), loaded["kind"]) == (NAMESPACES.api_version, NAMESPACES.kind):
            continue
        resource = _BY_KIND.get((str(loaded.get("apiVersion")), loaded["kind"]))
        if resource is None:
            raise SetupError(
                f"{loaded['kind']} {loaded['metadata']['name']!r} of {loaded.get('apiVersion')!r} is of a kind unknown "
                f"to deploy; take it out and apply it with kubectl. Known: {', '.join(k.kind for k in KINDS)}"
            )
        obj = _placed(loaded, namespace)
        if resource is SERVICES:
            _change(obj, changes)
        source = next((file for file, document in sole if _placed_alone(document, namespace) == obj), None)
        parts.append(Part(resource=resource, obj=obj, source=source))
    if changes.for_selector and not any(p.resource is SERVICES and p.name == SELECTOR for p in parts):
        raise SetupError(
            f"{path} has no Service {SELECTOR!r} whose scale or policy could be set; add it or leave these out"
        )
    _refuse_twice(path, parts)
    return sorted(parts, key=lambda part: KINDS.index(part.resource))


def _sole_documents(path: Path) -> list[tuple[Path, Json]]:
    files = [path] if path.is_file() else sorted(path.rglob("*.yaml"))
    return [pair for file in files for pair in _sole(file)]


def _sole(file: Path) -> list[tuple[Path, Json]]:
    try:
        objects = load_manifests(file)
    except SetupError:  # a kustomization, a patch: no object to apply
        return []
    return [(file, objects[0])] if len(objects) == 1 else []


def _placed_alone(document: Json, namespace: str) -> Json:
    """The document as kn and kubectl place it: `-n` is all they are told."""
    return {**document, "metadata": {"namespace": namespace, **document["metadata"]}}


def _refuse_twice(path: Path, parts: Sequence[Part]) -> None:
    seen: set[str] = set()
    for part in parts:
        if part.label in seen:
            raise SetupError(f"{path} holds {part.label} twice; take one out")
        seen.add(part.label)


def _placed(loaded: Json, namespace: str) -> Json:
    """The object in a namespace, its subjects too: a ServiceAccount is meant to be the one deployed beside it."""
    obj = deepcopy(loaded)
    obj["metadata"]["namespace"] = namespace
    for subject in obj.get("subjects") or ():
        if subject.get("kind") == "ServiceAccount":
            subject["namespace"] = namespace
    return obj


def _change(service: Json, changes: Changes) -> None:
    template = service["spec"]["template"]
    containers = template["spec"]["containers"]
    for container in containers:
        if match := _LOCAL_IMAGE.fullmatch(container.get("image", "")):
            container["image"] = f"{changes.registry or 'dev.local'}/{match[1]}:{changes.tag or match[2]}"
    if service["metadata"]["name"] != SELECTOR:
        return
    if changes.min_scale is not None:
        annotations = template.setdefault("metadata", {}).setdefault("annotations", {})
        annotations[_MIN_SCALE] = str(changes.min_scale)
    if changes.policy is not None:
        others = [one for one in containers[0].get("env") or () if one["name"] != "WARMFRONT_POLICY"]
        containers[0]["env"] = [*others, {"name": "WARMFRONT_POLICY", "value": changes.policy}]


def plan(part: Part, live: Json | None) -> Step:
    """The step from what is there (None: nothing) to the part. Only what deploy creates is marked as its own."""
    namespace = part.obj["metadata"]["namespace"]
    ours = live is None or DEPLOYED_LABEL in labels_of(live)
    if part.resource is SERVICES:
        label = f"{DEPLOYED_LABEL}=true" if ours else ""
        return Step(part=part, command=kn.apply_service(part.obj, namespace, source=part.source, label=label))
    if live is not None:
        return Step(part=part, patch=difference(live, part.obj))
    made = {BROKERS: kn.create_broker, TRIGGERS: kn.create_trigger}.get(part.resource)
    command = made(part.obj, namespace) if made else None
    if command is not None:
        return Step(part=part, command=command, mark=True)
    return Step(part=part, create=_marked(part.obj))


def _marked(obj: Json) -> Json:
    metadata = {**obj["metadata"], "labels": {**labels_of(obj), DEPLOYED_LABEL: "true"}}
    return {**obj, "metadata": metadata}


def difference(live: Json, wanted: Json) -> Json | None:
    """The merge patch (RFC 7386) that makes `live` say what `wanted` says, or None when it does.

    What `wanted` does not name stays as it is, except filters and delivery, which it names as a whole.
    """
    target = {key: value for key, value in wanted.items() if key not in {"apiVersion", "kind", "metadata", "status"}}
    named = {"labels": labels_of(wanted), "annotations": annotations_of(wanted)}
    metadata = {key: value for key, value in named.items() if value}
    spec, there = target.get("spec"), live.get("spec")
    if isinstance(spec, dict) and isinstance(there, dict):
        whole = {field: _whole(there[field], spec.get(field), 2) for field in _WHOLE if there.get(field)}
        target["spec"] = {**spec, **whole}
    patch = _merge_patch(live, {**target, **({"metadata": metadata} if metadata else {})})
    return patch or None


def _whole(there: Any, wanted: Any, depth: int) -> Any:
    """`wanted` with null for every field that is there and not wanted; deeper ones are the API server's defaults."""
    if depth and isinstance(there, dict) and isinstance(wanted, dict):
        return {key: _whole(there.get(key), wanted.get(key), depth - 1) for key in {**there, **wanted}}
    return wanted


def _merge_patch(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Json:
    patch: Json = {}
    for key, value in wanted.items():
        there = live.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            if below := _merge_patch(there, value):
                patch[key] = below
        elif value != there:
            patch[key] = value
    return patch


def commands_of(steps: Iterable[Step], namespace: str, *, wait_s: float) -> list[str]:
    """The shell commands that bring about what deploy does, to the wait for Ready."""
    lines: list[str] = []
    to_mark: list[str] = []
    steps = list(steps)
    argv: tuple[str, ...]
    for step in steps:
        part = step.part
        if step.command is not None:
            lines.append(step.command.shell)
        elif step.create is not None:
            lines.append(_apply(part, namespace).shell)
        elif step.patch is not None:
            text = msgspec.json.encode(step.patch).decode()
            argv = ("kubectl", "patch", part.resource.id, part.name, "-n", namespace, "--type", "merge", "-p", text)
            lines.append(Command(argv=argv).shell)
        if step.mark or step.create is not None:
            to_mark.append(f"{part.resource.id}/{part.name}")
    if to_mark:
        argv = ("kubectl", "label", "-n", namespace, *to_mark, f"{DEPLOYED_LABEL}=true")
        lines.append(Command(argv=argv).shell)
    waited = [f"{s.part.resource.id}/{s.part.name}" for s in steps if s.part.resource in KNATIVE]
    if waited:
        timeout = f"--timeout={wait_s:g}s"
        argv = ("kubectl", "wait", "-n", namespace, "--for=condition=Ready", timeout, *waited)
        lines.append(Command(argv=argv).shell)
    return lines


def _apply(part: Part, namespace: str) -> Command:
    file, stdin = (str(part.source), "") if part.source else ("-", to_yaml(part.obj))
    return Command(argv=("kubectl", "apply", "-n", namespace, "-f", file), stdin=stdin)


def write(parts: Sequence[Part], namespace: str, folder: Path) -> list[Path]:
    """Write one file per object and a kustomization that lists them, for GitOps. Files of other names stay."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for part in parts:
        file = folder / f"{part.resource.kind.lower()}-{part.name}.yaml"
        file.write_text(to_yaml(part.obj), encoding="utf-8")
        written.append(file)
    listing = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [file.name for file in written],
    }
    kustomization = folder / "kustomization.yaml"
    kustomization.write_text(to_yaml(listing), encoding="utf-8")
    return [*written, kustomization]
