"""Findings follow from facts: those of a real cluster, recorded, and what each trouble changes about them."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from warmfront.kube.preflight import Facts, Finding, Program, Status, findings
from warmfront.kube.preflight.facts import Access, Api, Component, Ingress, Standing, Told

SOUND = msgspec.json.decode(Path(__file__).with_name("cluster.json").read_bytes(), type=Facts)


def of(facts: Facts, check: str) -> Finding:
    """The one finding of this check."""
    (found,) = [finding for finding in findings(facts) if finding.check == check]
    return found


def changed(check: str, **fields: object) -> Finding:
    """What the check finds on the sound cluster when these facts are different."""
    return of(replace(SOUND, **fields), check)


def test_a_sound_cluster_passes_everything() -> None:
    """The facts recorded on a cluster where all works give nothing but ok, and no remedy."""
    assert {finding.status for finding in findings(SOUND)} == {Status.OK}
    assert not any(finding.remedy for finding in findings(SOUND))


def test_every_trouble_has_a_remedy() -> None:
    """Nothing is complained of without saying what to do."""
    worst = replace(
        SOUND,
        programs=(Program(name="kn"), Program(name="kubectl", path="/bin/kubectl", error="broken")),
        serving=Component(present=False),
        eventing=replace(SOUND.eventing, deployments={"mt-broker-ingress": False}),
        zero_scale="false",
        user=None,
        ingress=Ingress(),
        objects=(Standing(kind="Service", name="a", ready=False, message="RevisionFailed: it ended"),),
        selector=Told(ready=False),
    )
    bad = [finding for finding in findings(worst) if finding.status in {Status.WARN, Status.FAIL}]
    assert len(bad) >= 9
    assert all(finding.remedy for finding in bad)


def test_without_an_api_nothing_else_is_claimed() -> None:
    """No configuration is a hint, a configured server that is silent a failure; what it would know is left out."""
    for error, status in (("", Status.WARN), ("10.0.0.2:6443 does not answer", Status.FAIL)):
        facts = Facts(namespace="default", programs=(), error=error)
        (found,) = findings(facts)
        assert found.status is status
        assert "warmfront up" in found.remedy


def test_embedded_server_has_no_cluster_to_check() -> None:
    """What only a cluster has is not applicable, never a failure and never left out."""
    facts = replace(SOUND, api=Api(url="http://127.0.0.1:1", version="v1.35", embedded=True), zero_scale=None)
    for check in ("clock", "initial scale zero", "ingress", "your permissions"):
        assert of(facts, check).status is Status.NA


@pytest.mark.parametrize(
    ("skew_s", "status", "found"),
    [
        (0.9, Status.OK, "agrees"),
        (12.0, Status.WARN, "12 s behind"),
        (-90.0, Status.FAIL, "90 s ahead of"),
        (None, Status.NA, "no date"),
    ],
)
def test_clock(skew_s: float | None, status: Status, found: str) -> None:
    """Seconds matter to absolute deadlines; a Date cannot tell less than one apart."""
    finding = changed("clock", api=replace(SOUND.api, skew_s=skew_s))
    assert finding.status is status
    assert found in finding.found


def test_kn_is_needed_on_a_cluster_only() -> None:
    """deploy cannot do without kn; the embedded Knative is there without it."""
    gone = (Program(name="kn"),)
    assert changed("kn", programs=gone).status is Status.FAIL
    embedded = Api(url="http://127.0.0.1:1", version="v1.35", embedded=True)
    assert of(replace(SOUND, programs=gone, api=embedded), "kn").status is Status.WARN


@pytest.mark.parametrize(
    ("value", "status"), [("true", Status.OK), ("false", Status.FAIL), ("", Status.FAIL), (None, Status.WARN)]
)
def test_initial_scale_zero(value: str | None, status: Status) -> None:
    """Without the setting Knative refuses the shipped variants; the remedy is the command that allows it."""
    finding = changed("initial scale zero", zero_scale=value)
    assert finding.status is status
    assert status is Status.OK or "kubectl patch configmap/config-autoscaler" in finding.remedy


def test_knative_missing_partly_down_or_old() -> None:
    """Serving is needed, Eventing for events only; a Deployment short of replicas is named; old versions are told."""
    assert changed("Knative Serving", serving=Component(present=False)).status is Status.FAIL
    assert changed("Knative Eventing", eventing=Component(present=False)).status is Status.WARN
    down = replace(SOUND.serving, deployments={"activator": False, "webhook": True})
    assert "activator" in changed("Knative Serving", serving=down).found
    assert changed("Knative Serving", serving=replace(SOUND.serving, version="v1.19.4")).status is Status.WARN
    unseen = changed("Knative Serving", serving=replace(SOUND.serving, deployments=None))
    assert (unseen.status, "may not be seen" in unseen.found) == (Status.OK, True)


def test_broker_class_that_nobody_serves() -> None:
    """A default class without its controller explains Brokers that never get Ready; no Broker at all is a hint."""
    without = replace(SOUND.eventing, deployments={"eventing-controller": True})
    assert changed("Broker class", eventing=without).status is Status.FAIL
    services = tuple(one for one in SOUND.objects or () if one.kind == "Service")
    assert "kn broker create" in changed("Broker", objects=services).remedy


def test_missing_permissions_are_listed_by_kind() -> None:
    """Each kind once, with the verbs that lack; the selector's remedy is its role, the user's is to ask for one."""
    access = (
        Access(verb="create", resource="roles", allowed=False),
        Access(verb="patch", resource="roles", allowed=False),
        Access(verb="list", resource="services", allowed=True),
    )
    mine = changed("your permissions", user=access)
    assert mine.status is Status.FAIL
    assert mine.found.endswith("create patch roles")
    its = changed("the selector's permissions", account=access)
    assert "knative/base/rbac.yaml" in its.remedy
    assert changed("the selector's permissions", account=None).status is Status.WARN


def test_an_image_that_cannot_be_had_is_seen_before_knative_tells() -> None:
    """Knative says Unknown for minutes; the pod's own words count, and the remedy is about images."""
    said = 'ImagePullBackOff: Back-off pulling image "dev.local/x:v1"'
    variant = Standing(kind="Service", name="x", ready=None, message="RevisionMissing", pods=said, variant=True)
    finding = changed("service/x", objects=(variant,))
    assert finding.status is Status.FAIL
    assert finding.found == said
    assert "warmfront build --images" in finding.remedy


