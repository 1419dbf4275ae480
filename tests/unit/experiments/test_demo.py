"""What the demo makes of a task: manifests, events, and what answers are worth."""

import shutil
from pathlib import Path

import pytest

from warmfront.errors import SetupError
from warmfront.experiments.demo import Answer, event_of, image_of, judge, manifests_for, variants_of
from warmfront.experiments.profiling.labelled import shipped
from warmfront.experiments.workload import draw

ROOT = Path(__file__).parents[3]


def names(task: str, root: Path = ROOT) -> set[str]:
    """The variants that the demo of a task applies."""
    return {obj["metadata"]["name"] for obj in variants_of(manifests_for(task, root))}


def test_a_task_has_its_own_variants_and_all_else_of_the_base() -> None:
    """langid's are in the base, digits' in a component; selector, Broker and Triggers come with both."""
    assert names("langid") == {"langid-cld2", "langid-fasttext", "langid-py3langid", "langid-lingua"}
    assert names("digits") == {
        "digits-linear",
        "digits-litert-small",
        "digits-onnx-small",
        "digits-onnx-large",
        "digits-tfserving",
    }
    for task in ("langid", "digits"):
        kinds = [obj["kind"] for obj in manifests_for(task, ROOT) if obj not in variants_of(manifests_for(task, ROOT))]
        assert sorted(set(kinds)) == sorted(
            {"Broker", "ConfigMap", "Lease", "Role", "RoleBinding", "Service", "ServiceAccount", "Trigger"}
        )


def test_a_task_without_variants(tmp_path: Path) -> None:
    """Where the component is missing too the message says where was looked."""
    shutil.copytree(ROOT / "knative" / "base", tmp_path / "knative" / "base")
    shutil.copy(ROOT / "knative" / "kustomization.yaml", tmp_path / "knative")
    with pytest.raises(SetupError, match=r"no variant of task 'digits' in .*knative nor in .*components/digits"):
        manifests_for("digits", tmp_path)


def test_images_of_variants() -> None:
    """Two variants of one image differ in their settings only."""
    images = {obj["metadata"]["name"]: image_of(obj) for obj in variants_of(manifests_for("digits", ROOT))}
    assert images["digits-onnx-small"] == images["digits-onnx-large"] == "dev.local/digits-onnx:v1"


def test_an_image_as_an_event() -> None:
    """The body is the image itself, the subject the task."""
    inputs = shipped("digits")
    (arrival,) = draw(inputs.samples, requests=1, seconds=1, seed=1)
    event = event_of(arrival, "run", "digits", inputs.content_type)
    assert (event.subject, event.datacontenttype, len(event.data)) == ("digits", "application/octet-stream", 784)
    assert event.extensions["deadlinems"] == str(round(arrival.deadline_s * 1000))


def test_same_seed_same_stream() -> None:
    """A stream repeats with its seed; no image comes twice before all have come."""
    samples = shipped("digits").samples
    first, again, other = (draw(samples, requests=1000, seconds=30, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len({arrival.sample.body for arrival in first}) == len({sample.body for sample in samples})


def test_what_answers_are_worth() -> None:
    """Of two requests one is answered rightly and cold, in time; the other not at all."""
    one, two = draw(shipped("digits").samples, requests=2, seconds=1, seed=1)
    answer = Answer(variant="digits-x", label=one.sample.label or "", latency_s=0.1, cold=True, probability=1.0)
    row = judge("effective", [one, two], {one.id: answer, two.id: None}, 3.0)
    assert (row.on_time, row.correct, row.correct_on_time, row.cold_waits, row.unanswered) == (0.5, 0.5, 0.5, 1, 1)
    assert row.answered_by == {"digits-x": 1}
