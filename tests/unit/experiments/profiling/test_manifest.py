"""The annotation goes into its place; every other line of the file stays."""

import difflib
import shutil
from pathlib import Path

import pytest
import yaml

from warmfront.domain import Profile, Spread
from warmfront.errors import SetupError
from warmfront.experiments.profiling.manifest import annotated, write
from warmfront.kube.manifests import PROFILE, parse_profile

ROOT = Path(__file__).parents[4]
FOUND = Profile(
    accuracy=0.9, accuracy_by_bytes=((8, 0.8),), latency_s=Spread(p50=0.01, p95=0.02), latency_per_kib_s=0.001,
    cold_start_s=Spread(p50=1.0, p95=2.0), memory_mb=64,
)  # fmt: skip


def read(text: str) -> dict[str, Profile]:
    return {
        one["metadata"]["name"]: parse_profile(one["metadata"]["annotations"][PROFILE])
        for one in yaml.safe_load_all(text)
        if PROFILE in (one["metadata"].get("annotations") or {})
    }


def test_a_shipped_manifest_keeps_its_comments(tmp_path):
    """Only the lines of the annotation change, and only in the file that holds the Service."""
    variants = tmp_path / "variants"
    shutil.copytree(ROOT / "knative" / "base" / "variants", variants)
    before = {file: file.read_text() for file in variants.glob("*.yaml")}
    places = write(variants, {"langid-cld2": FOUND})
    assert places == {"langid-cld2": variants / "langid-cld2.yaml"}
    changed = [file for file, text in before.items() if file.read_text() != text]
    assert changed == [variants / "langid-cld2.yaml"]
    text = changed[0].read_text()
    assert read(text) == {"langid-cld2": FOUND}
    gone = [line for line in difflib.ndiff(before[changed[0]].splitlines(), text.splitlines()) if line[:1] == "-"]
    assert all('"' in line for line in gone)
    write(changed[0], {"langid-cld2": FOUND})
    assert changed[0].read_text() == text


@pytest.mark.parametrize(
    "metadata",
    [
        "  name: v\n",
        "  name: v\n  annotations: {}\n",
        "  name: v\n  annotations:\n",
        "  name: v\n  annotations:\n    a: b  # why\n",
        "  annotations:\n    a: |\n      two\n      lines\n\n  name: v\n",
        f"  name: v\n  annotations:\n    {PROFILE}: '{{}}'\n    z: last\n",
        f"  name: v\n  annotations:\n    {PROFILE}: >-\n      {{\n      }}\n  labels:\n    l: m\n",
    ],
    ids=["none", "empty", "null", "others", "name last", "one line", "folded"],
)
def test_wherever_it_was(metadata):
    """With other annotations, empty or none, before or after the name; what else there is stays."""
    text = (
        f"# first\nkind: Service\nmetadata:\n{metadata}spec:\n  a: 1 # one\n---\nkind: Service\nmetadata:\n  name: w\n"
    )
    changed, names = annotated(text, {"v": FOUND})
    assert names == ["v"]
    assert read(changed) == {"v": FOUND}
    old, new = (next(yaml.safe_load_all(one)) for one in (text, changed))
    kept = {name: value for name, value in (old["metadata"].get("annotations") or {}).items() if name != PROFILE}
    assert {k: v for k, v in new["metadata"]["annotations"].items() if k != PROFILE} == kept
    assert new["spec"] == {"a": 1}
    assert changed.startswith("# first\n")
    assert "# one" in changed


def test_the_last_line_may_have_no_end():
    """A file that ends within its metadata."""
    changed, _ = annotated("kind: Service\nmetadata:\n  name: v", {"v": FOUND})
    assert read(changed) == {"v": FOUND}


def test_both_of_one_file():
    """Two Services in two documents."""
    text = "kind: Service\nmetadata:\n  name: v\n---\nkind: Service\nmetadata:\n  name: w\n"
    changed, names = annotated(text, {"w": FOUND, "v": FOUND})
    assert names == ["v", "w"]
    assert read(changed) == {"v": FOUND, "w": FOUND}


def test_what_is_not_there(tmp_path):
    """No such Service, and no YAML."""
    (tmp_path / "a.yaml").write_text("kind: Broker\nmetadata:\n  name: v\n")
    with pytest.raises(SetupError, match="found no Service v in it"):
        write(tmp_path, {"v": FOUND})
    (tmp_path / "b.yaml").write_text("kind: [\n")
    with pytest.raises(SetupError, match=r"b\.yaml: .*wanted a YAML file"):
        write(tmp_path, {"v": FOUND})
