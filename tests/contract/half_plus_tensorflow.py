"""The model of TensorFlow Serving's documentation, made by TensorFlow and served by functions/digits_tfserving.

Run by the Python that has TensorFlow: `python half_plus_tensorflow.py NAME PLUS FOLDER`. y = x / 2 + PLUS, version 123,
with the signatures of the golden pairs; the SavedModel is written into FOLDER.
"""

import os
import sys
from pathlib import Path

import tensorflow as tf

from warmfront.function import ModelFunction, Prediction, Text
from warmfront.function.serve import Settings, run
from warmfront.telemetry.logs import configure

sys.path.insert(0, str(Path(__file__).parents[2] / "functions" / "digits_tfserving"))

from rest import Front
from servable import Servable

NAME, PLUS, FOLDER = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
FLOATS = tf.TensorSpec(None, tf.float32, name="x")
STRINGS = tf.TensorSpec([None], tf.string, name="inputs")


class HalfPlus(tf.Module):
    """The arithmetic, under four signatures."""

    @tf.function(input_signature=[FLOATS])
    def predict(self, x):
        """Any shape."""
        return {"y": x / 2 + PLUS}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
    def echo(self, x):
        """The name of the output says that it is bytes."""
        return {"y_bytes": tf.identity(x)}

    @tf.function(input_signature=[STRINGS])
    def classify(self, inputs):
        """A score without a class."""
        return {"scores": self.of_examples(inputs)}

    @tf.function(input_signature=[STRINGS])
    def regress(self, inputs):
        """A number per Example."""
        return {"outputs": self.of_examples(inputs)}

    def of_examples(self, inputs):
        """Column `x` of serialised Examples."""
        return tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"] / 2 + PLUS


model = HalfPlus()
signatures = {
    "serving_default": model.predict,
    "echo": model.echo,
    "classify_x_to_y": model.classify,
    "tensorflow/serving/regress": model.regress,
}
tf.saved_model.save(model, str(FOLDER / "123"), signatures=signatures)
configure("INFO", {})
function = ModelFunction(NAME, lambda: lambda text: Prediction(text, 1.0), accept=Text(), environment={})
function.load()
run(Front(function, Servable(FOLDER)), Settings.from_environment(os.environ))
