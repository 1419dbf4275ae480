"""What a check of an object found, and small checks that every kind shares.

What must not live here: rules of any one kind.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from warmfront.errors import InvalidRequest
from warmfront.kube.resources import Json, Resource

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """An object fit to be written. `ignored` are sentences, `unknown` paths of fields that Knative has not either."""

    obj: Json
    ignored: tuple[str, ...]
    unknown: tuple[str, ...]

    def warnings_for(self, *, strict: bool) -> tuple[str, ...]:
        """One sentence per field without effect. `strict`: an unknown field is an InvalidRequest."""
        unknown = tuple(f'unknown field "{path}"' for path in self.unknown)
        if strict and unknown:
            raise InvalidRequest(f"strict decoding error: {', '.join(unknown)}")
        return (*self.ignored, *unknown)


@dataclass(slots=True, kw_only=True)
class Findings:
    """Collects faults, ignored and unknown fields while an object is read."""

    faults: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def fault(self, path: str, text: str) -> None:
        """The object cannot be taken: `path` is where, `text` continues the sentence."""
        self.faults.append(f"{path} {text}")

    def ignore(self, path: str, why: str) -> None:
        """The field is taken but has no effect here."""
        self.ignored.append(f"{path} has no effect in the embedded Knative: {why}")

    def refuse(self, path: str, instead: str) -> None:
        """Knative has it, this runtime has not, and to ignore it would change what the user gets."""
        self.fault(path, f"is not available in the embedded Knative: {instead}")

    def raise_faults(self) -> None:
        """InvalidRequest with all faults, if there are any."""
        if self.faults:
            raise InvalidRequest(f"validation failed: {'; '.join(self.faults)}")

    def fields(
        self,
        path: str,
        obj: Mapping[str, Any],
        *,
        known: Iterable[str],
        ignored: Mapping[str, str] = {},
        refused: Mapping[str, str] = {},
    ) -> None:
        """Sort the object's fields; an empty value (null, false, "", [], {}) asks for nothing and is skipped."""
        for name, value in obj.items():
            if value in (None, False, "", [], {}) or name in known:
                continue
            if name in ignored:
                self.ignore(f"{path}.{name}", ignored[name])
            elif name in refused:
                self.refuse(f"{path}.{name}", refused[name])
            else:
                self.unknown.append(f"{path}.{name}")

    def mapping(self, obj: Mapping[str, Any], key: str, path: str) -> Json:
        """The object at `key`; empty when absent. A fault if it is something else."""
        value = obj.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fault(path, f"is {value!r}; it must be an object")
            return {}
        return value

    def objects(self, obj: Mapping[str, Any], key: str, path: str) -> list[Json]:
        """The list of objects at `key`; empty when absent. A fault if it is something else."""
        value = obj.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.fault(path, f"is {value!r}; it must be a list of objects")
            return []
        return value

    def integer(self, value: object, path: str, low: int, high: int) -> None:
        """A fault unless the value is a whole number within the bounds."""
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fault(path, f"is {value!r}; it must be a whole number from {low} to {high}")


def check_metadata(resource: Resource, obj: Json, findings: Findings) -> None:
    """Name, namespace, labels and annotations have the form that Kubernetes asks for."""
    metadata = obj["metadata"]
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not is_name(name):
        findings.fault("metadata.name", f"is {name!r}; {resource.kind} names are {NAME_RULE}")
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        findings.fault("metadata.namespace", f"is {namespace!r}; it must be of letters, digits and hyphens")
    check_labels(metadata, "metadata", findings)


NAME_RULE = "at most 63 of a-z, 0-9 and hyphens, a letter first, no hyphen last"


def is_name(value: object) -> bool:
    """Whether the value is a DNS label as RFC 1035 has it, what becomes part of a host name."""
    return isinstance(value, str) and _LABEL.fullmatch(value) is not None


def check_labels(metadata: Json, path: str, findings: Findings) -> None:
    """Labels and annotations are strings under qualified names; label values are short and plain."""
    for kind in ("labels", "annotations"):
        for key, value in findings.mapping(metadata, kind, f"{path}.{kind}").items():
            if not _QUALIFIED.fullmatch(key):
                findings.fault(f"{path}.{kind}", f"has the name {key!r}; wanted [PREFIX/]NAME of letters, digits, -_.")
            if not isinstance(value, str):
                findings.fault(f"{path}.{kind}[{key}]", f"is {value!r}; it must be a string, so put it in quotes")
            elif kind == "labels" and not _LABEL_VALUE.fullmatch(value):
                findings.fault(f"{path}.labels[{key}]", f"is {value!r}; at most 63 letters, digits, -_. are allowed")
