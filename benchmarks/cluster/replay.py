"""The same texts, times and deadlines in the simulator, with the start times that the run on the cluster had."""

import random
from collections.abc import Mapping, Sequence

from benchmarks.cluster.place import ROOT, WINDOW

from warmfront.domain import Request, Spread, Variant
from warmfront.experiments.demo import Answer
from warmfront.experiments.simulation.simulator import simulate
from warmfront.experiments.simulation.world import Case, Truth, World
from warmfront.experiments.workload import Arrival
from warmfront.gateway.app import build_selector
from warmfront.gateway.settings import Settings
from warmfront.kube.files import load_manifests
from warmfront.kube.manifests import parse_profile

PROFILE = "warmfront.dev/profile"
NOTHING = Spread(p50=1e-6, p95=1e-6)
HOP_S = 0.003
MAX_SCALE = "autoscaling.knative.dev/max-scale"


def starts(arrivals: Sequence[Arrival], answers: Mapping[str, Answer | None]) -> dict[str, float]:
    """Seconds from the first request that waited for a variant to the first answer after that wait."""
    asked: dict[str, float] = {}
    answered: dict[str, float] = {}
    for arrival in arrivals:
        answer = answers[arrival.id]
        if answer is not None and answer.cold:
            asked.setdefault(answer.variant, arrival.at_s)
            end = arrival.at_s + answer.latency_s
            answered[answer.variant] = min(answered.get(answer.variant, end), end)
    return {name: answered[name] - at for name, at in asked.items()}


def simulated(arrivals: Sequence[Arrival], seen: Mapping[str, float], seed: int) -> float:
    """The share right and in time of a simulated run. A variant that never made anybody wait starts as it declares."""
    truths = [_truth(obj, seen) for obj in load_manifests(ROOT / "knative/base/variants")]
    rng = random.Random(f"{seed}/replay")
    cases = [
        Case(
            request=Request(
                id=a.id, task="langid", size_bytes=len(a.sample.body), arrival_at=a.at_s,
                deadline_at=a.at_s + a.deadline_s,
            ),
            hardness=rng.random(),
            luck=rng.gauss(0, 1),
        )
        for a in arrivals
    ]  # fmt: skip
    world = World(truths=tuple(truths), platform_start_s=NOTHING, hop_s=HOP_S)
    run = simulate(world, cases, lambda: build_selector(Settings(seed=seed)), seed=seed)
    return sum(bool(row.on_time and row.correct) for row in run.requests) / len(cases)


def _truth(obj: dict[str, object], seen: Mapping[str, float]) -> Truth:
    metadata, spec = obj["metadata"], obj["spec"]
    assert isinstance(metadata, dict)
    assert isinstance(spec, dict)
    name, template = metadata["name"], spec["template"]
    profile = parse_profile(metadata["annotations"][PROFILE])
    assert profile.latency_s is not None
    assert profile.cold_start_s is not None
    start_s = seen.get(name, profile.cold_start_s.p50 + 1.1)
    annotations = {key: template["metadata"]["annotations"][key] for key in (WINDOW, MAX_SCALE)}
    return Truth(
        variant=Variant(
            name=name, task="langid", revision=f"{name}-00001", url="", profile=profile,
            concurrency=template["spec"]["containerConcurrency"], max_replicas=int(annotations[MAX_SCALE]),
        ),
        accuracy=profile.accuracy or 0.0,
        execution_s=profile.latency_s,
        execution_per_kib_s=profile.latency_per_kib_s,
        load_s=Spread(p50=start_s, p95=start_s),
        memory_mb=profile.memory_mb or 0.0,
        annotations=annotations,
    )  # fmt: skip
