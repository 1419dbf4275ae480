"""Knative objects to domain records. Pure: no connection, no clock, no file.

A Service is a variant when it carries the label `warmfront.dev/task`; everything else about it has a default. KServe
puts an InferenceService's labels on the predictor's Service, its annotations on that Service's template.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from warmfront.domain import Profile, Spread, Variant
from warmfront.errors import InvalidRequest
from warmfront.kube.resources import condition_of, labels_of

TASK_LABEL = "warmfront.dev/task"
PROFILE = "warmfront.dev/profile"
PROTOCOLS = "warmfront.dev/protocols"
KSERVE_LABEL = "serving.kserve.io/inferenceservice"
_COMPONENT = "component"
_MAX_SCALE = "autoscaling.knative.dev/max-scale"
_PROFILE_FIELDS = {"accuracy", "accuracy_by_bytes", "latency_s", "cold_start_s", "memory_mb"}
KNOWN_PROTOCOLS = (
    "cloudevents",
    "raw",
    "open-inference",
    "open-inference-grpc",
    "tensorflow-serving",
    "tensorflow-serving-grpc",
    "kserve-v1",
    "sagemaker",
)

Object = Mapping[str, Any]


def variant_of(service: Object) -> Variant:
    """The variant that a labelled Knative Service is, at its latest ready revision.

    Raises:
        InvalidRequest: an annotation breaks its rule; the message names Service, annotation, value and rule.
    """
    metadata, status = service["metadata"], service.get("status") or {}
    template = service["spec"].get("template") or {}
    bounds = (template.get("metadata") or {}).get("annotations") or {}
    annotations = {**bounds, **(metadata.get("annotations") or {})}
    name = metadata["name"]
    if component := _beside_the_predictor(service):
        raise InvalidRequest(
            f"Service {name}: is the {component} of an InferenceService; its predictor alone can be a variant: "
            f"put the label {TASK_LABEL} into spec.predictor.labels"
        )
    protocols = ("open-inference",) if KSERVE_LABEL in labels_of(service) else ("cloudevents", "raw")
    return Variant(
        name=name_of(service),
        task=metadata["labels"][TASK_LABEL],
        revision=status.get("latestReadyRevisionName") or "",
        url=(status.get("address") or {}).get("url") or status.get("url") or "",
        protocols=_protocols(name, annotations.get(PROTOCOLS)) or protocols,
        profile=_profile(name, annotations.get(PROFILE)),
        concurrency=int((template.get("spec") or {}).get("containerConcurrency") or 0),
        max_replicas=_max_scale(name, bounds.get(_MAX_SCALE, "0")),
    )


def name_of(service: Object) -> str:
    """How the variant is called: as its Service, or as the InferenceService whose predictor it is.

    KServe's model servers answer to the latter: it is the model's name in `/v2/models/NAME/infer`.
    """
    labels = labels_of(service)
    predictor = KSERVE_LABEL in labels and not _beside_the_predictor(service)
    return str(labels[KSERVE_LABEL] if predictor else service["metadata"]["name"])


def _beside_the_predictor(service: Object) -> str:
    """`transformer` or `explainer` when the Service is that part of an InferenceService."""
    labels = labels_of(service)
    component = labels.get(_COMPONENT, "") if KSERVE_LABEL in labels else ""
    return "" if component == "predictor" else component


def availability(service: Object) -> tuple[bool, str]:
    """Whether the Service can take requests, and if not, why in the platform's own words.

    A Service whose *new* revision fails still serves by its last ready one; one that has none, or whose only
    revision is broken, cannot. Never started with `initial-scale: "0"` is cold, not broken.
    """
    status = service.get("status") or {}
    ready = condition_of(service, "Ready") or {}
    latest = status.get("latestReadyRevisionName")
    said = ready.get("message") or ready.get("reason") or "not ready yet"
    if not latest or not (status.get("url") or (status.get("address") or {}).get("url")):
        return False, said
    if ready.get("status") == "False" and status.get("latestCreatedRevisionName", latest) == latest:
        return False, said
    return True, ""


def parse_profile(text: str) -> Profile:
    """The profile annotation's JSON (docs/design.md 3.1). Raises ValueError that names the field and the rule."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from error
    if not isinstance(raw, dict):
        raise ValueError(f"is a {type(raw).__name__}; wanted a JSON object")  # noqa: TRY004 - one error for bad text
    if unknown := sorted(set(raw) - _PROFILE_FIELDS):
        raise ValueError(f"has unknown fields {unknown}; known are {sorted(_PROFILE_FIELDS)}")
    latency = raw.get("latency_s") or {}
    try:
        return Profile(
            accuracy=_number(raw.get("accuracy")),
            accuracy_by_bytes=tuple((int(size), float(share)) for size, share in raw.get("accuracy_by_bytes") or ()),
            latency_s=_spread(latency),
            latency_per_kib_s=float(latency.get("per_kib", 0.0)),
            cold_start_s=_spread(raw.get("cold_start_s") or {}),
            memory_mb=_number(raw.get("memory_mb")),
        )
    except (TypeError, AttributeError) as error:
        raise ValueError(f"has a value of the wrong type ({error})") from error


def profile_json(profile: Profile) -> str:
    """The annotation text of a profile: `parse_profile` of it gives the same profile."""
    latency: dict[str, float] = {}
    if profile.latency_s:
        latency = {"p50": profile.latency_s.p50, "p95": profile.latency_s.p95}
    if profile.latency_per_kib_s:
        latency["per_kib"] = profile.latency_per_kib_s
    cold = profile.cold_start_s
    fields: dict[str, Any] = {
        "accuracy": profile.accuracy,
        "accuracy_by_bytes": [list(point) for point in profile.accuracy_by_bytes],
        "latency_s": latency,
        "cold_start_s": {"p50": cold.p50, "p95": cold.p95} if cold else None,
        "memory_mb": profile.memory_mb,
    }
    return json.dumps({name: value for name, value in fields.items() if value not in (None, [], {})})


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _spread(value: Mapping[str, Any]) -> Spread | None:
    if "p50" not in value:
        return None
    return Spread(p50=float(value["p50"]), p95=float(value.get("p95", value["p50"])))


def _profile(name: str, text: str | None) -> Profile:
    if not text:
        return Profile()
    try:
        return parse_profile(text)
    except ValueError as error:
        raise InvalidRequest(f"Service {name}: annotation {PROFILE} {error}") from error


def _protocols(name: str, text: str | None) -> tuple[str, ...]:
    if not text:
        return ()
    protocols = tuple(part.strip() for part in text.split(",") if part.strip())
    if unknown := [p for p in protocols if p not in KNOWN_PROTOCOLS]:
        raise InvalidRequest(
            f"Service {name}: annotation {PROTOCOLS} names {unknown}; known are {', '.join(KNOWN_PROTOCOLS)}"
        )
    return protocols


def _max_scale(name: str, text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise InvalidRequest(f"Service {name}: annotation {_MAX_SCALE} is {text!r}; it must be a whole number")
    return int(text)
