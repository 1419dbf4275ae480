"""The selector as a deployable function: one handler behind three fronts. Importing this starts nothing.

python main.py                                              the native server on PORT (the Procfile's way)
uvicorn main:app                                            any ASGI server
functions-framework --target=handle                         functions-framework, Flask
functions-framework --target=handle_async --asgi            functions-framework, aio
"""

import os
import sys
from functools import cache
from typing import Any

from warmfront.gateway import app as selector


@cache
def _fronts() -> Any:
    from warmfront.gateway.functions import FunctionFronts  # noqa: PLC0415 - the native front starts without it

    return FunctionFronts(lambda: selector.App.from_environment(os.environ))


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI application."""
    await _fronts().asgi(scope, receive, send)


def handle(request: Any) -> Any:
    """The functions-framework function with the http signature."""
    return _fronts().handle(request)


async def handle_async(request: Any) -> Any:
    """The functions-framework function with the aio http signature."""
    return await _fronts().handle_async(request)


if __name__ == "__main__":
    sys.exit(selector.main(os.environ))
