"""`warmfront profile` on a real Knative: starts answers, memory, and the annotation that comes of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from warmfront.kube.files import load_manifests
from warmfront.kube.manifests import PROFILE

from .conftest import ROOT, Cluster

pytestmark = pytest.mark.cluster

WARMFRONT = Path(sys.executable).with_name("warmfront")
DECLARED = {"digits-linear": 0.905, "digits-onnx-small": 0.966}
STARTS = 4  # in a row, of which one does not count: a replica that is ending is still sent requests for a moment


def test_profile_measures_and_annotates(cluster: Cluster, tmp_path: Path) -> None:
    """Every start was one; a pod takes its time before the model loads; accuracy is the one measured elsewhere."""
    variants = load_manifests(ROOT / "knative/components/digits")
    cluster.apply([obj for obj in variants if obj["metadata"]["name"] in DECLARED])
    cluster.wait_ready(*(f"ksvc/{name}" for name in DECLARED))
    command = [WARMFRONT, "profile", "digits", "-n", cluster.namespace, "--starts", f"{STARTS - 1}", "--out", tmp_path]
    done = subprocess.run([*command, "--apply"], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = {one["variant"]: one for one in json.loads((tmp_path / "digits" / "figures.json").read_text())}
    assert figures.keys() == DECLARED.keys(), done.stdout
    for name, one in figures.items():
        assert one["total"]["n"] == STARTS - 1
        assert one["platform"]["low"] > one["load"]["low"] > 0.0
        annotation = cluster.kubectl("get", "ksvc", name, "-o", "jsonpath={.metadata.annotations}")
        profile = json.loads(json.loads(annotation)[PROFILE])
        assert profile["accuracy"] == pytest.approx(DECLARED[name], abs=0.01)
        assert profile["cold_start_s"]["p50"] == pytest.approx(one["load"]["p50"], rel=0.1)  # the variant's own part
        assert profile["memory_mb"] > 5
