"""What Knative complains of leads to what helps."""

import pytest

from warmfront.kube.troubles import of_pods, remedy, standing


@pytest.mark.parametrize(
    ("message", "helps"),
    [
        ("annotation initial-scale=0 is not allowed by cluster", "allow-zero-initial-scale"),
        ('Unable to fetch image "dev.local/x:v1": failed to resolve image to digest', "warmfront build --images"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "Pod Security Standard"),
        ("0/3 nodes are available: 3 Insufficient memory.", "kubectl describe nodes"),
        ("Container failed with: Traceback", "kubectl logs -n ns -l serving.knative.dev/service=x"),
        ('serviceaccount "warmfront-selector" not found', "rbac.yaml"),
        ("services.serving.knative.dev is forbidden: User bob cannot create", "warmfront doctor"),
        ("Failed to get dead letter sink: not found", "sink must be there"),
        ("something never seen before", "kn service describe x -n ns"),
    ],
)
def test_remedies(message: str, helps: str) -> None:
    """Each known complaint has its own remedy, with the object's own name; an unknown one where to look."""
    assert helps in remedy("Service", "ns", "x", message)


def test_a_message_that_tells_the_remedy_gets_no_second_one() -> None:
    """The embedded Knative says what to run."""
    assert remedy("Service", "ns", "x", "x needs numpy, which this Python has not; run `warmfront build x`") == ""


def service(status: str, *, generation: int = 1, observed: int = 1) -> dict[str, object]:
    """A Service with this Ready condition."""
    ready = {"type": "Ready", "status": status, "reason": "R", "message": "why"}
    return {
        "metadata": {"name": "x", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": [ready]},
    }


def test_standing_is_of_the_spec_that_was_given() -> None:
    """Ready of an older generation is not Ready: the controller has not seen the change yet."""
    assert standing(service("True"))[0] is True
    assert standing(service("False")) == (False, "R: why")
    assert standing(service("Unknown"))[0] is None
    assert standing(service("True", generation=2))[0] is None
    assert standing({"metadata": {"name": "x", "generation": 1}})[0] is None


def test_pods_tell_first_what_keeps_them_from_starting() -> None:
    """Waiting for an image, an exit, no room; a pod that is merely being created says nothing."""

    def pod(state: dict[str, object], last: dict[str, object] | None = None) -> dict[str, object]:
        return {"status": {"containerStatuses": [{"name": "c", "state": state, "lastState": last or {}}]}}

    creating = pod({"waiting": {"reason": "ContainerCreating"}})
    assert of_pods([creating]) == ""
    pulling = pod({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}})
    assert of_pods([creating, pulling]) == "ImagePullBackOff: Back-off"
    assert "exited with 3" in of_pods([pod({"running": {}}, {"terminated": {"exitCode": 3}})])
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
    assert of_pods([{"status": {"conditions": [unscheduled]}}]) == "Unschedulable: no room"
