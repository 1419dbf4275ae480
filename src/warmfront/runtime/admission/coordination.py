"""Rules for Leases and ConfigMaps: what selectors agree by and remember in. Nothing here acts on their content."""

import re

from warmfront.kube.resources import Json
from warmfront.runtime.admission.findings import Findings

_LEASE_FIELDS = ("holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions")
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MAX_BYTES = 1024 * 1024  # Kubernetes' bound on a ConfigMap


def admit_lease(lease: Json, _: Json | None, findings: Findings) -> None:
    """Times with microseconds, a duration of whole seconds."""
    spec = findings.mapping(lease, "spec", "spec")
    findings.fields("spec", spec, known=_LEASE_FIELDS)
    for name, low in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
        if spec.get(name) is not None:
            findings.integer(spec[name], f"spec.{name}", low, 2**31 - 1)
    for name in ("acquireTime", "renewTime"):
        value = spec.get(name)
        if value is not None and not (isinstance(value, str) and _MICRO_TIME.fullmatch(value)):
            findings.fault(f"spec.{name}", f"is {value!r}; it must be such as 2030-01-31T12:00:00.000000Z")


def admit_config_map(config_map: Json, old: Json | None, findings: Findings) -> None:
    """Strings under plain keys, within the size that Kubernetes allows; an immutable one stays as it is."""
    findings.fields(
        "ConfigMap", config_map, known=("apiVersion", "kind", "metadata", "data", "binaryData", "immutable")
    )
    size = 0
    for field in ("data", "binaryData"):
        for key, value in findings.mapping(config_map, field, field).items():
            if not _KEY.fullmatch(key):
                findings.fault(field, f"has the key {key!r}; wanted at most 253 letters, digits, -_.")
            if not isinstance(value, str):
                findings.fault(f"{field}[{key}]", f"is {value!r}; it must be a string, so put it in quotes")
            else:
                size += len(value.encode())
    if size > _MAX_BYTES:
        findings.fault("data", f"holds {size} bytes; at most {_MAX_BYTES} are allowed")
    if old is not None and old.get("immutable") and _content(old) != _content(config_map):
        findings.fault("data", "is immutable by the ConfigMap's own word: delete it and create it anew")


def _content(config_map: Json) -> tuple[object, ...]:
    return tuple(config_map.get(field) for field in ("data", "binaryData", "immutable"))
