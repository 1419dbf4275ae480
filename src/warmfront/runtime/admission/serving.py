"""Rules for Services and Revisions, as Knative Serving's webhook has them; those for templates are in `template.py`."""

from warmfront.kube.resources import Json, labels_of
from warmfront.runtime.admission.annotations import check_revision_annotations, check_service_annotations
from warmfront.runtime.admission.findings import NAME_RULE, Findings, is_name
from warmfront.runtime.admission.template import admit_template
from warmfront.runtime.serving.objects import DEFAULT_TRAFFIC

_TRAFFIC_FIELDS = ("revisionName", "latestRevision", "percent", "tag", "configurationName")


def admit_service(service: Json, old: Json | None, findings: Findings) -> None:
    """Fill in Knative's defaults and check name, template and traffic."""
    annotations = findings.mapping(service["metadata"], "annotations", "metadata.annotations")
    check_service_annotations(annotations, "metadata.annotations", findings)
    spec = findings.mapping(service, "spec", "spec")
    findings.fields("spec", spec, known=("template", "traffic"))
    template = findings.mapping(spec, "template", "spec.template")
    if not template:
        findings.fault("spec.template", "is missing; it says which image to run")
        return
    admit_template(template, findings)
    _check_template_name(service, template, old, findings)
    spec["traffic"] = _with_defaults(findings.objects(spec, "traffic", "spec.traffic"))
    _check_traffic(spec["traffic"], findings)


def admit_revision(revision: Json, old: Json | None, findings: Findings) -> None:
    """Of a Revision only labels and annotations change, the latter with effect at once."""
    if old is None or revision.get("spec") != old["spec"]:
        findings.fault("spec", "is immutable: change the Service's template, which makes a new Revision")
    elif _bookkeeping(revision) != _bookkeeping(old):
        findings.fault("metadata", "has other ownerReferences or serving.knative.dev labels; these are the platform's")
    elif not findings.faults:
        annotations = revision["metadata"].get("annotations") or {}
        concurrency = old["spec"].get("containerConcurrency", 0)
        check_revision_annotations(annotations, concurrency, "metadata.annotations", findings)


def _bookkeeping(revision: Json) -> tuple[object, ...]:
    labels = {key: value for key, value in labels_of(revision).items() if key.startswith("serving.knative.dev/")}
    return labels, revision["metadata"].get("ownerReferences")


def _check_template_name(service: Json, template: Json, old: Json | None, findings: Findings) -> None:
    """A name given to the next Revision begins with the Service's, and changes whenever the template does."""
    path = "spec.template.metadata.name"
    name = findings.mapping(template, "metadata", "spec.template.metadata").get("name")
    if not name:
        return
    prefix = f"{service['metadata'].get('name')}-"
    if not is_name(name) or not name.startswith(prefix):
        findings.fault(path, f"is {name!r}; it must begin with {prefix!r} and be {NAME_RULE}")
    before = old["spec"]["template"] if old is not None else template
    if (before.get("metadata") or {}).get("name") == name and before != template:
        findings.fault(path, f"is still {name!r} though the template changed; give the new Revision a new name")


def _with_defaults(traffic: list[Json]) -> list[Json]:
    for entry in traffic:
        if not entry.get("revisionName"):
            entry.setdefault("latestRevision", True)
    return traffic or [dict(entry) for entry in DEFAULT_TRAFFIC]


def _check_traffic(traffic: list[Json], findings: Findings) -> None:
    tags = [entry["tag"] for entry in traffic if entry.get("tag")]
    for index, entry in enumerate(traffic):
        path = f"spec.traffic[{index}]"
        findings.fields(path, entry, known=_TRAFFIC_FIELDS)
        findings.integer(entry.get("percent") or 0, f"{path}.percent", 0, 100)
        if bool(entry.get("latestRevision")) == bool(entry.get("revisionName")):
            findings.fault(path, "must have either latestRevision: true or a revisionName")
        tag = entry.get("tag")
        if tag and (not is_name(tag) or tags.count(tag) > 1):
            findings.fault(f"{path}.tag", f"is {tag!r}; tags are unique and {NAME_RULE}")
    shares = [entry["percent"] for entry in traffic if entry.get("percent")]
    if shares != [100]:
        findings.refuse("spec.traffic", f"a split of {shares or 'no'} percent; give one revision 100 and tagged ones 0")
