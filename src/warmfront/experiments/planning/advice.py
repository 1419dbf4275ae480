"""A candidate as what an operator applies: patches of Services, kn commands, manifests. Pure."""

import shlex
from collections.abc import Mapping
from typing import Any

from warmfront.experiments.planning.candidates import SCALING, Candidate, Setting
from warmfront.kube.resources import SERVICES

Object = dict[str, Any]


def setting_of(service: Mapping[str, Any]) -> Setting:
    """How a Service scales now; what it does not say is Knative's default."""
    template = service["spec"].get("template") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return Setting.read(annotations, int((template.get("spec") or {}).get("containerConcurrency") or 0))


def changes(now: Candidate, wanted: Candidate) -> dict[str, Setting]:
    """The variants whose setting is another one, and which."""
    before = dict(now.settings)
    return {name: setting for name, setting in wanted.settings if before.get(name) != setting}


def patch(setting: Setting) -> Object:
    """The merge patch of a Service, of which a new Revision comes; a Revision's name of one's own must go for that."""
    return {"spec": {"template": {"metadata": {"name": None, **_metadata(setting)}, **_spec(setting)}}}


def manifest(name: str, setting: Setting) -> Object:
    """The part of a Service's manifest that says the same."""
    template = {"metadata": _metadata(setting), **_spec(setting)}
    return {
        "apiVersion": SERVICES.api_version, "kind": SERVICES.kind, "metadata": {"name": name},
        "spec": {"template": template},
    }  # fmt: skip


def kn(name: str, setting: Setting, namespace: str = "") -> str:
    """The kn command that does the same."""
    words = [
        "kn", "service", "update", name, *(["-n", namespace] if namespace else []), "--scale-min",
        str(setting.min_scale), "--scale-window", f"{setting.window_s}s", "--concurrency-limit",
        str(setting.concurrency),
    ]  # fmt: skip
    return shlex.join(words)


def _metadata(setting: Setting) -> Object:
    values = {f"{SCALING}min-scale": str(setting.min_scale), f"{SCALING}window": f"{setting.window_s}s"}
    return {"annotations": values}


def _spec(setting: Setting) -> Object:
    return {"spec": {"containerConcurrency": setting.concurrency}}
