"""Turns a Python callable into a model function: five protocols in, and replies that say how warm it was.

A function folder's `main.py` holds a loader and one line, `handle = model_function("langid", load)`. The same
`handle` is served by the stock functions-framework (http signature) and, in a fraction of its start-up time, by
`python -m warmfront.function main:handle`.
What must not live here: anything a real model needs; Flask and functions-framework are never imported.
"""

from warmfront.function.inputs import Bytes, Input, Text
from warmfront.function.model import ModelFunction, Prediction, model_function

__all__ = ["Bytes", "Input", "ModelFunction", "Prediction", "Text", "model_function"]
