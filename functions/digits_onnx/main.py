"""Handwritten digits by a network of convolutions in ONNX Runtime. DIGITS_MODEL says which network."""

import os
from pathlib import Path

from warmfront.function import Prediction, model_function
from warmfront.function.images import Image

MODEL = Path(__file__).parent.parent / "digits_models" / f"{os.environ.get('DIGITS_MODEL') or 'small'}.onnx"
DIGITS = "0123456789"


def load():
    """One session for all threads, one core for each image: they are small, and others want cores too."""
    import numpy as np
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])

    def predict(pixels) -> Prediction:
        image = np.frombuffer(pixels, np.float32)[np.newaxis]
        (probabilities,) = session.run(["probabilities"], {"image": image})[0].tolist()
        return Prediction.of(DIGITS, probabilities)

    predict(bytes(4 * 28 * 28))  # the first answer allocates; a start is the time for it
    return predict


handle = model_function("digits", load, accept=Image(28, 28))
