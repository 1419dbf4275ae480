"""Language identification by Compact Language Detector 2: starts at once, unsure of short strings."""

import pycld2

from warmfront.function import Prediction, model_function

# CLD2's own spellings of ISO 639-1; "un" is its word for undetermined.
LABELS = {"iw": "he", "zh-Hant": "zh", "nb": "no", "nn": "no", "un": "und"}


def load():
    """The tables are compiled into the extension: nothing is left to load."""
    return predict


def predict(text: str) -> Prediction:
    """CLD2's first guess and the share of the text that it covers."""
    try:
        _, _, guesses = pycld2.detect(text)
    except pycld2.error:  # it calls control characters invalid UTF-8
        _, _, guesses = pycld2.detect("".join(c if c.isprintable() else " " for c in text))
    _, code, percent, _ = guesses[0]
    return Prediction(LABELS.get(code, code), percent / 100)


handle = model_function("langid", load)
