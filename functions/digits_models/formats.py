"""One trained network in three formats, all with the input `image` (float32, [n, 784], 0 to 1) and the output
`probabilities` (float32, [n, 10]); and how each format is asked. What must not live here: training.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
from architectures import CLASSES, SIDE
from onnx import TensorProto, helper, numpy_helper

PIXELS = SIDE * SIDE
OPSET = 17
Predictor = Callable[[np.ndarray], np.ndarray]


def save_tensorflow(network: keras.Sequential, folder: Path) -> None:
    """A SavedModel with three signatures, laid out as TensorFlow Serving wants it: `folder`/1.

    `serving_default` takes tensors. `classify` and `regress` take serialised tf.Examples with the feature `image`, as
    the API methods of those names send them; the regression is the expected value of the digit.
    """
    spec = {"image": tf.io.FixedLenFeature([PIXELS], tf.float32)}
    names = tf.constant([str(digit) for digit in range(CLASSES)])

    def probabilities(image: tf.Tensor) -> tf.Tensor:
        return network(tf.reshape(image, [-1, SIDE, SIDE, 1]), training=False)

    def predict(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": probabilities(image)}

    def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = probabilities(tf.io.parse_example(inputs, spec)["image"])
        return {"classes": tf.tile(names[tf.newaxis], [tf.shape(scores)[0], 1]), "scores": scores}

    def regress(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = probabilities(tf.io.parse_example(inputs, spec)["image"])
        return {"outputs": tf.linalg.matvec(scores, tf.range(CLASSES, dtype=tf.float32))[:, tf.newaxis]}

    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint("serving_default", predict, [tf.TensorSpec([None, PIXELS], tf.float32, name="image")])
    for name, function in (("classify", classify), ("regress", regress)):
        archive.add_endpoint(name, function, [tf.TensorSpec([None], tf.string, name="inputs")])
    archive.write_out(str(folder / "1"), verbose=False)


def save_litert(saved_model: Path, file: Path) -> None:
    """LiteRT, from the SavedModel's default signature."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model / "1"), signature_keys=["serving_default"])
    file.write_bytes(converter.convert())


def save_onnx(network: keras.Sequential, file: Path) -> None:
    """ONNX, node by node from the weights: images become [n, 1, 28, 28] there, kernels [out, in, height, width]."""
    nodes = [helper.make_node("Reshape", ["image", "square"], ["x0"])]
    constants = [numpy_helper.from_array(np.array([-1, 1, SIDE, SIDE], np.int64), "square")]
    last = "x0"
    for number, layer in enumerate(network.layers, 1):
        if isinstance(layer, keras.layers.Dropout):
            continue
        made, weights = _onnx_layer(layer, last, f"x{number}")
        nodes += made
        constants += weights
        last = made[-1].output[0]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", PIXELS])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", CLASSES])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(file))


def _onnx_layer(layer: keras.layers.Layer, entry: str, out: str) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
    """The nodes and constants of one layer from the value `entry` to the value `out` or, for the last, its own name."""
    name = layer.name
    if isinstance(layer, keras.layers.Flatten):  # Keras counts pixels row by row with the channels innermost
        turned = helper.make_node("Transpose", [entry], [f"{out}_turned"], perm=[0, 2, 3, 1])
        return [turned, helper.make_node("Flatten", [f"{out}_turned"], [out])], []
    if isinstance(layer, keras.layers.MaxPooling2D):
        return [helper.make_node("MaxPool", [entry], [out], kernel_shape=[2, 2], strides=[2, 2])], []
    kernel, bias = layer.get_weights()
    if isinstance(layer, keras.layers.Conv2D):
        kernel, margin = kernel.transpose(3, 2, 0, 1), kernel.shape[0] // 2
        inner = helper.make_node("Conv", [entry, f"{name}_w", f"{name}_b"], [f"{out}_sum"], pads=[margin] * 4)
    else:
        inner = helper.make_node("Gemm", [entry, f"{name}_w", f"{name}_b"], [f"{out}_sum"])
    if name == "probabilities":
        outer = helper.make_node("Softmax", [f"{out}_sum"], ["probabilities"], axis=1)
    else:
        outer = helper.make_node("Relu", [f"{out}_sum"], [out])
    constants = [numpy_helper.from_array(np.ascontiguousarray(kernel), f"{name}_w")]
    return [inner, outer], [*constants, numpy_helper.from_array(bias, f"{name}_b")]


def save_weights(network: keras.Sequential, file: Path) -> None:
    """The linear model as bare float32, little-endian: ten rows of 784 weights, then ten biases."""
    kernel, bias = network.get_layer("probabilities").get_weights()
    file.write_bytes(kernel.T.astype("<f4").tobytes() + bias.astype("<f4").tobytes())


def tensorflow_predictor(folder: Path) -> Predictor:
    """Asks a SavedModel."""
    loaded = tf.saved_model.load(str(folder / "1"))  # the signature lives as long as what it was loaded with
    return lambda images: loaded.signatures["serving_default"](image=tf.constant(images))["probabilities"].numpy()


def litert_predictor(file: Path) -> Predictor:
    """Asks a LiteRT model, image by image."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(file)).get_signature_runner("serving_default")
    return lambda images: np.concatenate([run(image=image[np.newaxis])["probabilities"] for image in images])


def onnx_predictor(file: Path) -> Predictor:
    """Asks an ONNX model."""
    from onnxruntime import InferenceSession

    session = InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"image": images})[0]
