"""A scenario made ready to be played live, and how a simulation is held against it."""

import json
from pathlib import Path

import msgspec
import pytest

from warmfront.errors import SetupError
from warmfront.experiments.contenders import contender
from warmfront.experiments.live import fidelity
from warmfront.experiments.live.dummies import Planned, service_name
from warmfront.experiments.scenarios import load
from warmfront.experiments.simulation.simulator import Run
from warmfront.function.dummy import DummySettings, difficulty
from warmfront.kube.manifests import variant_of
from warmfront.telemetry.records import ReplicaRow, RequestRow

ROOT = Path(__file__).parents[3]


def planned(name: str = "live-steady", policy: str = "effective", *overrides: str) -> Planned:
    return Planned(scenario=load(name, overrides=overrides), contender=contender(policy), seed=3, root=ROOT)


def environment(service) -> dict[str, str]:
    (container,) = service["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


def test_a_variant_becomes_a_service_that_declares_and_behaves_as_the_scenario_says():
    """Read back by the catalogue's own reader, and by the dummy's: 0.15 s at p50, 0.17 s at p95, 5 s to start."""
    one = planned()
    best = one.variants("dev.local/dummy-model-fn:v1")[2]
    variant = variant_of(best)
    truth = one.scenario.world.truths[2]
    assert (variant.name, variant.task, variant.concurrency, variant.max_replicas) == ("best", "dummy", 4, 3)
    assert variant.profile == truth.variant.profile
    behaves = DummySettings.from_environment(environment(best))
    assert behaves.latency_ms + 0.5 * behaves.jitter_ms == pytest.approx(150, abs=0.001)
    assert behaves.latency_ms + 0.95 * behaves.jitter_ms == pytest.approx(170, abs=0.001)
    assert (behaves.cold_start_ms, behaves.accuracy) == (5000, 0.93)
    assert best["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/window"] == "20s"


def test_places_become_latencies_of_the_network():
    """A host 300 ms away is 300 ms away for everybody."""
    services = planned("frontier-psa-logical").variants("image")
    told = {one["metadata"]["name"]: one["metadata"]["annotations"]["warmfront.dev/network-ms"] for one in services}
    assert json.loads(told["fast-bad-host4"]) == {"*": 300.0}


def test_the_selector_is_told_what_the_simulated_one_is():
    """Policy, seed and what it may do; nothing that it learned outlives the run."""
    told = environment(planned("live-steady", "effective@no-keep", "selector.price_per_gb_s=0.01").selector())
    assert told["WARMFRONT_POLICY"] == "effective"
    assert (told["WARMFRONT_KEEP_WARM"], told["WARMFRONT_PLAN"], told["WARMFRONT_LEARNED"]) == ("off", "on", "off")
    assert (told["WARMFRONT_SEED"], told["WARMFRONT_PRICE_PER_GB_S"]) == ("3", "0.01")
    assert environment(planned("live-steady", "effective@no-plan").selector())["WARMFRONT_PLAN"] == "dry-run"


def test_inputs_have_the_hardness_that_the_dummies_see():
    """Every input is another one of the asked size, and as hard in the simulation as for a dummy."""
    inputs = planned().inputs()
    assert len({body for _, body in inputs}) == len(inputs)
    for case, body in inputs:
        assert case.request.size_bytes == len(body) == 100
        assert case.hardness == difficulty(body, 0)
        assert case.right is None


def test_names_are_made_fit_for_services():
    """Lower case, digits, hyphens."""
    assert service_name("beit_base_patch16_384@384") == "beit-base-patch16-384-384"


@pytest.mark.parametrize(
    ("name", "policy", "said"),
    [
        ("drift-gone", "effective", "drift: found it set, which only a simulation can do"),
        ("underrated", "effective", "feedback: found it set"),
        ("langid-8-selectors", "effective", "selectors: found it set"),
        ("live-steady", "offline-optimum", "found policy 'offline-optimum', wanted one of"),
    ],
)
def test_what_cannot_be_done_live_is_refused(name, policy, said):
    """Before anything is started."""
    with pytest.raises(SetupError, match=said):
        planned(name, policy)


def request(number: int, *, correct: bool = True, cold: bool = False, latency_s: float = 0.16) -> RequestRow:
    return RequestRow(
        run_id="r", policy="p", seed=1, request_id=f"r{number}", task="t", arrival_s=float(number), deadline_s=1.0,
        min_accuracy=None, variant="best", revision=None, reason="chosen", predicted_s=None, probability=0.9, cold=cold,
        queued_s=0.0, latency_s=latency_s, on_time=True, correct=correct, status="ok",
    )  # fmt: skip


def replica(requested: float, ready: float, stopped: float) -> ReplicaRow:
    return ReplicaRow(
        run_id="r", variant="best", revision="b-1", requested_s=requested, ready_s=ready, stopped_s=stopped,
        cause="scale", memory_mb=900.0,
    )  # fmt: skip


def test_gaps_worked_out_by_hand():
    """Three of four right against two; 20 replica-seconds against 25."""
    live = Run([request(i, correct=i > 0, cold=i == 0) for i in range(4)], [replica(1, 6, 21)])
    simulated = Run([request(i, correct=i > 1) for i in range(4)], [replica(1, 6, 26)])
    found = {gap.figure: gap for gap in fidelity.gaps(live, simulated)}
    assert (found["right and on time"].live, found["right and on time"].gap) == (0.75, -0.25)
    assert (found["waited for a start"].live, found["waited for a start"].gap) == (0.25, -0.25)
    seconds = found["replica-seconds"]
    assert (seconds.live, seconds.simulated, seconds.gap, seconds.relative) == (20, 25, 5, 0.25)
    assert found["GB-seconds per request"].live == pytest.approx(20 * 0.9 / 4)


def test_only_starts_within_the_run_count():
    """One was there at first, one was never ready."""
    rows = [replica(0, 0, 30), replica(2, 8, 30), replica(5, 9, 9), replica(6, 11, 30)]
    assert fidelity.starts(rows) == {"best": [6, 5]}


def test_the_twin_starts_as_it_did_live():
    """`best` took 9 s to start live, not 5: so it does in the simulation; the others as declared, and all is played."""
    one = planned("live-steady", "most-accurate", "duration_s=30")
    live = Run([request(0)], [replica(1, 10, 30), replica(2, 11, 30)], end_s=30.0)
    twin = fidelity.twin(one, live, one.scenario.settings.platform_start_s)
    assert len(twin.requests) == len(one.inputs())
    took = fidelity.starts(twin.replicas)["best"]
    assert took == pytest.approx([9.0] * len(took), rel=0.05)


def test_the_twins_hop_is_what_the_world_does_not_explain():
    """A host 300 ms away, and every other answer beside another one on the replica: 5 ms more than all that is the hop,
    and the simulated answers of that host take as long.
    """
    one = planned("thesis-scp-parity", "most-accurate", "workload.streams=1", "workload.requests=20")
    cases = [case for case, _ in one.inputs()]
    (far,) = [truth for truth in one.scenario.world.truths if truth.variant.name == "slow-good-host4"]
    alone_s = far.execution_s.p50 + far.execution_per_kib_s * cases[0].request.size_bytes / 1024 + 0.3
    rows = [
        msgspec.structs.replace(request(i, latency_s=alone_s + 0.005), variant="slow-good-host4", arrival_s=10.0 * i)
        for i in range(4)
    ]
    rows += [
        msgspec.structs.replace(row, arrival_s=row.arrival_s + 0.1, latency_s=row.latency_s + far.slowdown_s)
        for row in rows
    ]
    assert fidelity.left(one.scenario.world, cases, rows) == pytest.approx([0.005] * 8)
