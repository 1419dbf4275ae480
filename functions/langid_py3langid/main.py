"""Language identification by py3langid: naive Bayes over byte n-grams, strong from a sentence on."""

from warmfront.function import Prediction, model_function

# Individual languages under the ISO 639-1 code of their macrolanguage.
LABELS = {"nb": "no", "nn": "no", "wuu": "zh", "yue": "zh", "arz": "ar"}


def load():
    """Unpack the bundled model, with scores as probabilities."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def predict(text: str) -> Prediction:
        code, score = identifier.classify(text)
        return Prediction(LABELS.get(code, code), score)

    return predict


handle = model_function("langid", load)
