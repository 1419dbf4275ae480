"""Which annotations of Knative's mean something here. Those of anybody else are none of this runtime's business."""

from collections.abc import Mapping

from warmfront.autoscaling import ScalingSpec
from warmfront.errors import InvalidRequest
from warmfront.runtime.admission.findings import Findings

AUTOSCALING = "autoscaling.knative.dev/"
_BOOKKEEPING = frozenset(
    f"serving.knative.dev/{name}" for name in ("creator", "lastModifier", "routes", "routingStateModified")
)
_REVISION = _BOOKKEEPING | {"serving.knative.dev/progress-deadline"}


def check_revision_annotations(
    annotations: Mapping[str, str], container_concurrency: int, path: str, findings: Findings
) -> None:
    """Read autoscaling annotations here as the autoscaler will, so that they cannot fail there."""
    try:
        ScalingSpec.from_annotations(annotations, container_concurrency)
    except InvalidRequest as error:
        findings.fault(f"{path}:", str(error))
    for key in annotations:
        if not (_is_autoscaling(key) if key.startswith(AUTOSCALING) else _has_effect(key, _REVISION)):
            findings.ignore(f"{path}[{key}]", "nothing reads it")


def check_service_annotations(annotations: Mapping[str, str], path: str, findings: Findings) -> None:
    """A Service's own annotations are not its Revisions': autoscaling is asked for in the template."""
    for key in annotations:
        if key.startswith(AUTOSCALING):
            findings.fault(f"{path}[{key}]", "must be put under spec.template.metadata.annotations to work")
        elif not _has_effect(key, _BOOKKEEPING):
            findings.ignore(f"{path}[{key}]", "nothing reads it")


def _has_effect(key: str, known: frozenset[str]) -> bool:
    domain = key.partition("/")[0]
    return key in known or not domain.endswith("knative.dev") or domain == "client.knative.dev"


def _is_autoscaling(key: str) -> bool:
    """Whether the autoscaler reads the annotation: then, and only then, it has something against an empty value."""
    try:
        ScalingSpec.from_annotations({key: ""}, 0)
    except InvalidRequest:
        return True
    return False
