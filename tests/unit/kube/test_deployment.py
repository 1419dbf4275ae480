"""From manifests to steps: what kn makes, what the API gets, what is left alone, and what a dry run prints."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from warmfront.errors import SetupError
from warmfront.kube.deployment import DEPLOYED_LABEL, Changes, Part, commands_of, difference, parts_of, plan, write
from warmfront.kube.files import load_manifests
from warmfront.kube.resources import BROKERS, SERVICES, TRIGGERS

KNATIVE = Path(__file__).parents[3] / "knative"
NOTHING = Changes()


def parts(changes: Changes = NOTHING, path: Path = KNATIVE) -> dict[str, Part]:
    """The parts of the project's own manifests, by label."""
    return {part.label: part for part in parts_of(path, "ns", changes)}


def test_what_others_refer_to_comes_first() -> None:
    """Accounts and roles, then Services, then the Broker (kn looks up its sink), then Triggers (their subscribers)."""
    phases = [part.phase for part in parts_of(KNATIVE, "ns", NOTHING)]
    assert phases == sorted(phases)
    found = parts()
    assert found["serviceaccount/warmfront-selector"].phase < found["service/selector"].phase
    assert found["service/event-log"].phase < found["broker/default"].phase < found["trigger/inference-requests"].phase


def test_everything_is_in_the_namespace() -> None:
    """Objects and the ServiceAccounts that bindings name: those deployed beside them are meant."""
    found = parts()
    assert {part.obj["metadata"]["namespace"] for part in found.values()} == {"ns"}
    assert found["rolebinding/warmfront-selector"].obj["subjects"][0]["namespace"] == "ns"


def test_a_service_is_applied_from_its_own_file() -> None:
    """As long as nothing about it is changed, the command names the file that people know."""
    step = plan(parts()["service/langid-cld2"], None)
    assert step.command is not None
    assert str(KNATIVE / "base" / "variants" / "langid-cld2.yaml") in step.command.argv
    assert f"{DEPLOYED_LABEL}=true" in step.command.argv


def test_scale_and_policy_are_the_selectors() -> None:
    """They change the selector and nothing else, replace what its manifest says, and are handed over with it."""
    found = parts(Changes(min_scale=0, policy="fastest"))
    template = found["service/selector"].obj["spec"]["template"]
    assert template["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"] == "0"
    assert {"name": "WARMFRONT_POLICY", "value": "fastest"} in template["spec"]["containers"][0]["env"]
    step = plan(found["service/selector"], None)
    assert step.command is not None
    assert yaml.safe_load(step.command.stdin) == found["service/selector"].obj
    assert found["service/langid-cld2"].source is not None


