"""Objects and events that several tests on a cluster put together: played variants, Triggers, plain requests."""

import json
import uuid

from .conftest import Cluster, Object, Reply, ask, project

REQUEST = "dev.warmfront.inference.request"
RESPONSE = "dev.warmfront.inference.response"
WARM = {"autoscaling.knative.dev/min-scale": "1"}


def by_name(objects: list[Object]) -> dict[tuple[str, str], Object]:
    """Objects by kind and name."""
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}


def renamed(obj: Object, name: str) -> Object:
    """A copy under another name."""
    copy: Object = json.loads(json.dumps(obj))
    copy["metadata"]["name"] = name
    return copy


def dummy(name: str, task: str = "", scale: dict[str, str] | None = None, **settings: str) -> Object:
    """A variant of its own task, or of `task`, played by the dummy model in the shape of a real variant.

    `scale` are annotations of its Revision.
    """
    obj = renamed(by_name(project("langid-cld2"))["Service", "langid-cld2"], name)
    obj["metadata"]["labels"] = {"warmfront.dev/task": task or name}
    obj["metadata"]["annotations"] = {}
    obj["spec"]["template"]["metadata"]["annotations"].update(scale or {})
    (container,) = obj["spec"]["template"]["spec"]["containers"]
    container["image"] = "dev.local/dummy-model-fn:v1"
    container["env"] = [{"name": name, "value": value} for name, value in settings.items()]
    return obj


def trigger(name: str, broker: str, expression: str, service: str) -> Object:
    """What of a Broker's events a Service gets."""
    subscriber = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": service}}
    spec = {"broker": broker, "filters": [{"cesql": expression}], "subscriber": subscriber}
    return {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": {"name": name}, "spec": spec}


def send(broker: str, id_: str, task: str | None, text: str = "Wo ist der Bahnhof, bitte?", **more: str) -> Reply:
    """One request in binary mode, as any HTTP client sends it."""
    attributes = {"specversion": "1.0", "id": id_, "source": "/test", "type": REQUEST, **more}
    if task is not None:
        attributes["subject"] = task
    headers = {f"Ce-{name}": value for name, value in attributes.items()} | {"Content-Type": "text/plain"}
    return ask(broker, text.encode(), headers)


def about(lines: list[dict[str, str]], **wanted: str) -> list[dict[str, str]]:
    """The events of a log with these attributes."""
    return [line for line in lines if all(line.get(name) == value for name, value in wanted.items())]


def measured(cluster: Cluster, family: str, **labels: str) -> float:
    """The sum of a metric of the selector, over all label values that are not given."""
    lines = ask(f"{cluster.inside('selector')}/metrics").body.decode().splitlines()
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith(f"{family}{{") and all(label in line for label in wanted)
    )


def set_the_stage(cluster: Cluster, *variants: Object) -> None:
    """The project as shipped, these variants, and a consumer of the answers, until all is Ready.

    Consumer and event-log are woken and stay awake: they keep in memory what came.
    """
    objects = project()
    log = by_name(objects)["Service", "event-log"]
    log["spec"]["template"]["metadata"]["annotations"] |= WARM
    answers = trigger("answers", "default", f"type = '{RESPONSE}'", "consumer")
    cluster.apply([*objects, renamed(log, "consumer"), answers, *variants])
    names = [variant["metadata"]["name"] for variant in variants]
    cluster.wait_ready(
        *(f"ksvc/{name}" for name in ("selector", "event-log", "consumer", *names)),
        "triggers.eventing.knative.dev/inference-requests",
        "triggers.eventing.knative.dev/answers",
    )
    for log_name in ("consumer", "event-log"):
        cluster.logged(log_name)


def fresh() -> str:
    """An id that nobody used."""
    return uuid.uuid4().hex