def test_the_selectors_own_words() -> None:
    """A watch that is not watching is worth a look, not being ready is a failure, not being reachable is said."""
    assert changed("selector", selector=Told(ready=True, words={"services": "watching"})).status is Status.OK
    blind = Told(ready=True, words={"services": "watching", "podautoscalers": "no permission; warmth is inferred"})
    assert changed("selector", selector=blind).status is Status.WARN
    assert changed("selector", selector=Told(ready=False)).status is Status.FAIL
    assert "could not be asked" in changed("selector", selector=Told(error="no route")).found
    assert changed("selector", selector=None).status is Status.WARN


def test_a_namespace_that_may_not_be_listed_is_not_called_empty() -> None:
    """No claim that there is no Broker or selector: only that one may not look."""
    facts = replace(SOUND, objects=None, selector=None, reach=None)
    checks = {finding.check for finding in findings(facts)}
    assert "Broker" not in checks
    assert "selector" not in checks
    assert of(facts, "namespace").status is Status.WARN


def test_readiness_that_is_an_open_port_is_told() -> None:
    """With the path that the variant's protocol has for it; a variant that is asked itself gives no finding."""
    variant = Standing(kind="Service", name="a", ready=True, variant=True, model="m", protocol="x", probed=False)
    readiness = {"x": "/v2/models/{model}/ready"}
    found = changed("readiness of a", objects=(variant,), readiness=readiness)
    assert found.status is Status.WARN
    assert found.remedy.endswith("readinessProbe: {httpGet: {path: /v2/models/m/ready}}")
    sound = replace(SOUND, objects=(replace(variant, probed=True),), readiness=readiness)
    assert not any("readiness" in finding.check for finding in findings(sound))
