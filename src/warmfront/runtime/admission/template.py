"""Rules for a revision template: one container, its probe and environment, its autoscaling annotations.

What may live here: which fields of a pod this runtime honours, ignores with a warning, or refuses.
"""

from typing import Any

from warmfront.kube.resources import Json
from warmfront.runtime.admission.annotations import check_revision_annotations
from warmfront.runtime.admission.findings import Findings, check_labels

DEFAULT_TIMEOUT_S = 300
MAX_TIMEOUT_S = 600
MAX_CONCURRENCY = 1000

_HOST = "a replica is a plain process of this user on this machine"
_SPEC_KNOWN = ("containers", "containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds",
               "serviceAccountName")  # fmt: skip
_SPEC_IGNORED = {
    "idleTimeoutSeconds": "only timeoutSeconds and responseStartTimeoutSeconds are enforced",
    "enableServiceLinks": "there are no service links",
    "automountServiceAccountToken": "a replica gets a kubeconfig exactly when serviceAccountName is set",
    "imagePullSecrets": "images are not pulled",
    **dict.fromkeys(
        ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "schedulerName",
         "priorityClassName", "runtimeClassName", "securityContext", "dnsPolicy", "dnsConfig", "hostAliases",
         "hostNetwork", "hostIPC", "hostPID", "shareProcessNamespace", "preemptionPolicy"),
        _HOST,
    ),
}  # fmt: skip
_SPEC_REFUSED = {
    "volumes": "put files into the function's folder",
    "initContainers": "prepare the function's folder with `warmfront build`",
}
_PROCFILE = "the Procfile in the function's folder says what runs"
_CONTAINER_KNOWN = ("name", "image", "ports", "env", "readinessProbe", "securityContext")
# What the Pod Security Standard `restricted` asks for: every manifest meant for such a cluster carries it, and to name
# each in a warning would bury the warnings that matter. Everything else of a securityContext is named.
_SECURITY_KNOWN = ("runAsNonRoot", "readOnlyRootFilesystem", "seccompProfile", "capabilities")
_SECURITY_IGNORED = dict.fromkeys(("runAsUser", "runAsGroup", "allowPrivilegeEscalation"), _HOST)
_CONTAINER_IGNORED = {
    "resources": "they are not enforced",
    "imagePullPolicy": "images are not pulled",
    "livenessProbe": "a replica is restarted when its process ends",
    "startupProbe": "the readiness probe alone decides",
    **dict.fromkeys(("terminationMessagePath", "terminationMessagePolicy", "lifecycle", "stdin", "tty"), _HOST),
}
_CONTAINER_REFUSED = {
    "command": _PROCFILE,
    "args": f"{_PROCFILE}; use env for settings",
    "workingDir": "a replica runs in the function's folder",
    "envFrom": "write the values into env",
    "volumeMounts": "put files into the function's folder",
    "volumeDevices": "put files into the function's folder",
}
_PROBE_KNOWN = ("httpGet", "tcpSocket", "grpc", "initialDelaySeconds", "timeoutSeconds", "periodSeconds",
                "successThreshold", "failureThreshold")  # fmt: skip
_PROBE_REFUSED = {"exec": "use httpGet, grpc or tcpSocket"}


def admit_template(template: Json, findings: Findings) -> None:
    """Fill in Knative's defaults and check everything in the template but its name."""
    findings.fields("spec.template", template, known=("metadata", "spec"))
    path = "spec.template.spec"
    spec = findings.mapping(template, "spec", path)
    findings.fields(path, spec, known=_SPEC_KNOWN, ignored=_SPEC_IGNORED, refused=_SPEC_REFUSED)
    _admit_limits(spec, path, findings)
    containers = findings.objects(spec, "containers", f"{path}.containers")
    if len(containers) == 1:
        _admit_container(containers[0], f"{path}.containers[0]", findings)
    elif containers:
        findings.refuse(f"{path}.containers", f"{len(containers)} of them; run one")
    else:
        findings.fault(f"{path}.containers", "is missing; give one container with an image")
    _check_metadata(template, spec, findings)


