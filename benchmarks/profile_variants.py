"""Measures the language-identification variants on this machine and writes their profiles into knative/base/variants/.

    python benchmarks/profile_variants.py TEXTS.csv.gz --write

TEXTS is a CSV with columns text, lang and set; texts of the demo (langid_texts.csv) are left out, so that the declared
accuracy is not the demo's own. Each variant is started from its Procfile, as a platform does it:

- cold_start_s: process start to a 200 from /readyz, several fresh processes after one that warms the file cache;
  p50 is the median, p95 the slowest or twice the median, whichever is more: a start seldom has the machine to itself.
- latency_s: the model's own time (Warmfront-Execution-Ms) of one warm request at a time. per_kib is the extra time of
  texts of 1 KiB over that of the texts as they are; p50 and p95 are of what remains after per_kib is taken off.
- accuracy, accuracy_by_bytes: share of right labels, over all texts and by size (at each class's median size).
- memory_mb: resident set after all of this.
"""

import argparse
import csv
import gzip
import http.client
import io
import json
import os
import shlex
import signal
import socket
import statistics
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from warmfront.kube.manifests import parse_profile

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "src/warmfront/experiments/data/langid_texts.csv"
VARIANTS = ("langid-cld2", "langid-fasttext", "langid-py3langid", "langid-lingua")
SIZE_CLASSES = (16, 32, 64, 128, 1 << 20)  # upper bounds in bytes
ANNOTATION = "    warmfront.dev/profile: |\n"


class Sample(NamedTuple):
    """A text and its language."""

    text: bytes
    language: str


class Running:
    """A function started by its Procfile on a free port of the loopback."""

    def __init__(self, variant: str) -> None:
        folder = ROOT / "functions" / variant.replace("-", "_")
        command = (folder / "Procfile").read_text().partition("web:")[2]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = os.environ | {"PORT": str(self.port), "K_SERVICE": variant}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        words = [string.Template(word).safe_substitute(environment) for word in shlex.split(command)]
        began = time.perf_counter()
        self.process = subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
        while True:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.connection.request("GET", "/readyz")
                if self.connection.getresponse().read() and not self.process.poll():
                    break
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    raise SystemExit(f"{variant} ended with status {self.process.returncode}") from None
                time.sleep(0.001)
        self.cold_start_s = time.perf_counter() - began

    def classify(self, text: bytes) -> tuple[str, float]:
        """The label, and the model's own time in seconds."""
        self.connection.request("POST", "/", body=text, headers={"Content-Type": "text/plain"})
        reply = self.connection.getresponse()
        label = json.loads(reply.read())["label"]
        return label, float(reply.headers["Warmfront-Execution-Ms"]) / 1000

    def memory_mb(self) -> float:
        """The resident set now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self) -> None:
        """End the process and wait for it."""
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def profile(variant: str, samples: list[Sample], starts: int) -> dict[str, object]:
    """The profile annotation of one variant, as JSON values."""
    Running(variant).stop()
    cold: list[float] = []
    for _ in range(starts - 1):
        function = Running(variant)
        cold.append(function.cold_start_s)
        function.stop()
    function = Running(variant)
    cold.append(function.cold_start_s)
    answers = [(sample, *function.classify(sample.text)) for sample in samples]
    per_kib = slope(function, samples, statistics.median(took for _, _, took in answers))
    left = sorted(max(took - per_kib * len(sample.text) / 1024, 1e-6) for sample, _, took in answers)
    memory_mb = function.memory_mb()
    function.stop()
    right = [(len(sample.text), label == sample.language) for sample, label, _ in answers]
    return {
        "accuracy": round(statistics.mean(good for _, good in right), 3),
        "accuracy_by_bytes": by_size(right),
        "latency_s": {
            "p50": tidy(left[len(left) // 2]),
            "p95": tidy(left[len(left) * 95 // 100]),
            "per_kib": tidy(per_kib),
        },
        "cold_start_s": {"p50": tidy(statistics.median(cold)), "p95": tidy(max(*cold, 2 * statistics.median(cold)))},
        "memory_mb": round(memory_mb),
    }


def slope(function: Running, samples: list[Sample], usual_s: float) -> float:
    """Seconds per KiB of input: texts of one language joined to about 1 KiB, against the texts as they are."""
    joined: dict[str, bytes] = {}
    for sample in samples:
        if len(joined.get(sample.language, b"")) < 1024:
            joined[sample.language] = joined.get(sample.language, b"") + sample.text + b" "
    took = statistics.median(
        statistics.median(function.classify(text)[1] for _ in range(3)) for text in joined.values()
    )
    size = statistics.median(map(len, joined.values()))
    usual = statistics.median(len(sample.text) for sample in samples)
    return max(0.0, (took - usual_s) / (size - usual) * 1024)


def by_size(right: list[tuple[int, bool]]) -> list[list[float]]:
    """[median size, accuracy] per size class that has 30 texts or more."""
    points, lower = [], 0
    for upper in SIZE_CLASSES:
        inside = [(size, good) for size, good in right if lower < size <= upper]
        if len(inside) >= 30:
            accuracy = statistics.mean(good for _, good in inside)
            points.append([round(statistics.median(size for size, _ in inside)), round(accuracy, 3)])
        lower = upper
    return points


def tidy(seconds: float) -> float:
    """Two significant digits: more would claim what a shared machine cannot tell."""
    return float(f"{seconds:.2g}")


def read(path: Path) -> list[Sample]:
    """The texts of a CSV, gzipped or not."""
    data = path.read_bytes()
    lines = io.StringIO((gzip.decompress(data) if path.suffix == ".gz" else data).decode(), newline="")
    return [Sample(row["text"].encode(), row["lang"]) for row in csv.DictReader(lines)]


def write(variant: str, found: dict[str, object]) -> None:
    """Put the profile into the variant's manifest, in place of the one that is there."""
    path = ROOT / "knative" / "base" / "variants" / f"{variant}.yaml"
    head, marker, tail = path.read_text().partition(ANNOTATION)
    if not marker:
        raise SystemExit(f"{path} has no line {ANNOTATION!r}; add the annotation first")
    rest = tail.splitlines(keepends=True)
    while rest and rest[0].startswith("      "):
        rest.pop(0)
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items()]
    text = "      {" + ",\n       ".join(lines) + "}\n"
    parse_profile(text)
    path.write_text(head + marker + text + "".join(rest))


def main() -> None:
    """Read the arguments, measure, print one line of JSON per variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="CSV or CSV.gz with columns text, lang, set")
    parser.add_argument("--write", action="store_true", help="write the profiles into knative/base/variants/")
    parser.add_argument("--starts", type=int, default=7, help="fresh processes per variant (default 7)")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="which, comma-separated")
    options = parser.parse_args()
    demo = {sample.text for sample in read(DEMO)}
    samples = [sample for sample in read(options.texts) if sample.text not in demo]
    for variant in options.variants.split(","):
        found = profile(variant, samples, options.starts)
        sys.stdout.write(json.dumps({"variant": variant, "texts": len(samples), **found}) + "\n")
        sys.stdout.flush()
        if options.write:
            write(variant, found)


if __name__ == "__main__":
    main()
