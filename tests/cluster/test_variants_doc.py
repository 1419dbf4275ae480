"""The manifests of docs/variants.md that are for a cluster: a real API server and Knative's webhooks admit them.

Nothing is started: their images are the reader's. An InferenceService only where KServe is installed.
"""

import subprocess

import pytest
from tests.contract.test_variants_doc import READ, Block

from .conftest import Cluster

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("block", READ, ids=lambda block: block.file)
def test_a_manifest_is_admitted(cluster: Cluster, block: Block) -> None:
    """By `kubectl apply --dry-run=server`, in a namespace that enforces no more than the page says."""
    kind = "inferenceservices.serving.kserve.io"
    known = subprocess.run(["kubectl", "get", "crd", kind], capture_output=True, check=False).returncode == 0
    if block.needs == "kserve" and not known:
        pytest.skip("no KServe on this cluster")
    baseline = "pod-security.kubernetes.io/enforce=baseline"
    cluster.kubectl("label", "namespace", cluster.namespace, baseline, "--overwrite")
    assert "(server dry run)" in cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=block.text)