def _admit_limits(spec: Json, path: str, findings: Findings) -> None:
    spec.setdefault("containerConcurrency", 0)
    spec["timeoutSeconds"] = spec.get("timeoutSeconds") or DEFAULT_TIMEOUT_S
    spec.setdefault("enableServiceLinks", False)
    findings.integer(spec["containerConcurrency"], f"{path}.containerConcurrency", 0, MAX_CONCURRENCY)
    findings.integer(spec["timeoutSeconds"], f"{path}.timeoutSeconds", 1, MAX_TIMEOUT_S)
    first_byte = spec.get("responseStartTimeoutSeconds")
    if first_byte and isinstance(spec["timeoutSeconds"], int):
        findings.integer(first_byte, f"{path}.responseStartTimeoutSeconds", 1, spec["timeoutSeconds"])


def _admit_container(container: Json, path: str, findings: Findings) -> None:
    container["name"] = container.get("name") or "user-container"
    container.setdefault("resources", {})
    findings.fields(path, container, known=_CONTAINER_KNOWN, ignored=_CONTAINER_IGNORED, refused=_CONTAINER_REFUSED)
    security = findings.mapping(container, "securityContext", f"{path}.securityContext")
    findings.fields(f"{path}.securityContext", security, known=_SECURITY_KNOWN, ignored=_SECURITY_IGNORED)
    image = container.get("image")
    if not image or not isinstance(image, str):
        findings.fault(f"{path}.image", f"is {image!r}; name the image, whose last part names the function's folder")
    _check_ports(findings.objects(container, "ports", f"{path}.ports"), f"{path}.ports", findings)
    _check_env(findings.objects(container, "env", f"{path}.env"), f"{path}.env", findings)
    probe = findings.mapping(container, "readinessProbe", f"{path}.readinessProbe")
    findings.fields(f"{path}.readinessProbe", probe, known=_PROBE_KNOWN, refused=_PROBE_REFUSED)
    if not any(kind in probe for kind in ("httpGet", "tcpSocket", "exec", "grpc")):
        probe["tcpSocket"] = {"port": 0}
    for kind in ("httpGet", "grpc"):
        findings.mapping(probe, kind, f"{path}.readinessProbe.{kind}")
    if isinstance(probe.get("httpGet"), dict):
        probe["httpGet"].setdefault("port", 0)
    probe.setdefault("successThreshold", 1)
    container["readinessProbe"] = probe


def _check_ports(ports: list[Json], path: str, findings: Findings) -> None:
    if len(ports) > 1:
        findings.fault(path, f"has {len(ports)} entries; a revision has one port")
    for index, port in enumerate(ports):
        here = f"{path}[{index}]"
        findings.fields(here, port, known=("name", "containerPort", "protocol"))
        findings.integer(port.get("containerPort") or 8080, f"{here}.containerPort", 1, 65535)
        if port.get("name") not in (None, "", "http1", "h2c"):
            findings.fault(f"{here}.name", f"is {port['name']!r}; it must be http1 or h2c")
        if port.get("protocol") not in (None, "", "TCP"):
            findings.fault(f"{here}.protocol", f"is {port['protocol']!r}; it must be TCP")


_RESERVED_ENV = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")


def _check_env(env: list[Json], path: str, findings: Findings) -> None:
    for index, variable in enumerate(env):
        here = f"{path}[{index}]"
        name: Any = variable.get("name")
        findings.fields(
            here, variable, known=("name", "value"), refused={"valueFrom": "give the variable a plain value"}
        )
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            findings.fault(f"{here}.name", f"is {name!r}; it must be the name of an environment variable")
        elif name in _RESERVED_ENV:
            findings.fault(f"{here}.name", f"is {name!r}, which the platform sets itself")
        if not isinstance(variable.get("value", ""), str):
            findings.fault(f"{here}.value", f"is {variable['value']!r}; it must be a string, so put it in quotes")


def _check_metadata(template: Json, spec: Json, findings: Findings) -> None:
    path = "spec.template.metadata"
    metadata = findings.mapping(template, "metadata", path)
    findings.fields(path, metadata, known=("name", "labels", "annotations", "creationTimestamp"))
    check_labels(metadata, path, findings)
    if not findings.faults:
        annotations = metadata.get("annotations") or {}
        check_revision_annotations(annotations, spec["containerConcurrency"], f"{path}.annotations", findings)
