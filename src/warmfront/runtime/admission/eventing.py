"""Rules for Brokers and Triggers. Filters and deliveries are read as the delivery itself will read them."""

from collections.abc import Callable

from warmfront.errors import InvalidRequest
from warmfront.kube.resources import Json, annotations_of
from warmfront.runtime.admission.findings import Findings
from warmfront.runtime.eventing.delivery_spec import read_delivery
from warmfront.runtime.eventing.filters import compile_filter

BROKER_CLASS = "eventing.knative.dev/broker.class"
BROKER_LABEL = "eventing.knative.dev/broker"
DEFAULT_CLASS = "MTChannelBasedBroker"


def admit_broker(broker: Json, old: Json | None, findings: Findings) -> None:
    """Fill in the class and check the delivery."""
    annotations = findings.mapping(broker["metadata"], "annotations", "metadata.annotations")
    annotations.setdefault(BROKER_CLASS, DEFAULT_CLASS)
    broker["metadata"]["annotations"] = annotations
    if old is not None and annotations_of(old).get(BROKER_CLASS) != annotations[BROKER_CLASS]:
        findings.fault(f"metadata.annotations[{BROKER_CLASS}]", "is immutable: delete the Broker and create it anew")
    spec = findings.mapping(broker, "spec", "spec")
    broker["spec"] = spec
    ignored = {"config": "events are kept in the runtime's own journal"}
    findings.fields("spec", spec, known=("delivery",), ignored=ignored)
    _try(lambda: read_delivery({}, spec), findings)


def admit_trigger(trigger: Json, old: Json | None, findings: Findings) -> None:
    """Fill in Broker, its label and the subscriber's namespace; check subscriber, filters and delivery."""
    metadata, spec = trigger["metadata"], findings.mapping(trigger, "spec", "spec")
    trigger["spec"] = spec
    spec["broker"] = spec.get("broker") or "default"
    metadata["labels"] = {**findings.mapping(metadata, "labels", "metadata.labels"), BROKER_LABEL: spec["broker"]}
    findings.fields("spec", spec, known=("broker", "filter", "filters", "subscriber", "delivery"))
    if old is not None and old["spec"].get("broker") != spec["broker"]:
        findings.fault("spec.broker", "is immutable: delete the Trigger and create it anew")
    subscriber = findings.mapping(spec, "subscriber", "spec.subscriber")
    findings.fields("spec.subscriber", subscriber, known=("ref", "uri"))
    ref = findings.mapping(subscriber, "ref", "spec.subscriber.ref")
    if ref:
        ref.setdefault("namespace", metadata.get("namespace"))
        missing = [field for field in ("apiVersion", "kind", "name") if not ref.get(field)]
        if missing:
            findings.fault("spec.subscriber.ref", f"lacks {', '.join(missing)}")
    elif not subscriber.get("uri"):
        findings.fault("spec.subscriber", "is missing; give a ref to a Service or Broker, or a uri")
    _try(lambda: compile_filter(spec), findings)
    _try(lambda: read_delivery(spec, {}), findings)


def _try(read: Callable[[], object], findings: Findings) -> None:
    try:
        read()
    except InvalidRequest as error:
        findings.fault("spec:", str(error))
