"""Language identification by Compact Language Detector 2 as a Ray Serve application: Ray's proxy is the server."""

import asyncio
import logging
import os
import signal
import threading
from tempfile import TemporaryDirectory

# read when Ray is imported: it reports to nobody, and its own processes talk over the loopback
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

import pycld2
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from warmfront.function import ModelFunction, Prediction, Text

# CLD2's own spellings of ISO 639-1; "un" is its word for undetermined.
LABELS = {"iw": "he", "zh-Hant": "zh", "nb": "no", "nn": "no", "un": "und"}
CLOSING_S = 6.0  # Ray takes 4
STORE_BYTES = 80 << 20  # of Ray's object store, which requests do not use; the least that Ray takes is 75 MiB


def predict(text: str) -> Prediction:
    """CLD2's first guess and the share of the text that it covers."""
    try:
        _, _, guesses = pycld2.detect(text)
    except pycld2.error:  # it calls control characters invalid UTF-8
        _, _, guesses = pycld2.detect("".join(c if c.isprintable() else " " for c in text))
    _, code, percent, _ = guesses[0]
    return Prediction(LABELS.get(code, code), percent / 100)


@serve.deployment(max_ongoing_requests=16, ray_actor_options={"num_cpus": 0})
class LanguageId:
    """The model behind every route that a model function has; `/readyz` is answered when this actor has loaded it."""

    def __init__(self) -> None:
        self.model = ModelFunction("langid", lambda: predict, accept=Text())
        self.model.load()

    async def __call__(self, request: Request) -> Response:
        """One request through Ray's proxy, answered in a thread."""
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        body = await request.body()
        reply = await asyncio.to_thread(self.model.answer, request.method, request.url.path, headers, body)
        return Response(reply.body, reply.status, {k.decode("latin-1"): v.decode("latin-1") for k, v in reply.headers})


def close() -> None:
    """Drain the application, then end Ray."""
    serve.shutdown()
    ray.shutdown()


def main() -> None:
    """A Ray of its own, on this machine only, with one application behind its HTTP proxy, until SIGTERM."""
    with TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local", num_cpus=1, object_store_memory=STORE_BYTES, include_dashboard=False, log_to_driver=False,
            logging_level=logging.WARNING, _temp_dir=folder,
        )  # fmt: skip
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):  # instead of Ray's, which end with an error
            signal.signal(number, lambda *_: ended.set())
        host, port = os.environ.get("HOST") or "127.0.0.1", int(os.environ.get("PORT", "8080"))
        serve.start(http_options={"host": host, "port": port})
        serve.run(LanguageId.bind(), name="langid", route_prefix="/")
        ended.wait()
        # A signal to the whole process group has ended Ray's own processes too: then there is nobody to shut it down.
        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        closing.join(CLOSING_S)
    os._exit(0)  # what is left of Ray ends with this process, and sooner than by asking each part


if __name__ == "__main__":
    main()
