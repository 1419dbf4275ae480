"""A small model behind Flask, as functions-framework's http signature calls it."""

from collections.abc import Callable

import flask
import pytest
from flask.testing import FlaskClient

from warmfront.function import Prediction, model_function


def guess(text: str) -> Prediction:
    """German when it says so; "crash" is an input that the model cannot stand."""
    if text == "crash":
        raise ZeroDivisionError("secret of the model")
    return Prediction("de" if "Guten" in text else "größer", 0.75)


def app_of(handle: Callable[[flask.Request], object]) -> flask.Flask:
    """The routes of functions-framework: every path and method goes to the function."""
    app = flask.Flask("function")
    methods = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]

    def view(path: str) -> object:
        return handle(flask.request)

    app.add_url_rule("/", view_func=view, defaults={"path": ""}, methods=methods, provide_automatic_options=False)
    app.add_url_rule("/<path:path>", view_func=view, methods=methods, provide_automatic_options=False)
    return app


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Callable[[flask.Request], object]:
    """A model function in a replica of revision langid-x-00001."""
    monkeypatch.setenv("K_SERVICE", "langid-x")
    monkeypatch.setenv("K_REVISION", "langid-x-00001")
    return model_function("langid", lambda: guess, max_body=1000)


@pytest.fixture
def client(handle: Callable[[flask.Request], object]) -> FlaskClient:
    """Calls it without a network."""
    return app_of(handle).test_client()
