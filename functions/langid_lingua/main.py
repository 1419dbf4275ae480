"""Language identification by lingua in high-accuracy mode: best on short strings, slow to load."""

from warmfront.function import Prediction, model_function

# Norwegian stands for its written standard Bokmal, lingua's nb.
LANGUAGES = """
af ar bg bn ca cs cy da de el en es et fa fi fr he hi hr hu id it ja ko lt lv mk mr nb nl pl pt ro ru sk sl sq sv sw
th tr uk ur vi zh
"""
LABELS = {"nb": "no"}


def load():
    """Preload the n-gram models of all 45 languages, so that no request ever loads one."""
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [IsoCode639_1.from_str(code) for code in LANGUAGES.split()]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_preloaded_language_models().build()

    def predict(text: str) -> Prediction:
        best = detector.compute_language_confidence_values(text)[0]
        code = best.language.iso_code_639_1.name.lower() if best.value > 0 else "und"
        return Prediction(LABELS.get(code, code), best.value)

    return predict


handle = model_function("langid", load)
