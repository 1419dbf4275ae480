"""What Knative and Kubernetes complain of, and what to do about it. Pure.

The platform's own words come first in every message; the remedy is what people who met them before did.
"""

import re
from collections.abc import Sequence

from warmfront.kube.resources import Json, condition_of

_IMAGE = (
    "the nodes cannot get the image: build it (`warmfront build --images`), then load or push it under that very name; "
    "Knative looks dev.local/ names up in no registry, so such an image must be on the nodes"
)
_ZERO_SCALE = (
    "allow it once per cluster: kubectl patch configmap/config-autoscaler -n knative-serving "
    '--type merge -p \'{"data":{"allow-zero-initial-scale":"true"}}\''
)
_ROOM = "nodes or quota have no room: see `kubectl describe nodes`; lower the memory request or scale something down"
_EXIT = (
    "the container ends; see why: kubectl logs -n {namespace} -l serving.knative.dev/service={name} -c user-container"
)
# (what is found in reason and message, what to do); the first that matches counts
_REMEDIES = (
    (r"initial-scale", _ZERO_SCALE),
    (r"ImagePull|ErrImage|fetch image|manifest unknown|resolve image|InvalidImageName", _IMAGE),
    (r"PodSecurity", "the namespace enforces a Pod Security Standard: see `kubectl describe namespace {namespace}`"),
    (r"exceeded quota|Insufficient|Unschedulable|nodes are available", _ROOM),
    (r"ExitCode|CrashLoop|exited|[Cc]ontainer failed", _EXIT),
    (r"[Ss]ervice ?[Aa]ccount", "apply the ServiceAccount of knative/base/rbac.yaml in the same namespace"),
    (r"[Ff]orbidden", "you may not: see `warmfront doctor`, and ask who runs the cluster for the role"),
    (r"could not find the requested resource", "install Knative: https://knative.dev/docs/install/"),
    (r"[Dd]ead ?[Ll]etter", "the Broker's dead letter sink must be there and Ready: see its Service"),
    (r"[Ss]ubscriber", "the Trigger's subscriber must be there and Ready: see its Service"),
    (r"warmfront build", ""),  # the message tells it
)
_FALLBACK = {
    "Service": "see `kn service describe {name} -n {namespace}` and `kubectl get pods -n {namespace}`",
    "Broker": "see `kn broker describe {name} -n {namespace}`; a Broker whose class no controller serves stays so",
    "Trigger": "see `kn trigger describe {name} -n {namespace}`",
}


def remedy(kind: str, namespace: str, name: str, message: str) -> str:
    """What to do about a message on an object; empty when the message tells it itself."""
    found = next((text for pattern, text in _REMEDIES if re.search(pattern, message)), None)
    text = _FALLBACK.get(kind, "") if found is None else found
    return text.replace("{namespace}", namespace).replace("{name}", name)


def standing(obj: Json) -> tuple[bool | None, str]:
    """Whether an object is Ready, and what it says. None: not known yet, for its controller has not seen its spec."""
    status = obj.get("status") or {}
    ready = condition_of(obj, "Ready")
    if ready is None or status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return None, "waiting for its controller"
    said = ": ".join(filter(None, (ready.get("reason"), ready.get("message")))).strip()
    return {"True": True, "False": False}.get(ready["status"]), said


def of_pods(pods: Sequence[Json]) -> str:
    """Why pods do not start, in the kubelet's or the scheduler's words; empty when they say nothing."""
    for pod in pods:
        status = pod.get("status") or {}
        for container in status.get("containerStatuses") or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
                return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
            ended = (container.get("lastState") or {}).get("terminated") or {}
            if ended.get("exitCode"):
                return (
                    f"container {container['name']} exited with {ended['exitCode']} {ended.get('message', '')}".rstrip()
                )
        scheduled = condition_of(pod, "PodScheduled") or {}
        if scheduled.get("status") == "False":
            return f"{scheduled.get('reason', 'Unschedulable')}: {scheduled.get('message', '')}"
    return ""
