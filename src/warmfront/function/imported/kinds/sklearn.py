"""scikit-learn estimators and pipelines, as joblib or pickle saved them. Loading one runs whatever code it holds."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from warmfront.errors import SetupError
from warmfront.function.imported.signature import Signature, TensorSpec
from warmfront.function.imported.tensors import DATATYPE, Tensor

_LOG = logging.getLogger(__name__)
_OTHER_VERSION = (
    "%s was saved by scikit-learn %s and is read by %s: its answers may differ; save it anew, or put that version into "
    "requirements.txt"
)
LABEL, SCORES, NUMBER = "label", "probabilities", "prediction"


class SklearnModel:
    """An estimator that takes rows of numbers, or texts when it begins with a vectoriser.

    What it answers is found by asking it about one row of zeros, or one word.
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self._classifies = hasattr(estimator, "classes_")
        text = _takes_text(estimator)
        features = -1 if text else int(getattr(estimator, "n_features_in_", 0))
        if not text and features < 1:
            raise SetupError(f"{type(estimator).__name__} does not say how many features it takes; is it fitted?")
        spec = TensorSpec("text", "BYTES", (-1,)) if text else TensorSpec("input", "FP64", (-1, features))
        trial = np.array(["word"], dtype=object) if text else np.zeros((1, features))
        try:
            outputs = self.run({spec.name: trial})
        except Exception as error:
            raise SetupError(
                f"{type(estimator).__name__} has no answer to a row of {spec} ({error}); wanted one of numbers or "
                f"of texts. Named or mixed columns are served as ONNX: skl2onnx gives each column an input"
            ) from error
        self.signature = Signature(inputs=(spec,), outputs=tuple(_spec(*item) for item in outputs.items()))

    def run(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A classifier's label and, where it has them, the probabilities of its classes; else its prediction."""
        (rows,) = tensors.values()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            answer = np.asarray(self._estimator.predict(rows))
            if not self._classifies:
                return {NUMBER: answer}
            outputs = {LABEL: answer}
            if hasattr(self._estimator, "predict_proba"):
                outputs[SCORES] = np.asarray(self._estimator.predict_proba(rows))
        return outputs


def load(path: Path) -> SklearnModel:
    """Raises SetupError for what is no fitted estimator; says so when another version of scikit-learn saved it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = joblib.load(path)
    told = [warning.message for warning in caught]
    for version in {each.original_sklearn_version for each in told if isinstance(each, InconsistentVersionWarning)}:
        _LOG.warning(_OTHER_VERSION, path, version, sklearn.__version__)
    if not hasattr(estimator, "predict"):
        raise SetupError(f"{path}: found {type(estimator).__name__}; wanted a fitted estimator, which has `predict`")
    return SklearnModel(estimator)


def _takes_text(estimator: Any) -> bool:
    steps = getattr(estimator, "steps", None)
    first = steps[0][1] if steps else estimator
    return hasattr(first, "build_analyzer")


def _spec(name: str, output: Tensor) -> TensorSpec:
    datatype = "BYTES" if output.dtype.kind in "OUS" else DATATYPE[output.dtype.name]
    return TensorSpec(name, datatype, (-1, *output.shape[1:]))
