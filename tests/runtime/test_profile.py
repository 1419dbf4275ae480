"""`warmfront profile` and `plan` against a real embedded Knative, as people use them: in two terminals.

The accuracies are those of our own measurement of these very texts (one process per variant, no platform).
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml

from warmfront.kube.manifests import PROFILE, parse_profile

ROOT = Path(__file__).parents[2]
HEEDING = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
WARMFRONT = Path(sys.executable).with_name("warmfront")
MEASURED = {"langid-cld2": 0.822, "langid-fasttext": 0.842, "langid-py3langid": 0.884, "langid-lingua": 0.928}
SCALING = "autoscaling.knative.dev/"
BROKEN = "import sys\n\nsys.exit('the model file is corrupt')\n"


class Terminal:
    """A project folder with variants of langid in it, `warmfront up` in one terminal and another one of 80 columns."""

    def __init__(self, root: Path, names: list[str]) -> None:
        self.root = root
        for name in names:
            shutil.copytree(ROOT / "functions" / name.replace("-", "_"), root / "functions" / name.replace("-", "_"))
            (root / "knative").mkdir(exist_ok=True)
            shutil.copy(ROOT / "knative" / "base" / "variants" / f"{name}.yaml", root / "knative")
        self.env = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"} | {"COLUMNS": "80"}
        self._up: subprocess.Popen[bytes] | None = None

    def add(self, name: str, main: str) -> None:
        """A variant whose function is this script: it is started as it is."""
        folder = self.root / "functions" / name.replace("-", "_")
        folder.mkdir(parents=True)
        (folder / "main.py").write_text(main)
        (folder / "Procfile").write_text("web: python -S main.py\n")
        manifest = yaml.safe_load((ROOT / "knative/base/variants/langid-cld2.yaml").read_text())
        manifest["metadata"]["name"] = name
        del manifest["metadata"]["annotations"][PROFILE]
        manifest["spec"]["template"]["spec"]["containers"][0]["image"] = f"dev.local/{name}:v1"
        (self.root / "knative" / f"{name}.yaml").write_text(yaml.safe_dump(manifest))

    def up(self) -> None:
        """Start it, and wait for its last greeting line."""
        log = self.root / "up.log"
        with log.open("w") as out:
            self._up = subprocess.Popen(
                [WARMFRONT, "up", "--port", "0"], cwd=self.root, env=self.env, stdout=out, stderr=subprocess.STDOUT
            )
        wait(lambda: "export KUBECONFIG=" in log.read_text())

    def down(self) -> None:
        if self._up is not None:
            self._up.send_signal(signal.SIGINT)
            self._up.wait(timeout=60)

    def run(self, *args: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [WARMFRONT, *args],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *args: str) -> subprocess.Popen[str]:
        """As in a terminal: what runs in the background would ignore Ctrl-C, and its children too."""
        command = [sys.executable, "-c", HEEDING, str(WARMFRONT), *args]
        return subprocess.Popen(
            command, cwd=self.root, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def get(self, path: str) -> dict:
        """An object of the API server."""
        from urllib.request import Request, urlopen

        config = json.loads((self.root / ".warmfront" / "kubeconfig").read_text())
        scheme, _, server = config["clusters"][0]["cluster"]["server"].rpartition("://")
        url = f"{scheme}://{server.rpartition('@')[2]}/apis/serving.knative.dev/v1/namespaces/default/{path}"
        token = config["users"][0]["user"]["token"]
        with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"})) as reply:
            return json.load(reply)

    def rows(self) -> list[dict]:
        """What was measured so far."""
        path = self.root / "build/profile/langid/measurements.jsonl"
        return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def wait(claim: Callable[[], bool], within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def terminal(tmp_path: Path) -> Callable[[list[str]], Terminal]:
    made: list[Terminal] = []

    def make(names: list[str]) -> Terminal:
        made.append(Terminal(tmp_path, names))
        return made[-1]

    yield make
    for one in made:
        one.down()


def test_the_language_identifiers(terminal) -> None:
    """All four, with one start that counts: accuracies as we measured them elsewhere, parts of the start that add up,
    memory of the process, the annotation in Service and manifest; a variant that never starts is named and the others
    are measured all the same. The plan then works with what was measured.
    """
    here = terminal(list(MEASURED))
    here.add("langid-broken", BROKEN)
    here.up()
    done = here.run("profile", "langid", "--starts", "1", "--start-timeout", "90s", "--apply", "--write", "knative")
    assert done.returncode == 1  # for the broken one
    assert "langid-broken: not measured: " in done.stdout
    assert "the model file is corrupt" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80
    folder = here.root / "build/profile/langid"
    with (folder / "variants.csv").open(newline="") as file:
        table = {row["name"]: row for row in csv.DictReader(file)}
    assert table.keys() == MEASURED.keys()
    for name, accuracy in MEASURED.items():
        assert float(table[name]["accuracy"]) == pytest.approx(accuracy, abs=0.02)
    for row in here.rows():
        if row["kind"] == "start":
            assert row["total_s"] == pytest.approx(row["platform_s"] + row["load_s"] + row["answer_s"])
            assert 0 < row["load_s"] < row["total_s"]
    held = {row["variant"]: row for row in here.rows() if row["kind"] == "memory"}
    assert {row["source"] for row in held.values()} == {"process"}
    assert held["langid-cld2"]["memory_mb"] < 100 < 500 < held["langid-lingua"]["memory_mb"]
    for name in MEASURED:
        service = here.get(f"services/{name}")
        declared = parse_profile(service["metadata"]["annotations"][PROFILE])
        assert declared.accuracy == float(table[name]["accuracy"])
        assert service["status"]["latestCreatedRevisionName"] == f"{name}-00001"  # the annotation makes no new one
        written = yaml.safe_load((here.root / "knative" / f"{name}.yaml").read_text())
        assert parse_profile(written["metadata"]["annotations"][PROFILE]) == declared
        scaling = here.get(f"revisions/{name}-00001")["metadata"]["annotations"]
        assert scaling[f"{SCALING}window"] == "60s"
        assert scaling[f"{SCALING}target-burst-capacity"] == "0"
    assert (folder / "front.svg").read_text().count("<svg") == 1
    few = here.run("profile", "langid", "--variants", "langid-cld2", "--starts", "1")
    assert few.returncode == 0
    assert "langid-lingua" not in few.stdout
    assert "langid-lingua" in (folder / "variants.csv").read_text()
    (here.root / "trace.csv").write_text("second,requests\n0,1\n30,2\n59,1\n")
    done = here.run("plan", "langid", "--arrivals", "trace.csv", "--workers", "1", "--seeds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "variants as measured" in " ".join(done.stdout.split())
    assert "langid-broken: left out: " in done.stdout


def test_interrupted_it_goes_on(terminal) -> None:
    """Ctrl-C in the middle: scaling is given back, what was measured stays, and the next call does only the rest.
    A new revision is measured anew; the plan changes Services when told to.
    """
    here = terminal(["langid-cld2"])
    here.up()
    running = here.start("profile", "langid", "--starts", "5")  # half a minute at least
    wait(lambda: any(row["kind"] == "start" for row in here.rows()))
    assert here.get("revisions/langid-cld2-00001")["metadata"]["annotations"][f"{SCALING}window"] == "6s"
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "the same command goes on from build/profile/langid" in said
    assert here.get("revisions/langid-cld2-00001")["metadata"]["annotations"][f"{SCALING}window"] == "60s"
    before = [row for row in here.rows() if row["kind"] != "lent"]
    done = here.run("profile", "langid", "--starts", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [row for row in here.rows() if row["kind"] != "lent"]
    assert rows[: len(before)] == before
    starts = [row["counted"] for row in rows if row["kind"] == "start"]
    assert starts == [False, *[True] * (len(starts) - 1)]
    assert len(starts) > 1
    answers = [(row["in_flight"], row["index"]) for row in rows if row["kind"] == "answer"]
    assert len(answers) == len(set(answers))
    again = here.run("profile", "langid", "--starts", "1")
    assert again.returncode == 0
    assert [row for row in here.rows() if row["kind"] != "lent"] == rows

    trace = here.root / "trace.csv"
    trace.write_text("arrival_s\n" + "".join(f"{200 * i}\n" for i in range(40)))
    done = here.run(
        "plan", "langid", "--arrivals", "trace.csv", "--deadline", "30ms", "--policy", "effective@no-plan",
        "--workers", "1", "--seeds", "5", "--apply",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "variants as measured" in done.stdout
    assert (
        max(len(line) for line in done.stdout.splitlines() if "kn service" not in line and "build/" not in line) <= 80
    )
    service = here.get("services/langid-cld2")
    annotations = service["spec"]["template"]["metadata"]["annotations"]
    assert (
        annotations[f"{SCALING}min-scale"] == "1"
    )  # a start takes longer than 30 ms, and the window is over long before 200 s
    wait(lambda: here.get("services/langid-cld2")["status"].get("latestReadyRevisionName") == "langid-cld2-00002")
    running = here.start("profile", "langid", "--starts", "5")  # half a minute at least
    wait(lambda: any(row["kind"] == "start" and row["revision"] == "langid-cld2-00002" for row in here.rows()))
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    scaling = here.get("revisions/langid-cld2-00002")["metadata"]["annotations"]
    assert scaling[f"{SCALING}min-scale"] == "1"  # a start begins at zero; afterwards it is kept again
