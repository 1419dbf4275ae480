"""A small model server that behaves as TensorFlow Serving's REST documentation says: y = x / 2 + N, three methods.

It reads and writes JSON with NaN and Infinity, lays replies out over several lines, knows one version (123, also by the
label `stable`) and answers errors as `{"error": ...}` with the statuses of the real one.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from warmfront.wire.messages import Exchange

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{verb}" for verb in ("predict", "classify", "regress"))
_SIGNATURES = {
    "serving_default": PREDICT,
    "echo": PREDICT,
    "classify_x_to_y": CLASSIFY,
    "tensorflow/serving/regress": REGRESS,
}
_KINDS = {str: "String", dict: "Object", list: "Array", bool: "True", type(None): "Null"}
_PATH = re.compile(r"/v1/models/(?P<model>[^/:]+)(/(?P<word>versions|labels)/(?P<version>[^/:]+))?(?P<rest>.*)")


class Refused(Exception):
    """A status and what the body says."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class HalfPlus:
    """The models by the names that the server knows them by, and what each adds."""

    def __init__(self, models: Mapping[str, float]) -> None:
        self._models = models

    def answer(self, exchange: Exchange) -> None:
        """One request."""
        try:
            status, body = 200, self._answer(exchange.method, exchange.path, exchange.body)
        except Refused as refused:
            status, body = refused.status, _laid_out({"error": str(refused)})
        exchange.respond(status, [(b"content-type", b"application/json")], body.encode())

    def _answer(self, method: str, path: str, body: bytes) -> str:
        found = _PATH.fullmatch(path)
        if found is None:
            raise Refused(f"Malformed request: {method} {path}")
        model, version = found["model"], found["version"]
        if model not in self._models or version not in (None, "123", "stable"):
            wanted = "Latest" if version is None else "Specific"
            named = model if version is None else f"{model}, {version}"
            raise Refused(f"Servable not found for request: {wanted}({named})", 404)
        if (method, found["rest"]) == ("GET", "/metadata"):
            return _metadata(model)
        methods = {":predict": self._predict, ":classify": self._classify, ":regress": self._regress}
        if method != "POST" or found["rest"] not in methods:
            raise Refused(f"Malformed request: {method} {path}")
        try:
            document = json.loads(body)
        except ValueError as error:
            raise Refused(f"JSON Parse error: Invalid value. at offset: {getattr(error, 'pos', 0)}") from None
        return _laid_out(methods[found["rest"]](self._models[model], document))

    def _predict(self, plus: float, document: dict[str, Any]) -> dict[str, Any]:
        signature = _signature(document, PREDICT)
        rows, columns = "instances" in document, "inputs" in document
        if rows and columns:
            told = ",\n".join(f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in document.items())
            raise Refused(
                f"JSON Value: {{\n{told}\n}} Not formatted correctly expecting only "
                "one of 'inputs' or 'instances' keys to exist "
            )
        if not rows and not columns:
            raise Refused("Missing 'inputs' or 'instances' key")
        value = document["instances" if rows else "inputs"]
        if rows:
            value = [row["x"] if isinstance(row, dict) and "x" in row else row for row in value]
        elif isinstance(value, dict):
            if "x" not in value:
                raise Refused("Missing named input: x in 'inputs' object.")
            value = value["x"]
        return {"predictions" if rows else "outputs": value if signature == "echo" else _half(value, plus)}

    def _classify(self, plus: float, document: dict[str, Any]) -> dict[str, Any]:
        _signature(document, CLASSIFY)
        return {"results": [[["", score]] for score in _examples(document, plus)]}

    def _regress(self, plus: float, document: dict[str, Any]) -> dict[str, Any]:
        _signature(document, REGRESS)
        return {"results": _examples(document, plus)}


def _signature(document: dict[str, Any], method: str) -> str:
    name = str(document.get("signature_name", "serving_default"))
    found = _SIGNATURES.get(name)
    if found is None:
        raise Refused(f'Serving signature name: "{name}" not found in signature def')
    if found != method:
        what = {CLASSIFY: "classification", REGRESS: "regression", PREDICT: "prediction"}[method]
        raise Refused(f"Expected {what} signature method_name to be {method}. Was: {found}")
    return name


def _half(value: Any, plus: float) -> Any:
    if isinstance(value, list):
        return [_half(element, plus) for element in value]
    if not isinstance(value, int | float) or isinstance(value, bool):
        kind = _KINDS[type(value)]
        raise Refused(f"JSON Value: {json.dumps(value)} Type: {kind} is not of expected type: float")
    return value / 2 + plus


def _examples(document: dict[str, Any], plus: float) -> list[float]:
    shared = document.get("context", {})
    return [_half((shared | example)["x"], plus) for example in document["examples"]]


def _laid_out(document: dict[str, Any]) -> str:
    ((name, value),) = document.items()
    return f"{{\n    {json.dumps(name)}: {_value(value)}\n}}"


def _value(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    if value and isinstance(value[0], list | dict):
        return "[\n" + ",\n".join(f"        {_element(element)}" for element in value) + "\n    ]"
    return "[" + ", ".join(json.dumps(element) for element in value) + "\n    ]"


def _element(element: Any) -> str:
    if isinstance(element, dict):
        ((name, value),) = element.items()
        return f"{{\n            {json.dumps(name)}: {json.dumps(value)}\n        }}"
    return json.dumps(element)


def _metadata(model: str) -> str:
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    inputs, outputs = ({n: {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": f"{n}:0"}} for n in ("x", "y"))
    signature = {"serving_default": {"inputs": inputs, "outputs": outputs, "method_name": PREDICT}}
    spec = json.dumps({"name": model, "signature_name": "", "version": "123"}, indent=1)
    told = json.dumps({"signature_def": signature}, indent=1)
    return f'{{\n"model_spec":{spec}\n,\n"metadata": {{"signature_def": {told}\n}}\n}}\n'
