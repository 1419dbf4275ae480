"""SavedModels by TensorFlow itself. Rule: it runs where TensorFlow is installed, which takes 1.5 GB and is no part of
`dev`: `make test-tensorflow`.
"""

import json
from importlib.util import find_spec

import pytest

from warmfront.errors import SetupError
from warmfront.function.imported.kinds import open_model

pytestmark = [
    pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is in the extra `tensorflow`, not in `dev`"),
    pytest.mark.filterwarnings("default"),  # TensorFlow's own
]


@pytest.fixture
def saved(tmp_path):
    """A SavedModel that says whether a text is long, and how long; and one without signatures."""
    import tensorflow as tf

    class Length(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text"), tf.TensorSpec([None], tf.int32)])
        def measure(self, text, least):
            length = tf.strings.length(text)
            return {"label": tf.where(length >= least, "long", "short"), "length": length}

    model = Length()
    tf.saved_model.save(model, tmp_path / "length", signatures=model.measure)
    tf.saved_model.save(model, tmp_path / "unsigned", signatures={"a": model.measure, "b": model.measure})
    return tmp_path


def test_a_saved_model_is_served_by_its_signature(saved):
    """Inputs of several names and types, a label that it says itself; as a raw example, by rows, by columns."""
    from warmfront.function.imported.answers import reading_of
    from warmfront.function.imported.service import ImportedModel

    runner = open_model("tensorflow", saved / "length")
    assert {spec.name: str(spec) for spec in runner.signature.inputs} == {"text": "BYTES [-1]", "least": "INT32 [-1]"}
    model = ImportedModel("t", lambda: (runner, reading_of(runner.signature)))
    model.load()

    def ask(path, value):
        reply = model.answer("POST", path, [], json.dumps(value).encode())
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    assert ask("/", {"text": "hello", "least": 4}) == {"label": "long", "score": 1.0}
    rows = [{"text": "hello", "least": 4}, {"text": "hi", "least": 4}]
    wanted = [{"label": "long", "length": 5}, {"label": "short", "length": 2}]
    assert ask("/v1/models/t:predict", {"instances": rows}) == {"predictions": wanted}
    columns = ask("/v1/models/t:predict", {"inputs": {"text": ["hello", {"b64": "/w=="}], "least": [4, 1]}})
    assert columns == {"outputs": {"label": ["long", "long"], "length": [5, 1]}}


def test_a_saved_model_without_the_signature_says_how_to_export_it(saved):
    """Found, wanted, what to do; and a corrupt one."""
    with pytest.raises(SetupError, match=r"found signatures \['a', 'b'\]; wanted 'serving_default' or only one"):
        open_model("tensorflow", saved / "unsigned")
    (saved / "length" / "saved_model.pb").write_bytes(b"no protobuf")
    with pytest.raises(SetupError, match="not a TensorFlow SavedModel that tensorflow-cpu can read"):
        open_model("tensorflow", saved / "length")
