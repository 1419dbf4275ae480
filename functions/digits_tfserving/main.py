"""Handwritten digits in TensorFlow, by the protocols of TensorFlow Serving and of every function here. Glue only."""

import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads it when it is imported

import rpc
from rest import Front
from servable import Servable

from warmfront.errors import SetupError
from warmfront.function import Prediction, model_function
from warmfront.function.images import Image
from warmfront.function.serve import Settings, run
from warmfront.telemetry.logs import configure

MODEL = Path(__file__).parent.parent / "digits_models" / (os.environ.get("DIGITS_MODEL") or "large")
DIGITS = "0123456789"


def loader(servable):
    """The SavedModel asked image by image, as the other digit functions are."""
    import numpy as np

    def predict(pixels) -> Prediction:
        image = np.frombuffer(pixels, np.float32)[np.newaxis]
        return Prediction.of(DIGITS, servable.call("", {"image": image})["probabilities"][0].tolist())

    predict(bytes(4 * 28 * 28))  # the first answer builds the graph's kernels; a start is the time for it
    return lambda: predict


def main() -> int:
    """Serve until SIGTERM. PORT speaks HTTP, or gRPC where PROTOCOL is grpc; GRPC_PORT speaks gRPC beside HTTP."""
    configure("INFO", {"revision": os.environ.get("K_REVISION", "")})
    try:
        settings = Settings.from_environment(os.environ)
        servable = Servable(MODEL)
        front = Front(model_function("digits", loader(servable), accept=Image(28, 28)).model, servable)
        if os.environ.get("PROTOCOL") == "grpc":
            rpc.serve(front, settings.host, settings.port, settings.threads)
            return 0
        port = os.environ.get("GRPC_PORT")
        beside = rpc.start(front, settings.host, int(port), settings.threads) if port else None
        run(front, settings)
        if beside:
            beside.stop(rpc.GRACE_S).wait()
    except SetupError as error:
        logging.getLogger(__name__).debug("cannot start", exc_info=True)
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
