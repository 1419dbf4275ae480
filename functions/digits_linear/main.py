"""Handwritten digits by ten weighted sums of the pixels, in plain Python: as quick to start as Python itself."""

from array import array
from math import exp
from operator import mul
from pathlib import Path

from warmfront.function import Prediction, model_function
from warmfront.function.images import Image

MODEL = Path(__file__).parent.parent / "digits_models" / "linear.f32"
DIGITS = "0123456789"
PIXELS = 28 * 28


def load():
    """Read ten rows of weights and ten biases."""
    numbers = array("f")
    numbers.frombytes(MODEL.read_bytes())
    if len(numbers) != len(DIGITS) * (PIXELS + 1):
        raise ValueError(f"{MODEL} holds {len(numbers)} numbers, not {len(DIGITS) * (PIXELS + 1)}; run `make models`")
    rows = [numbers[PIXELS * row : PIXELS * (row + 1)].tolist() for row in range(len(DIGITS))]
    biases = numbers[-len(DIGITS) :].tolist()

    def predict(pixels) -> Prediction:
        sums = [sum(map(mul, row, pixels), bias) for row, bias in zip(rows, biases, strict=True)]
        most = max(sums)
        powers = [exp(value - most) for value in sums]
        total = sum(powers)
        return Prediction.of(DIGITS, [power / total for power in powers])

    return predict


handle = model_function("digits", load, accept=Image(28, 28))
