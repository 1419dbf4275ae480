"""What may enter the store: defaults filled in and rules checked, as Knative's webhooks do, before a write.

What the embedded Knative has not is refused here or named in a warning, never dropped in silence.
"""

from collections.abc import Callable
from copy import deepcopy

from warmfront.kube.resources import BROKERS, CONFIGMAPS, LEASES, REVISIONS, SERVICES, TRIGGERS, Json, Resource
from warmfront.runtime.admission.coordination import admit_config_map, admit_lease
from warmfront.runtime.admission.eventing import admit_broker, admit_trigger
from warmfront.runtime.admission.findings import Admission, Findings, check_metadata
from warmfront.runtime.admission.serving import admit_revision, admit_service

__all__ = ["Admission", "admit"]

_Rule = Callable[[Json, Json | None, Findings], None]


def admit(resource: Resource, obj: Json, old: Json | None) -> Admission:
    """The object to write in place of `old` (None: a new one), with what it asks for in vain.

    Raises InvalidRequest with every fault at once. `obj` is not changed.
    """
    obj = deepcopy(obj)
    findings = Findings()
    check_metadata(resource, obj, findings)
    _RULES[resource](obj, old, findings)
    findings.raise_faults()
    return Admission(obj=obj, ignored=tuple(findings.ignored), unknown=tuple(findings.unknown))


_RULES: dict[Resource, _Rule] = {
    SERVICES: admit_service,
    REVISIONS: admit_revision,
    BROKERS: admit_broker,
    TRIGGERS: admit_trigger,
    LEASES: admit_lease,
    CONFIGMAPS: admit_config_map,
}
