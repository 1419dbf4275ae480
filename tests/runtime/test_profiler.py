"""Measuring a server that knows nothing of Warmfront, on an embedded Knative of the test's own."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from warmfront.domain import Spread
from warmfront.errors import UnknownTask
from warmfront.experiments.profiling import labelled
from warmfront.experiments.profiling.profiler import Wanted
from warmfront.experiments.profiling.session import measure
from warmfront.experiments.profiling.site import Site
from warmfront.kube.client import KubeClient
from warmfront.kube.connection import Connection
from warmfront.kube.manifests import PROFILE, TASK_LABEL
from warmfront.runtime.runtime import Runtime, RuntimeSettings
from warmfront.wire.pool import Pool

# takes a second to load, answers the first letter of its row, refuses Q and fails at !
SERVER = """
time.sleep(1.0)


class Handler(Answers):
    def do_GET(self):
        self.answer({"ready": True})

    def do_POST(self):
        (row,) = json.loads(self.rfile.read(int(self.headers["content-length"])))["instances"]
        if row[0] == "q":
            self.answer({"error": "no q"}, 400)
        elif row[0] == "!":
            self.answer({"error": "the model\\nbroke"}, 500)
        else:
            self.answer({"predictions": [row[0]]})

    def answer(self, said, status=200):
        self.reply(json.dumps(said).encode(), status)
"""


def service(name: str, annotations: dict[str, str]) -> dict[str, object]:
    scaling = {"initial-scale": "0", "window": "60s", "max-scale": "3"}
    container = {"image": "dev.local/plain:v1", "readinessProbe": {"httpGet": {"path": "/"}}}
    return {
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": {"name": name, "labels": {TASK_LABEL: "letters"}, "annotations": annotations},
        "spec": {"template": {
            "metadata": {"annotations": {f"autoscaling.knative.dev/{key}": value for key, value in scaling.items()}},
            "spec": {"containers": [container], "containerConcurrency": 2},
        }},
    }  # fmt: skip


def data(folder: Path, rows: str) -> labelled.Labelled:
    path = folder / "data.csv"
    path.write_text("input,label\n" + rows)
    return labelled.read(path)


def test_a_server_without_our_headers(tmp_path: Path, folder_of: Callable[[str, str], Path]) -> None:
    """KServe's protocol and nothing else. The parts of its start are unknown, so load is the whole less a warm answer.
    A refused input is a wrong answer; a broken profile is what a measurement mends; who cannot be asked is named. With
    other data its starts are not measured again; and who fails is given up in its own words.
    """

    async def story() -> None:
        folder_of("plain", SERVER)
        runtime = Runtime(RuntimeSettings(root=tmp_path, state=tmp_path / "state", port=0, api_port=0, max_grace_s=2.0))
        pool = Pool()
        await runtime.start()
        try:
            runtime.apply([
                service("plain", {"warmfront.dev/protocols": "kserve-v1", PROFILE: "{broken"}),
                service("strange", {"warmfront.dev/protocols": "open-inference-grpc"}),
            ])  # fmt: skip
            connection = Connection.load({**os.environ, "KUBECONFIG": str(runtime.kubeconfig)})
            site = Site(KubeClient(connection, pool), "default")
            inputs = data(tmp_path, "apple,a\nbear,b\nquail,q\ncat,d\n")
            wanted, stages = Wanted(starts=1), []

            async def measured(inputs: labelled.Labelled, *names: str):
                return await measure(
                    site, "letters", names=names, data=inputs, wanted=wanted, folder=tmp_path / "out",
                    changed=lambda progress: stages.append((progress.variant, progress.stage)),
                )  # fmt: skip

            found = await measured(inputs)
            assert found.troubles["strange"].startswith("strange speaks open-inference-grpc; profile asks in raw")
            ((figures, profile),) = found.found
            assert (figures.variant, figures.accuracy.right, figures.accuracy.total) == ("plain", 2, 4)
            assert (figures.load, figures.platform, figures.told) == (None, None, False)
            assert figures.total.n == 1
            assert figures.total.p50 > 1.0
            assert profile.cold_start_s.p50 == pytest.approx(figures.total.p50, rel=0.1)
            assert profile.cold_start_s == Spread(p50=profile.cold_start_s.p50, p95=profile.cold_start_s.p95)
            assert 5 < profile.memory_mb < 100
            assert [load.in_flight for load in figures.by_load] == [1, 2, 4]
            assert stages[0] == ("plain", "waiting for zero")
            assert stages[-1] == ("plain", "4 at once")
            await site.declare("plain", profile)
            assert (await site.find("letters", ["plain"])).subjects[0].variant.profile == profile

            told = len(stages)
            failed = await measured(data(tmp_path, "apple,a\n!,x\n"), "plain")
            assert ("plain", "starting") not in stages[told:]
            assert failed.found == ()
            assert failed.troubles == {"plain": "it answered 500: the model broke"}
            with pytest.raises(UnknownTask, match="found no variant of task 'numbers'; there are the tasks letters"):
                await site.find("numbers")
        finally:
            await runtime.stop()
            await pool.close()

    asyncio.run(story())
