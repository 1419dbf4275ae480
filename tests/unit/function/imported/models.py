"""Small models trained on the spot from the data sets that scikit-learn ships, saved as people save theirs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import joblib
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SENTENCES = ["what a good and fine day", "a nice, good film", "an awful, bad day", "what a poor and bad film"]


@dataclass(frozen=True, kw_only=True)
class Models:
    """Files below `folder`, and the estimators that they were made of."""

    folder: Path
    iris: Any
    diabetes: Any
    sentiment: Any
    flowers: np.ndarray
    patients: np.ndarray
    weights: np.ndarray
    houses: Any


def make(folder: Path) -> Models:
    """iris.joblib/.onnx (label and probabilities), iris_maps.onnx (a list of maps), diabetes.joblib/.onnx (a number),
    sentiment.joblib (texts), houses.joblib/.onnx (mixed columns), dense.tflite (three scores, a row at a time).
    """
    flowers, kinds = load_iris(return_X_y=True)
    iris = RandomForestClassifier(10, random_state=0).fit(flowers, load_iris().target_names[kinds])
    patients, progress = load_diabetes(return_X_y=True)
    diabetes = LinearRegression().fit(patients, progress)
    sentiment = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(SENTENCES, ["good", "good", "bad", "bad"])
    for name, model in {"iris": iris, "diabetes": diabetes, "sentiment": sentiment}.items():
        joblib.dump(model, folder / f"{name}.joblib")
    row = flowers[:1].astype(np.float32)
    (folder / "iris.onnx").write_bytes(to_onnx(iris, row, options={"zipmap": False}).SerializeToString())
    (folder / "iris_maps.onnx").write_bytes(to_onnx(iris, row).SerializeToString())
    (folder / "diabetes.onnx").write_bytes(to_onnx(diabetes, patients[:1].astype(np.float32)).SerializeToString())
    weights = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]], dtype=np.float32)
    (folder / "dense.tflite").write_bytes(dense(weights))
    houses = _houses(folder)
    return Models(
        folder=folder, iris=iris, diabetes=diabetes, sentiment=sentiment, flowers=flowers, patients=patients,
        weights=weights, houses=houses,
    )  # fmt: skip


HOUSES = [["flat", 40.0, 1.0], ["flat", 80.0, 3.0], ["house", 120.0, 0.0], ["house", 200.0, 0.0]]


def _houses(folder: Path) -> Any:
    """A price by kind, area and floor: a column of texts and two of numbers, each an input of its own in ONNX."""
    table = np.array(HOUSES, dtype=object)
    columns = ColumnTransformer([("kind", OneHotEncoder(), [0]), ("size", StandardScaler(), [1, 2])])
    houses = make_pipeline(columns, LinearRegression()).fit(table, [100.0, 220.0, 300.0, 450.0])
    joblib.dump(houses, folder / "houses.joblib")
    types = [("kind", StringTensorType([None, 1])), *((name, FloatTensorType([None, 1])) for name in ("area", "floor"))]
    (folder / "houses.onnx").write_bytes(to_onnx(houses, initial_types=types).SerializeToString())
    return houses


def dense(weights: np.ndarray) -> bytes:
    """A LiteRT file without a signature: `scores` = `weights` times `features`, FP32 [1, 4] to [1, 3]."""
    outputs, inputs = weights.shape
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT(), schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.frombuffer(weights.tobytes(), np.uint8)
    model.buffers[2].data = np.frombuffer(np.zeros(outputs, np.float32).tobytes(), np.uint8)
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor(*one)
        for one in (
            ("features", [1, inputs], 0),
            ("w", [outputs, inputs], 1),
            ("b", [outputs], 2),
            ("scores", [1, outputs], 0),
        )
    ]
    graph.inputs, graph.outputs = [0], [3]
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: list[int], buffer: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, shape, buffer
    tensor.type = schema.TensorType.FLOAT32
    return tensor