def test_images_are_renamed_as_they_were_built() -> None:
    """Registry and tag of the local names; an image from elsewhere stays."""
    found = parts(Changes(registry="ghcr.io/me", tag="2"))
    image = found["service/langid-cld2"].obj["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "ghcr.io/me/langid-cld2:2"
    assert found["service/langid-cld2"].source is None


def manifest(folder: Path, *objects: dict[str, Any]) -> Path:
    """A file of manifests."""
    file = folder / "all.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return file


def obj(api: str, kind: str, name: str = "x") -> dict[str, Any]:
    """A bare object."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": {}}


@pytest.mark.parametrize(
    ("objects", "changes", "said"),
    [
        ([obj("apps/v1", "Deployment")], NOTHING, "Deployment 'x' of 'apps/v1' is of a kind unknown to deploy"),
        ([obj("v1", "ConfigMap"), obj("v1", "ConfigMap")], NOTHING, "holds configmap/x twice"),
        ([obj("v1", "ConfigMap")], Changes(min_scale=1), "no Service 'selector'"),
    ],
)
def test_what_cannot_be_deployed(tmp_path: Path, objects: list[Any], changes: Changes, said: str) -> None:
    """An unknown kind, one object twice, a setting for a selector that is not there: each is named."""
    with pytest.raises(SetupError, match=said):
        parts_of(manifest(tmp_path, *objects), "ns", changes)


def test_a_namespace_in_the_manifests_is_not_a_part(tmp_path: Path) -> None:
    """`-n` says where; the overlays' Namespace objects do not."""
    assert not parts_of(manifest(tmp_path, obj("v1", "Namespace")), "ns", NOTHING)


def live(part: Part, **labels: str) -> dict[str, Any]:
    """What the API has of a part after it was made, with what servers fill in."""
    metadata = {**part.obj["metadata"], "uid": "1", "labels": {**part.obj["metadata"].get("labels", {}), **labels}}
    return {**part.obj, "metadata": metadata, "status": {}}


def test_deploying_again_changes_nothing() -> None:
    """Without a difference there is no step to the API, and fields that the server filled in are no difference."""
    for label in ("broker/default", "trigger/inference-requests", "role/warmfront-selector"):
        part = parts()[label]
        there = live(part)
        if part.resource is BROKERS:
            sink = there["spec"]["delivery"]["deadLetterSink"]["ref"]
            there["spec"] = yaml.safe_load(yaml.safe_dump(there["spec"]))
            there["spec"]["delivery"]["deadLetterSink"]["ref"] = {**sink, "namespace": "ns"}
            there["spec"]["config"] = {"name": "config-br-default-channel"}
        step = plan(part, there)
        assert (step.command, step.create, step.patch, step.mark) == (None, None, None, False)


def test_what_deploy_did_not_make_it_does_not_mark() -> None:
    """A Service that was there before keeps its missing mark, so that undeploy leaves it."""
    part = parts()["service/selector"]
    foreign, own = plan(part, live(part)), plan(part, live(part, **{DEPLOYED_LABEL: "true"}))
    assert foreign.command is not None
    assert own.command is not None
    assert "--label-service" not in foreign.command.argv
    assert "--label-service" in own.command.argv


def test_a_filter_that_is_gone_is_removed_and_other_fields_stay() -> None:
    """A merge patch names the old attribute with null; what the manifest does not speak of is left alone."""
    there = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {
            "broker": "default",
            "filter": {"attributes": {"type": "x", "subject": "y"}},
            "filters": [{"exact": {"type": "x"}}],
            "other": 1,
        },
    }
    wanted = {
        "metadata": {"name": "t", "labels": {"c": "d"}},
        "spec": {"broker": "default", "filter": {"attributes": {"type": "z"}}},
    }
    assert difference(there, wanted) == {
        "metadata": {"labels": {"c": "d"}},
        "spec": {"filter": {"attributes": {"type": "z", "subject": None}}, "filters": None},
    }


def test_contents_of_a_shipped_empty_map_are_left_alone() -> None:
    """What a selector has learned is not in the manifest, and survives a second deploy."""
    part = parts()["configmap/warmfront-learned"]
    assert plan(part, {**live(part), "data": {"learned": "much"}}).patch is None


def test_dry_run_prints_what_can_be_run() -> None:
    """kn for what kn can express, kubectl for the rest, marks once, and the wait at the end."""
    lines = commands_of((plan(part, None) for part in parts().values()), "ns", wait_s=90)
    assert [line.split()[:3] for line in lines if line.startswith("kn broker")] == [["kn", "broker", "create"]]
    assert sum(line.startswith("kn service apply") for line in lines) == sum(
        o["apiVersion"] == SERVICES.api_version for o in load_manifests(KNATIVE)
    )
    cesql = next(line for line in lines if "inference-requests" in line)
    assert cesql.startswith("kubectl apply -n ns -f - <<'END'\n")
    assert yaml.safe_load("\n".join(cesql.splitlines()[1:-1])) == parts()["trigger/inference-requests"].obj
    assert lines[-2].startswith("kubectl label -n ns ")
    assert lines[-1].startswith("kubectl wait -n ns --for=condition=Ready --timeout=90s ")
    changed = live(parts()["trigger/inference-feedback"])
    changed["spec"] = {**changed["spec"], "broker": "other"}
    (patch, _) = commands_of([plan(parts()["trigger/inference-feedback"], changed)], "ns", wait_s=90)
    assert patch == (
        f"kubectl patch {TRIGGERS.id} inference-feedback -n ns --type merge -p "
        """'{"spec":{"broker":"default"}}'"""
    )


def test_files_for_gitops_are_what_would_be_deployed(tmp_path: Path) -> None:
    """Written out, they load as the same objects in the same namespace, by the kustomization beside them."""
    wanted = parts_of(KNATIVE, "ns", Changes(policy="fastest"))
    files = write(wanted, "ns", tmp_path / "out")
    assert len(files) == len(wanted) + 1
    listing = yaml.safe_load((tmp_path / "out" / "kustomization.yaml").read_text())
    assert listing["namespace"] == "ns"
    for name, part in zip(listing["resources"], wanted, strict=True):
        assert load_manifests(tmp_path / "out" / name) == [part.obj]
