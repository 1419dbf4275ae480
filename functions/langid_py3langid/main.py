"""Language identification by py3langid: naive Bayes over byte n-grams, strong from a sentence on."""

import io
import lzma
from array import array

from warmfront.function import Prediction, model_function

# Individual languages under the ISO 639-1 code of their macrolanguage.
LABELS = {"nb": "no", "nn": "no", "wuu": "zh", "yue": "zh", "arz": "ar"}


def load():
    """Unpack the bundled model in memory, with scores as probabilities: py3langid's loader needs a writable disk."""
    import numpy as np
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    with lzma.open(MODEL_DIR / MODEL_FILE) as packed, np.load(io.BytesIO(packed.read())) as model:
        nextmove, row = (array(model[name].dtype.char, model[name].tobytes()) for name in ("nextmove", "nextmove_row"))
        identifier = LanguageIdentifier(
            model["ptc"],
            model["pc"],
            model["classes"].tolist(),
            nextmove,
            model["out_feat"].tolist(),
            tk_row=row,
            norm_probs=True,
        )

    def predict(text: str) -> Prediction:
        code, score = identifier.classify(text)
        return Prediction(LABELS.get(code, code), score)

    return predict


handle = model_function("langid", load)
