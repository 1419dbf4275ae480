"""A scenario as things to apply and to send: dummy variants, the selector before them, and inputs of known difficulty.

A dummy's accuracy is a threshold on the difficulty of its input (`function/dummy.py`), so a case's hardness is set to
that of the bytes that are sent for it: what is right live is right in the simulation. What must not live here: waiting.
"""

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from warmfront.errors import SetupError
from warmfront.experiments.contenders import Contender
from warmfront.experiments.scenarios import Scenario
from warmfront.experiments.simulation.world import Case, Truth
from warmfront.function.dummy import difficulty
from warmfront.kube.files import load_manifests
from warmfront.selection.policies import POLICIES

SELECTOR = Path("knative/base/selector.yaml")
SEED = 0  # of the dummies: which inputs are hard
_JITTER_SHARE = 0.45  # a uniform draw's 95th percentile is that share of its width above its median
_PROBE = {"readinessProbe": {"httpGet": {"path": "/readyz"}}}
_RESTRICTED = {
    "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True,
    "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A run to be played live. `root` is the project's folder with knative/, selector_fn/ and dummy_model_fn/."""

    scenario: Scenario
    contender: Contender
    seed: int
    root: Path

    def __post_init__(self) -> None:
        file, path = self.scenario.file, self.scenario.path
        for field, asks in {
            "drift": bool(file.drift), "feedback": file.feedback.share > 0, "selectors": file.selectors.count > 1,
            "platform.observed_after_s": file.platform.observed_after_s > 0,
        }.items():  # fmt: skip
            if asks:
                raise SetupError(f"{path}: {field}: found it set, which only a simulation can do")
        if not (self.root / SELECTOR).is_file():
            raise SetupError(
                f"{self.root}: found no {SELECTOR}, wanted the project's folder: work there or give --root"
            )
        if self.contender.policy not in POLICIES:
            raise SetupError(f"found policy {self.contender.policy!r}, wanted one of {', '.join(sorted(POLICIES))}")
        names = [service_name(truth.variant.name) for truth in self.scenario.world.truths]
        if len(set(names)) < len(names):
            raise SetupError(f"{path}: variants: found names alike as Services, wanted different: {', '.join(names)}")

    def run_id(self, target: str) -> str:
        """What its rows are called by."""
        return f"{self.scenario.name}/{self.contender.name}/{self.seed}/{target}"

    def inputs(self) -> list[tuple[Case, bytes]]:
        """Every case with the bytes that are sent for it, no two alike."""
        made = []
        for case in self.scenario.cases(self.seed):
            text = f"{self.seed}/{case.request.id}".encode()
            body = text.ljust(case.request.size_bytes)
            request = case.request._replace(size_bytes=len(body))
            made.append((case._replace(request=request, hardness=difficulty(body, SEED), right=None), body))
        return made

    def variants(self, image: str) -> list[Object]:
        """A Service per variant."""
        return [_variant(truth, image) for truth in self.contender.world(self.scenario).truths]

    def selector(self) -> Object:
        """The selector's Service, told what this contender's selectors are told in the simulation."""
        (made,) = copy.deepcopy(load_manifests(self.root / SELECTOR))
        settings = self.contender.settings(self.scenario)
        told = {
            "WARMFRONT_POLICY": self.contender.policy, "WARMFRONT_SEED": str(self.seed), "WARMFRONT_LEARNED": "off",
            "WARMFRONT_KEEP_WARM": "on" if settings.may_keep else "off",
            "WARMFRONT_PLAN": "dry-run" if settings.dry_run else "on",
            "WARMFRONT_MAX_WARM_GB": f"{settings.max_warm_gb:g}",
            "WARMFRONT_PRICE_PER_GB_S": f"{settings.price_per_gb_s:g}",
            "WARMFRONT_HEDGE": "on" if settings.hedge else "off",
            "WARMFRONT_HEDGE_SHARE": f"{settings.hedge_share:g}",
        }  # fmt: skip
        container = made["spec"]["template"]["spec"]["containers"][0]
        kept = [one for one in container.get("env", []) if one["name"] not in told]
        container["env"] = kept + [{"name": name, "value": value} for name, value in told.items()]
        return made


def service_name(variant: str) -> str:
    """A variant's name as a Service may have it."""
    return re.sub(r"[^a-z0-9]+", "-", variant.lower()).strip("-")


def _variant(truth: Truth, image: str) -> Object:
    variant, profile = truth.variant, truth.variant.profile
    declared: Object = {
        "accuracy": profile.accuracy, "memory_mb": profile.memory_mb,
        "latency_s": _spread(profile.latency_s) | {"per_kib": profile.latency_per_kib_s},
        "cold_start_s": _spread(profile.cold_start_s),
    }  # fmt: skip
    annotations = {"warmfront.dev/profile": msgspec.json.encode(declared).decode()}
    if truth.network_s:
        delays = {region or "*": seconds * 1000 for region, seconds in truth.network_s.items()}
        annotations["warmfront.dev/network-ms"] = msgspec.json.encode(delays).decode()
    container = {
        "image": image, "ports": [{"containerPort": 8080}], "securityContext": _RESTRICTED, **_PROBE,
        "env": [{"name": name, "value": f"{value:g}"} for name, value in _behaviour(truth).items()],
    }  # fmt: skip
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(variant.name),
            "labels": {"warmfront.dev/task": variant.task},
            "annotations": annotations,
        },
        "spec": {
            "template": {
                "metadata": {"annotations": dict(truth.annotations)},
                "spec": {
                    "containerConcurrency": variant.concurrency, "timeoutSeconds": 60, "containers": [container],
                },
            }
        },
    }  # fmt: skip


def _behaviour(truth: Truth) -> dict[str, float]:
    """The dummy's settings; its law is uniform where the simulation's is lognormal, with the same median and p95."""
    spread = truth.execution_s
    jitter_s = min((spread.p95 - spread.p50) / _JITTER_SHARE, 2 * spread.p50)
    return {
        "DUMMY_SEED": SEED,
        "DUMMY_LATENCY_MS": (spread.p50 - jitter_s / 2) * 1000,
        "DUMMY_JITTER_MS": jitter_s * 1000,
        "DUMMY_PER_BYTE_MS": truth.execution_per_kib_s * 1000 / 1024,
        "DUMMY_PER_IN_FLIGHT_MS": truth.slowdown_s * 1000,
        "DUMMY_COLD_START_MS": truth.load_s.p50 * 1000,
        "DUMMY_ACCURACY": truth.accuracy,
        "DUMMY_FAILURE_RATE": truth.failure_rate,
    }


def _spread(spread: Any) -> Object:
    return {"p50": spread.p50, "p95": spread.p95}
