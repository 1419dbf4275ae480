"""Handwritten digits by a network of convolutions in LiteRT, once TensorFlow Lite. DIGITS_MODEL says which network."""

import os
from pathlib import Path
from threading import Lock

from warmfront.function import Prediction, model_function
from warmfront.function.images import Image

MODEL = Path(__file__).parent.parent / "digits_models" / f"{os.environ.get('DIGITS_MODEL') or 'small'}.tflite"
DIGITS = "0123456789"


def load():
    """One interpreter, which takes one image at a time: its tensors are its own, and an image takes it microseconds."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    ask = Interpreter(model_path=str(MODEL), num_threads=1).get_signature_runner("serving_default")
    alone = Lock()

    def predict(pixels) -> Prediction:
        image = np.frombuffer(pixels, np.float32)[np.newaxis]
        with alone:
            (probabilities,) = ask(image=image)["probabilities"].tolist()
        return Prediction.of(DIGITS, probabilities)

    predict(bytes(4 * 28 * 28))  # the first answer sets the tensors up; a start is the time for it
    return predict


handle = model_function("digits", load, accept=Image(28, 28))
